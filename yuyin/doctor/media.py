"""FFmpeg inside PyAV in, what it really reads out: every line has encoded and decoded something."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from yuyin.doctor.finding import Check, Finding, Group

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.media.child import Decoder
    from model.media.sandbox import Guards
    from model.media.streams import VideoStreams

FRAMES, SIDE_PX, FPS = 12, 64, 25
RATE_HZ, PITCH_HZ = 48_000, 440
TINY_BYTES = 1_000_000  # far below what decoding takes
GREY_TOLERANCE = 6  # of 255; what a codec at its default quality changes in a flat picture is 2
REINSTALL = "pip install --force-reinstall --only-binary av 'av>=18,<20'"


@dataclass(frozen=True, slots=True)
class Format:
    """A codec, and how FFmpeg is asked to make a sample of it."""

    name: str
    decoder: str
    encoder: str
    layout: str  # of pixels or samples
    ending: str
    options: dict[str, str] = field(default_factory=dict)


VIDEO = (  # what editors send besides H.264
    Format("HEVC", "hevc", "libx265", "yuv420p", "mp4", {"x265-params": "log-level=none"}),
    Format("VP9", "vp9", "libvpx-vp9", "yuv420p", "webm", {"cpu-used": "8"}),
    Format("AV1", "libdav1d", "libsvtav1", "yuv420p", "mp4", {"preset": "10"}),
    Format("ProRes", "prores", "prores_ks", "yuv422p10le", "mov"),
)
MUSIC = (  # what pools are made of
    Format("MP3", "mp3", "libmp3lame", "fltp", "mp3"),
    Format("AAC", "aac", "aac", "fltp", "m4a"),
    Format("FLAC", "flac", "flac", "s16", "flac"),
    Format("Vorbis", "vorbis", "vorbis", "fltp", "ogg", {"strict": "experimental"}),
    Format("Opus", "opus", "libopus", "s16", "ogg"),
)


def ffmpeg(_: Path) -> Finding:
    """The versions of what touches media."""
    import av

    return Finding("ok", f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}")


def house_clip(_: Path) -> Finding:
    """H.264 and AAC as previews are written, read back in the confined process that reads uploads."""
    from model.errors import MediaError
    from model.media.audio import read_audio
    from model.media.child import Decoder
    from model.media.streams import VideoLimits, VideoRecipe

    with TemporaryDirectory() as folder, Decoder(VideoLimits()) as decoder:
        clip = _write_clip(Path(folder))
        try:
            fault = picture_fault(decoder.read_video(clip, VideoRecipe()))
            fault = fault or sound_fault(read_audio(clip, RATE_HZ))
        except MediaError as error:
            fault = str(error)
    if fault:
        return Finding("missing", f"written, but not read back: {fault}", REINSTALL)
    return Finding("ok", f"{FRAMES} frames and their sound written, and read back in the decoding process")


def confinement(_: Path) -> Finding:
    """A decoding process that may use next to no memory must fail."""
    from model.errors import MediaError
    from model.media.child import Decoder
    from model.media.streams import VideoLimits, VideoRecipe

    limits = VideoLimits(max_memory_bytes=TINY_BYTES)
    with TemporaryDirectory() as folder, Decoder(limits) as decoder:
        clip = _write_clip(Path(folder))
        try:
            decoder.read_video(clip, VideoRecipe())
        except MediaError:
            return Finding("ok", "a decoding process cannot take more memory than its limit")
    fix = "this kernel ignores RLIMIT_AS: limit the memory of the whole service, in a container or a unit"
    return Finding("degraded", f"a video was decoded although {TINY_BYTES:,} bytes were allowed", fix)


def sandbox(store: Path) -> Finding:
    """What keeps a decoder in that a hostile file has conquered: one is started and tries to get out."""
    from model.media.child import Decoder
    from model.media.streams import VideoLimits
    from yuyin.doctor.serving import settings_or_defaults

    with Decoder(VideoLimits()) as decoder:
        return judge_guards(decoder.guards(), required=settings_or_defaults(store).sandbox == "require")


def judge_guards(guards: "Guards", *, required: bool) -> Finding:
    """The filter of system calls is the guard that counts; the network namespace is one more wall."""
    held = ["demuxers and protocols listed", "resource limits"]
    held += ["system calls filtered"] if guards.calls_filtered else []
    held += ["no network"] if guards.off_network else []
    found = ", ".join(held)
    if guards.possible:
        found += f"; a decoder could still {', '.join(guards.possible)}"
    if guards.calls_filtered and not guards.possible:
        return Finding("ok", found)
    fix = "allow seccomp to this container (the default profiles of Docker and Podman do)"
    if required:
        return Finding("missing", found, f"{fix}; until then uploads are refused, see YUYIN_SANDBOX")
    return Finding("degraded", found, fix)


def video(_: Path) -> Finding:
    """The other codecs of rough cuts, through the confined process."""
    from model.media.child import Decoder
    from model.media.streams import VideoLimits

    with TemporaryDirectory() as folder, Decoder(VideoLimits()) as decoder:
        return _judge_each(VIDEO, lambda codec: _try_video(codec, Path(folder), decoder))


def music(_: Path) -> Finding:
    """The codecs of music pools."""
    with TemporaryDirectory() as folder:
        return _judge_each(MUSIC, lambda codec: _try_music(codec, Path(folder)))


def _judge_each(codecs: tuple[Format, ...], attempt: Callable[[Format], str]) -> Finding:
    """Try what this FFmpeg can make a sample of; of the rest only look whether there is a decoder."""
    from av.codec import codecs_available
    from av.error import FFmpegError

    from model.errors import MediaError

    faults: dict[str, str] = {}
    untried: list[str] = []
    for codec in codecs:
        if codec.decoder not in codecs_available:
            faults[codec.name] = "no decoder"
        elif codec.encoder not in codecs_available:
            untried.append(codec.name)
        else:
            try:
                faults[codec.name] = attempt(codec)
            except (MediaError, FFmpegError) as error:
                faults[codec.name] = str(error)
    return judge_codecs(faults, untried)


def judge_codecs(faults: dict[str, str], untried: list[str]) -> Finding:
    """By codec what is wrong with it, nothing where it was read; those without an encoder to test them."""
    read = ", ".join(name for name, fault in faults.items() if not fault)
    found = f"{read} read" if read else "none read"
    found += f"; {', '.join(untried)} not tried, no encoder" if untried else ""
    broken = "; ".join(f"{name}: {fault}" for name, fault in faults.items() if fault)
    return Finding("degraded", f"{found}; {broken}", REINSTALL) if broken else Finding("ok", found)


def greys() -> "NDArray[np.float64]":
    """(FRAMES,) the level of every picture of a sample: rising, so that a lost or swapped one shows."""
    import numpy as np

    return np.linspace(40, 215, FRAMES).round()


def picture_fault(streams: "VideoStreams") -> str:
    """What differs from the pictures that were written; empty if nothing does."""
    if len(streams.motion) != FRAMES:
        return f"{len(streams.motion)} of {FRAMES} pictures came back"
    worst = float(abs(streams.motion.mean(axis=(1, 2)) - greys()).max())
    return f"a picture is off by {worst:.0f} levels" if worst > GREY_TOLERANCE else ""


def sound_fault(samples: "NDArray[np.float32]") -> str:
    """The same of the tone: its pitch, to 1 %."""
    import numpy as np

    if len(samples) < RATE_HZ // 4:
        return f"{len(samples)} samples of sound came back"
    spectrum = abs(np.fft.rfft(samples * np.hanning(len(samples))))
    heard_hz = float(spectrum.argmax() * RATE_HZ / len(samples))
    off = abs(heard_hz - PITCH_HZ) > PITCH_HZ / 100 + RATE_HZ / len(samples)
    return f"a tone of {PITCH_HZ} Hz came back at {heard_hz:.0f}" if off else ""


def _tone() -> "NDArray[np.float32]":
    """(n,) as long as the pictures."""
    import numpy as np

    t = np.arange(RATE_HZ * FRAMES // FPS) / RATE_HZ
    tone: NDArray[np.float32] = (0.5 * np.sin(2 * np.pi * PITCH_HZ * t)).astype(np.float32)
    return tone


def _write_clip(folder: Path) -> Path:
    import numpy as np

    from model.media.encode import VideoWriter

    path = folder / "clip.mp4"
    with VideoWriter(path, SIDE_PX, SIDE_PX, FPS, sound=_tone(), sound_rate_hz=RATE_HZ) as writer:
        for grey in greys():
            writer.write(np.full((SIDE_PX, SIDE_PX, 3), grey, np.uint8))
    return path


def _try_video(codec: Format, folder: Path, decoder: "Decoder") -> str:
    import av
    import numpy as np
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from model.media.streams import VideoRecipe

    path = folder / f"clip.{codec.ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec.encoder, rate=FPS, options=codec.options)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = codec.layout
        for grey in greys():
            picture = VideoFrame.from_ndarray(np.full((SIDE_PX, SIDE_PX, 3), grey, np.uint8), "rgb24")
            container.mux(stream.encode(picture.reformat(format=codec.layout)))
        container.mux(stream.encode(None))
    return picture_fault(decoder.read_video(path, VideoRecipe()))


def _try_music(codec: Format, folder: Path) -> str:
    import av
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream

    from model.media.audio import read_audio

    path = folder / f"music.{codec.ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec.encoder, rate=RATE_HZ, options=codec.options)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "stereo"
        sound = AudioFrame.from_ndarray(_tone()[None], "fltp", "mono")
        sound.sample_rate, sound.pts, sound.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        for frame in AudioResampler(codec.layout, "stereo", RATE_HZ).resample(sound):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sound_fault(read_audio(path, RATE_HZ))


GROUP = Group(
    "codecs",
    (
        Check("FFmpeg", ffmpeg),
        Check("H.264 and AAC", house_clip),
        Check("memory limit", confinement),
        Check("sandbox", sandbox),
        Check("other cuts", video, REINSTALL, unanswered="degraded"),
        Check("music", music, REINSTALL, unanswered="degraded"),
    ),
)
