"""Files that would make FFmpeg open other files or addresses: nothing that they name is ever touched.

Each is read in this process first, where only the allow-lists hold it, then in the confined child. A socket
that listens here is named in all of them.
"""

import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import av
import pytest

from model import errors
from model.media.child import Decoder
from model.media.container import open_container
from model.media.streams import VideoLimits, VideoRecipe, VideoStreams
from model.media.video import read_video

LIMITS, RECIPE = VideoLimits(), VideoRecipe()
SECRET = b"root:x:0:0"  # of /etc/passwd
Read = Callable[[bytes], VideoStreams]


class Listener:
    """A server that counts who calls and hangs up."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if connection.recv(3) == b"END":
                    return
                self.calls += 1

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            own.sendall(b"END")
        self._thread.join()
        self._socket.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    running = Listener()
    yield running
    running.close()


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, Read]]:
    with Decoder(LIMITS, sandbox="require") as decoder:
        yield {
            "here": lambda data: read_video(data, RECIPE, LIMITS),
            "confined": lambda data: decoder.read_video(data, RECIPE),
        }


def m3u8(target: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".encode()


def mpd(target: str) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" minBufferTime="PT1S" '
        'profiles="urn:mpeg:dash:profile:isoff-main:2011">'
        f'<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{target}'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()


def sdp(port: int) -> bytes:
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video {port} TCP/RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    ).encode()


def subtitles(target: str) -> dict[str, bytes]:
    return {
        "srt": f"1\n00:00:00,000 --> 00:00:02,000\n{target}\n".encode(),
        "ass": (
            f"[Script Info]\nScriptType: v4.00+\n[Events]\nDialogue: 0,0:00:00.00,0:00:02.00,,,,,,,{target}\n"
        ).encode(),
        "vtt": f"WEBVTT\n\n00:00.000 --> 00:02.000\n{target}\n".encode(),
        "microdvd": f"{{1}}{{25}}{target}\n".encode(),
    }


def playlists(listener: Listener) -> dict[str, bytes]:
    web, local = f"http://127.0.0.1:{listener.port}/x.ts", "file:///etc/passwd"
    found = {
        "sdp": sdp(listener.port),
        "rtsp reply": f"RTSP/1.0 302 Found\r\nLocation: rtsp://127.0.0.1:{listener.port}/\r\n\r\n".encode(),
        "png": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{web}"/></svg>'.encode(),
        "imf": f"<CompositionPlaylist><Uri>{web}</Uri></CompositionPlaylist>".encode(),
        "ffmetadata": f";FFMETADATA1\ntitle={local}\n".encode(),
        "vapoursynth": b"import vapoursynth\nopen('/etc/passwd')\n",
        "avisynth": b'DirectShowSource("/etc/passwd")\n',
    }
    for name, target in (
        ("web", web),
        ("file", local),
        ("concat", f"concat:{web}|{local}"),
        ("sub", f"subfile,,start,0,end,9,,:{local}"),
    ):
        found[f"m3u8 {name}"] = m3u8(target)
        found[f"m3u8 key {name}"] = m3u8(local).replace(
            b"#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF'.encode(), 1
        )
        found[f"mpd {name}"] = mpd(target)
        found[f"ffconcat {name}"] = f"ffconcat version 1.0\nfile '{target}'\n".encode()
    return found | subtitles(local)


def refused(read: Read, data: bytes) -> None:
    with pytest.raises((errors.NotMedia, errors.CannotDecode, errors.NoVideoStream)) as caught:
        read(data)
    assert "root:" not in str(caught.value)


def test_no_playlist_list_or_subtitle_is_a_video(readers: dict[str, Read], listener: Listener) -> None:
    for data in playlists(listener).values():
        for read in readers.values():
            refused(read, data)
    assert listener.calls == 0


def test_an_innocent_beginning_does_not_help(
    readers: dict[str, Read], listener: Listener, clip: Path
) -> None:
    """A playlist behind the boxes of an MP4, in its mdat or in front of it."""
    whole = clip.read_bytes()
    for name, data in playlists(listener).items():
        if not name.startswith(("m3u8", "ffconcat", "mpd")):
            continue
        boxed = struct.pack(">I4s", 8 + len(data), b"mdat") + data
        for attempt in (
            whole[:32] + data,
            whole[:32] + boxed,
            data + whole,
            b"RIFF" + data,
            b"\x1aE\xdf\xa3" + data,
        ):
            for read in readers.values():
                refused(read, attempt)
        for harmless in (whole + data, whole + boxed):
            assert readers["confined"](harmless).info.codec == "h264"
    assert listener.calls == 0


def test_the_playlist_is_a_real_attack(listener: Listener) -> None:
    """Without the allow-lists FFmpeg calls: else the tests above would show nothing."""
    target = f"http://127.0.0.1:{listener.port}/x.ts"
    lax = {"protocol_whitelist": "file,http,tcp"}
    attacks: dict[str, tuple[bytes, dict[str, str]]] = {
        "hls": (m3u8(target), {"extension_picky": "0"}),
        "concat": (f"ffconcat version 1.0\nfile '{target}'\n".encode(), {"safe": "0"}),
    }
    for name, (data, options) in attacks.items():
        before = listener.calls
        with pytest.raises((av.FFmpegError, OSError)):
            av.open(io.BytesIO(data), format=name, container_options=lax | options)
        assert listener.calls > before


# --- MOV that says its samples lie elsewhere


def with_reference(whole: bytes, entry: bytes) -> bytes:
    """The clip with another entry in its table of data references; offsets stand, since moov comes last."""
    at = whole.index(b"dref") + 4 + 4 + 4  # behind version and count
    size = int.from_bytes(whole[at : at + 4], "big")
    moov = bytearray(whole)
    moov[at : at + size] = entry
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        where = whole.index(box) - 4
        grown = int.from_bytes(moov[where : where + 4], "big") + len(entry) - size
        moov[where : where + 4] = grown.to_bytes(4, "big")
    return bytes(moov)


def alias(path: str) -> bytes:
    """A dref entry as old QuickTime wrote it, with the absolute path in its tail."""
    name = path.encode()
    fixed = bytes(4) + struct.pack(">HH", 150, 2) + bytes(2) + b"\x04disk".ljust(28, b"\0") + bytes(12)
    fixed += bytes([len(name.split(b"/")[-1])]) + name.split(b"/")[-1].ljust(63, b"\0") + bytes(16)
    fixed += struct.pack(">HH", 0, 0) + bytes(16)
    tail = b"".join(
        struct.pack(">HH", kind, len(text)) + text + bytes(len(text) % 2)
        for kind, text in ((2, name), (18, name))
    )
    body = struct.pack(">I", 0) + fixed + tail + struct.pack(">HH", 0xFFFF, 0)
    return struct.pack(">I4s", 8 + len(body), b"alis") + body


def url(target: str) -> bytes:
    body = struct.pack(">I", 0) + target.encode() + b"\0"
    return struct.pack(">I4s", 8 + len(body), b"url ") + body


def test_samples_that_are_said_to_lie_elsewhere_are_not_fetched(
    readers: dict[str, Read], listener: Listener, clip: Path, tmp_path: Path
) -> None:
    whole, other = clip.read_bytes(), tmp_path / "other.mov"
    other.write_bytes(whole)
    begin, end = whole.index(b"mdat") + 4, whole.index(b"moov") - 4
    hollow = whole[:begin] + bytes(end - begin) + whole[end:]  # its samples can only come from elsewhere
    with av.open(
        io.BytesIO(with_reference(hollow, alias(str(other)))),
        container_options={"enable_drefs": "1", "use_absolute_path": "1", "protocol_whitelist": "file"},
    ) as followed:
        assert next(followed.decode(video=0)).width == 128  # a real attack, where it is allowed
    targets = (f"http://127.0.0.1:{listener.port}/x", "file:///etc/passwd", "/etc/passwd", str(other))
    for entry in (*map(url, targets), *map(alias, targets)):
        for read in readers.values():
            with pytest.raises(errors.CannotDecode) as caught:
                read(with_reference(hollow, entry))
            assert SECRET.decode() not in str(caught.value)
    assert listener.calls == 0


# --- AVI whose subtitles are a file of their own inside (GAB2): FFmpeg chooses a demuxer for them


@pytest.fixture
def avi(tmp_path: Path, clips: type) -> bytes:
    path: Path = clips.write(tmp_path / "plain.avi", range(0, 1000, 40), codec="mpeg4", options={"bf": "0"})
    return path.read_bytes()


def with_subtitles(whole: bytes, inside: bytes) -> bytes:
    """The AVI with a second stream, of subtitles, whose one packet is a file."""
    body = b"GAB2\0" + struct.pack("<HI", 2, 0) + struct.pack("<HI", 4, len(inside)) + inside
    body += bytes(len(body) % 2)
    strh = struct.pack(
        "<4s4sIHHIIIIIIIIHHHH", b"txts", bytes(4), 0, 0, 0, 0, 1, 25, 0, 1, 0, 0, 0, 0, 0, 0, 0
    )
    strl = b"strl" + b"strh" + struct.pack("<I", len(strh)) + strh + b"strf" + struct.pack("<I", 0)
    strl = b"LIST" + struct.pack("<I", len(strl)) + strl
    movi = whole.index(b"movi") + 4
    header = whole.index(b"hdrl") - 8
    size = struct.unpack_from("<I", whole, header + 4)[0]
    data = bytearray(whole[: header + 8 + size] + strl + whole[header + 8 + size : movi])
    struct.pack_into("<I", data, header + 4, size + len(strl))
    avih = data.index(b"avih") + 8
    struct.pack_into("<I", data, avih + 24, 2)  # streams
    return bytes(data) + b"01tx" + struct.pack("<I", len(body)) + body + whole[movi:]


def test_a_playlist_as_subtitles_inside_an_avi(
    readers: dict[str, Read], listener: Listener, avi: bytes
) -> None:
    attack = with_subtitles(avi, m3u8(f"http://127.0.0.1:{listener.port}/x.ts"))
    for read in readers.values():
        with suppress(errors.MediaError):
            read(attack)
    assert listener.calls == 0


def test_a_file_inside_an_avi_is_read_by_another_demuxer_unless_that_is_forbidden(avi: bytes) -> None:
    """FFmpeg does it with any file that it takes for SubRip; ours leaves the packet unread."""
    attack = with_subtitles(avi, subtitles("words inside")["srt"] + b"\n")
    with av.open(io.BytesIO(attack)) as lax:
        assert next(bytes(packet) for packet in lax.demux(lax.streams[1])) == b"words inside"
    with open_container(io.BytesIO(attack), "video") as ours:
        assert [stream.codec_context for stream in ours.streams if stream.type == "subtitle"] == [None]
        assert b"".join(bytes(packet) for packet in ours.demux(ours.streams[1])) == b""
