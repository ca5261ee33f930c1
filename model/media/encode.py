"""Samples and pictures in, media files that browsers play out; the same input gives the same bytes."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.artifact import ASIDE

Floats = NDArray[np.float32]
AudioCodec = Literal["aac", "flac", "wav"]

# File format, encoder and sample format of each kind; 24 bits of flac lie in the upper bits of 32.
_KINDS: dict[str, tuple[str, str, str]] = {
    "aac": ("mp4", "aac", "fltp"),
    "flac": ("flac", "flac", "s32"),
    "wav": ("wav", "pcm_s24le", "s32"),
}
# FFmpeg's default AAC search is slower and worse: at 160 kb/s 33 dB median segmental SNR on music against
# 44 dB of "fast" (FFmpeg 8.1, measured on one track), and audible bursts on plain tones.
_FAST_AAC = {"aac_coder": "fast"}
_SOUND_BLOCK = 1024  # samples handed to an encoder at a time
_STEPS_24_BIT = 2**23  # a power of two: samples of fewer bits stay so, and FLAC drops the empty ones


def write_audio(
    path: Path,
    samples: Floats,
    rate_hz: int,
    *,
    codec: AudioCodec,
    bit_rate: int = 160_000,
) -> None:
    """Write sound; `path` appears whole or not at all.

    Args:
        path: its ending is not looked at; .m4a suits "aac", which gets its index in front (fast start).
        samples: (n,) or (n, 2) float32; full scale is 1, what lies beyond is clipped.
        rate_hz: of the samples; AAC knows 8 to 96 kHz.
        codec: "aac" in MP4, "flac" with 24 bits or "wav" with 24 bits.
        bit_rate: of AAC, bits a second.
    """
    container_format, encoder, sample_format = _KINDS[codec]
    with _aside(path) as part, _create(part, container_format, rate_hz) as container:
        stream = _add_sound(container, encoder, samples, rate_hz, sample_format)
        if codec == "aac":
            stream.codec_context.bit_rate = bit_rate
        for start in range(0, len(samples), _SOUND_BLOCK):
            container.mux(stream.encode(_sound_frame(samples, start, rate_hz, sample_format)))
        container.mux(stream.encode(None))


class VideoWriter:
    """Writes H.264 (yuv420p) and AAC into MP4, picture by picture; the file appears if all goes well.

    Use it as a context manager: `with VideoWriter(path, 640, 360, 25) as video: video.write(picture)`.
    """

    def __init__(
        self,
        path: Path,
        width_px: int,
        height_px: int,
        fps: int,
        *,
        sound: Floats | None = None,
        sound_rate_hz: int = 44_100,
        crf: int = 23,
        preset: str = "veryfast",
    ) -> None:
        """Sizes must be even, as 4:2:0 wants; `sound` is (n,) or (n, 2); `crf` 0..51, less is better."""
        if width_px % 2 or height_px % 2:
            raise ValueError(f"H.264 4:2:0 needs even sides, got {width_px}x{height_px}")
        self._path = path
        self._size_px = (width_px, height_px)
        self._fps = fps
        self._sound, self._sound_rate_hz = sound, sound_rate_hz
        self._options = {"crf": str(crf), "preset": preset}

    def __enter__(self) -> Self:
        self._aside = _aside(self._path)
        self._container = _create(self._aside.__enter__(), "mp4", lcm(self._fps, self._sound_rate_hz))
        self._picture = self._add_picture()
        self._voice: AudioStream | None = None
        if self._sound is not None:
            self._voice = _add_sound(self._container, "aac", self._sound, self._sound_rate_hz, "fltp")
        self._scaler = VideoReformatter()
        self._frames = self._samples = 0
        return self

    def _add_picture(self) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self._fps, options=self._options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = self._size_px
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.flags |= Flags.bitexact
        context.thread_count = 1  # the same bytes on every machine; processes, not threads, use its cores
        context.colorspace, context.color_range = int(Colorspace.ITU709), int(ColorRange.MPEG)
        context.color_primaries, context.color_trc = int(ColorPrimaries.BT709), int(ColorTrc.BT709)
        return stream

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append one picture, (height_px, width_px, 3) uint8 RGB."""
        if frame.shape != (self._size_px[1], self._size_px[0], 3):
            raise ValueError(f"want a picture of {self._size_px[::-1]} x 3, got {frame.shape}")
        picture = self._scaler.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=int(Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT),
            threads=1,
        )
        picture.pts, picture.time_base = self._frames, Fraction(1, self._fps)
        self._container.mux(self._picture.encode(picture))
        self._frames += 1
        self._write_sound(until_s=self._frames / self._fps)

    def _write_sound(self, until_s: float) -> None:
        """Keep the sound beside the picture, so that players need not search."""
        if self._voice is None or self._sound is None:
            return
        while self._samples < min(len(self._sound), until_s * self._sound_rate_hz):
            frame = _sound_frame(self._sound, self._samples, self._sound_rate_hz, "fltp")
            self._container.mux(self._voice.encode(frame))
            self._samples += frame.samples

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._container.mux(self._picture.encode(None))
                self._write_sound(until_s=float("inf"))
                if self._voice is not None:
                    self._container.mux(self._voice.encode(None))
        finally:
            self._container.close()
            self._aside.__exit__(kind, error, trace)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, or goes if anything failed."""
    part = path.with_name(f"{ASIDE}{path.name}-{secrets.token_hex(4)}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _create(path: Path, container_format: str, clock_hz: int) -> OutputContainer:
    """Open a file to write; MP4 counts its length in 1/clock_hz s, and players cut off what is beyond it."""
    options = {"fflags": "+bitexact"}
    if container_format == "mp4":
        options |= {"movflags": "+faststart", "movie_timescale": str(clock_hz)}
    return av.open(str(path), "w", format=container_format, container_options=options)


def _add_sound(
    container: OutputContainer, encoder: str, samples: Floats, rate_hz: int, sample_format: str
) -> AudioStream:
    options = dict(_FAST_AAC) if encoder == "aac" else {}
    stream = container.add_stream(encoder, rate=rate_hz, options=options)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = _layout(samples)
    stream.codec_context.format = sample_format
    stream.codec_context.flags |= Flags.bitexact
    return stream


def _layout(samples: Floats) -> str:
    match samples.shape:
        case (_,) | (_, 1):
            return "mono"
        case (_, 2):
            return "stereo"
        case shape:
            raise ValueError(f"want samples (n,) or (n, 2), got {shape}")


def _sound_frame(samples: Floats, start: int, rate_hz: int, sample_format: str) -> AudioFrame:
    block = np.clip(samples[start : start + _SOUND_BLOCK], -1, 1).reshape(-1, samples[0].size)  # (n, c)
    frame = AudioFrame.from_ndarray(_encodable(block, sample_format), sample_format, _layout(samples))
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
    return frame


def _encodable(block: Floats, sample_format: str) -> NDArray[Any]:
    if sample_format == "fltp":
        return np.ascontiguousarray(block.T, np.float32)
    steps = np.clip(np.rint(block.astype(np.float64) * _STEPS_24_BIT), -_STEPS_24_BIT, _STEPS_24_BIT - 1)
    return (steps.astype(np.int32) << 8).reshape(1, -1)
