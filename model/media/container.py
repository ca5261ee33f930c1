"""A path or bytes in, an open container of an allowed kind out, or the typed error that says why not."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from model.errors import (
    CannotDecode,
    EmptyBody,
    Encrypted,
    NoAudioStream,
    NotMedia,
    NoVideoStream,
    VideoTooLarge,
)
from model.media.streams import VideoLimits
from model.media.structure import HEAD_BYTES, container_of, protected_kinds

# Demuxers that may see a file. Playlists (hls, dash, concat), subtitles, images and devices are absent: a
# playlist inside an innocent name reads local files and the network (HackerOne 2016, CVE-2023-6602 ff).
_DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,gif,"
    "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,mxf,ogg,tta,w64,wav,wv"
)
# There is no protocol called none: nothing that a file names can be opened, whatever demuxer would like to.
# MOV may say that its samples lie in another file (dref); off is FFmpeg's own default, said here to stay.
_OPTIONS = {"format_whitelist": _DEMUXERS, "protocol_whitelist": "none", "enable_drefs": "0"}
_LENIENT_PYAV = 19  # from this major version on titles that are not UTF-8 need no option, and there is none
STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image  # cover art


@contextmanager
def open_source(source: Path | bytes, limits: VideoLimits | None = None) -> Iterator[BinaryIO]:
    """The bytes of a media file, seekable, unbuffered by name: FFmpeg never learns what it is called.

    Raises:
        EmptyBody: zero bytes.
        VideoTooLarge: more bytes than the limits allow.
    """
    # Opened by descriptor: the name that FFmpeg sees is then a number, and no ending of it a hint.
    with io.BytesIO(source) if isinstance(source, bytes) else os.fdopen(_descriptor(source), "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size == 0:
            raise EmptyBody("the file has zero bytes: send the whole file")
        if limits is not None and size > limits.max_bytes:
            raise VideoTooLarge(
                f"the file has {size:,} bytes, at most {limits.max_bytes:,} are allowed: send a smaller proxy"
            )
        yield file


def _descriptor(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def open_container(file: BinaryIO, kind: Literal["video", "audio"]) -> Iterator[InputContainer]:
    """Open a container of an allowed kind.

    Raises:
        NotMedia, Encrypted, CannotDecode: told apart by the file's own boxes.
    """
    if kind in protected_kinds(file):
        raise Encrypted(f"the {kind} is protected by DRM: send a file that is not encrypted")
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    try:
        container = _open(file)
    except MemoryError:
        raise
    except (FFmpegError, ValueError) as error:
        raise _why_not_opened(file, head) from error
    with container:
        yield container


def _open(file: BinaryIO) -> InputContainer:
    if int(av.__version__.split(".")[0]) < _LENIENT_PYAV:
        return av.open(file, "r", container_options=_OPTIONS, metadata_errors="replace")
    return av.open(file, "r", container_options=_OPTIONS)


def _why_not_opened(file: BinaryIO, head: bytes) -> NotMedia | Encrypted | CannotDecode:
    claimed = container_of(head)
    if claimed is None:
        return NotMedia("the bytes are no media file that we know: send MP4, MOV, MKV, WebM or AVI")
    if protected_kinds(file):
        return Encrypted("the media is protected by DRM: send a file that is not encrypted")
    return CannotDecode(f"the {claimed} header is damaged or cut off: export or upload the file again")


def video_stream(container: InputContainer, limits: VideoLimits) -> VideoStream:
    """The stream to look at: marked default first, then the most pixels, then the first.

    Raises:
        NoVideoStream: only sound, subtitles or cover art.
        VideoTooLarge: more streams or pixels a side than the limits allow.
        CannotDecode: a picture that no decoder here knows.
    """
    if len(container.streams) > limits.max_streams:
        raise VideoTooLarge(
            f"the file has {len(container.streams)} streams, at most {limits.max_streams} are allowed: "
            "send only the picture and its sound"
        )
    moving = [stream for stream in container.streams.video if not stream.disposition & STILL]
    if not moving:
        raise NoVideoStream("the file has no moving picture: send a video, not a sound file")
    known = [stream for stream in moving if stream.codec_context is not None]
    if not known:
        raise CannotDecode("no decoder for this video codec: send H.264, HEVC, VP9, AV1 or ProRes")
    best = max(known, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index))
    check_side(best.width, best.height, limits)
    return best


def check_side(width_px: int, height_px: int, limits: VideoLimits) -> None:
    """Raise `VideoTooLarge` if a picture has more pixels a side than the limits allow."""
    if max(width_px, height_px) > limits.max_side_px:
        raise VideoTooLarge(
            f"the picture is {width_px}x{height_px} px, at most {limits.max_side_px} px a side are allowed: "
            "send a smaller proxy"
        )


def audio_stream(container: InputContainer) -> AudioStream:
    """The stream to listen to: marked default first, then the first.

    Raises:
        NoAudioStream: no sound at all.
        CannotDecode: a sound that no decoder here knows.
    """
    if not container.streams.audio:
        raise NoAudioStream("the file has no sound: send one with a sound track")
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not known:
        raise CannotDecode("no decoder for this sound codec: send AAC, MP3, FLAC, Opus, Vorbis or PCM")
    return max(known, key=lambda s: (bool(s.disposition & Disposition.default), -s.index))
