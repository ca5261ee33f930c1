"""Any media file with sound in, float32 samples at the wanted rate out, on the picture's clock or its own.

Time 0 is the first frame of the picture where there is one, else the first sample. The decoder's priming
(AAC, MP3, Opus) is gone: FFmpeg drops what the container marks as such. Sound that begins later is preceded
by silence and gaps are silent, so that sample i is heard at i / rate_hz.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from numpy.typing import NDArray

from model.errors import BadOptions, CannotDecode
from model.media.container import STILL, audio_stream, open_container, open_source
from model.media.packets import reraise_out_of_memory

Floats = NDArray[np.float32]

PREROLL_S = 1.0  # decoded before a part and thrown away: bit reservoirs, overlaps, the resampler's filter
TAIL_S = 0.5  # likewise behind it
GAP_S = 0.05  # time stamps that jump by less are rounding (Matroska counts milliseconds), not silence
LONGEST_GAP_S = 60.0  # time stamps that jump by more are broken, not silence
# Where a part need not be decoded from the beginning: time stamps name the exact sample, and the decoder has
# no memory beyond the preroll (AAC has: the noise that it substitutes depends on all that came before).
_COUNTED = ("mov,mp4,m4a,3gp,3g2,mj2", "mp3", "flac", "wav", "aiff")
_FORGETFUL = ("mp3", "mp3float", "flac", "alac", "pcm_")
_FULL_SCALE = {"u8": 2.0**7, "s16": 2.0**15, "s32": 2.0**31, "s64": 2.0**63}
_BLOCK_SAMPLES = 1 << 16  # pushed into the resampler at a time


@dataclass(frozen=True, slots=True)
class _Sound:
    """What was decoded, at the file's own rate; in shapes, n samples and c channels."""

    samples: Floats  # (c, n)
    rate_hz: int
    first: int  # which sample of the clock that starts at time 0 samples[:, 0] is


def read_audio(
    source: Path | bytes,
    rate_hz: int,
    *,
    mono: bool = True,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> Floats:
    """Decode sound, mix it down if wanted, and resample it (polyphase, libswresample).

    Args:
        source: a file or its bytes, of any container that carries sound.
        rate_hz: of the result.
        mono: the mean of all channels; otherwise the channels as they are.
        start_s: where to begin; the result is the slice of the whole from round(start_s * rate_hz) on.
        duration_s: how much of it; None for all. The end of the sound may make it shorter.

    Returns:
        (n,) float32 if mono else (n, c), full scale at 1, not clipped.

    Raises:
        MediaError: one of its kinds, by what is wrong with the file.
        BadOptions: a rate, start or duration that makes no sense.
    """
    if rate_hz <= 0 or start_s < 0 or (duration_s is not None and duration_s < 0):
        raise BadOptions("rate_hz must be positive, start_s and duration_s not negative")
    end_s = None if duration_s is None else start_s + duration_s
    with open_source(source) as file, open_container(file, "audio") as container:
        sound = _decode(container, audio_stream(container), mono, start_s, end_s)
    first, samples = _resample(sound, rate_hz)
    begin, end = round(start_s * rate_hz), first + samples.shape[1]
    end = end if end_s is None else min(end, round(end_s * rate_hz))
    part = np.zeros((len(samples), max(0, end - begin)), np.float32)  # silent until the sound begins
    heard = samples[:, max(0, begin - first) : max(0, end - first)]
    part[:, part.shape[1] - heard.shape[1] :] = heard
    return part[0] if mono else np.ascontiguousarray(part.T)


def _decode(
    container: InputContainer, stream: AudioStream, mono: bool, start_s: float, end_s: float | None
) -> _Sound:
    """Decode from a little before `start_s` to a little behind `end_s`, with silence in the gaps."""
    stream.codec_context.thread_count = 1  # waking a thread is more work than a frame of sound
    zero_s = _picture_start_s(container)
    packets = _packets(container, stream)
    opening = next(_frames(stream, packets), None)
    if opening is None:
        raise CannotDecode("no part of the sound can be decoded: export or upload it again")
    zero_s = zero_s if zero_s is not None else opening.time or 0.0
    skips = container.format.name in _COUNTED and stream.codec_context.name.startswith(_FORGETFUL)
    since_s = start_s - PREROLL_S if skips else -np.inf
    until_s = np.inf if end_s is None else end_s + TAIL_S
    part = [packet for packet in packets if since_s <= _time_s(packet) - zero_s <= until_s]
    return _join(_frames(stream, part), opening, mono, zero_s)


def _join(frames: Iterator[AudioFrame], opening: AudioFrame, mono: bool, zero_s: float) -> _Sound:
    """Frames side by side; `opening`, the file's first, says of which rate and how many channels."""
    blocks = [_channels(opening, mono)[:, :0]]
    rate_hz, first, length = opening.sample_rate, 0, 0
    for frame in frames:
        block = _channels(frame, mono)
        if frame.sample_rate != rate_hz or len(block) != len(blocks[0]):
            break  # another programme begins: rare, and of no use as one piece of sound
        at = first + length if frame.time is None else round((frame.time - zero_s) * rate_hz)
        if length == 0:
            first = at
        gap = at - first - length
        if GAP_S * rate_hz < gap < LONGEST_GAP_S * rate_hz:
            blocks.append(np.zeros((len(block), gap), np.float32))
            length += gap
        blocks.append(block)
        length += block.shape[1]
    return _Sound(np.concatenate(blocks, axis=1), rate_hz, first)


def _packets(container: InputContainer, stream: AudioStream) -> "list[Packet[AudioStream]]":
    packets: list[Packet[AudioStream]] = []
    try:
        packets.extend(packet for packet in container.demux(stream) if packet.size)
    except FFmpegError as error:  # cut off: what came before is good
        reraise_out_of_memory(error)
    return packets


def _time_s(packet: "Packet[AudioStream]") -> float:
    return float((packet.pts or 0) * packet.time_base)


def _frames(stream: AudioStream, packets: "list[Packet[AudioStream]]") -> Iterator[AudioFrame]:
    """Decode packets from a fresh start; those that are damaged give nothing."""
    context = stream.codec_context
    if context.is_open:
        context.flush_buffers()
    for packet in [*packets, None]:
        try:
            yield from context.decode(packet)
        except FFmpegError as error:
            reraise_out_of_memory(error)


def _picture_start_s(container: InputContainer) -> float | None:
    """When the first moving picture begins on the container's clock; None if there is none."""
    for stream in container.streams.video:
        if not stream.disposition & STILL and stream.start_time is not None and stream.time_base is not None:
            return float(stream.start_time * stream.time_base)
    return None


def _channels(frame: AudioFrame, mono: bool) -> Floats:
    """(c, n) float32 of a decoded frame, (1, n) mean of the channels if `mono`."""
    raw = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(-1, frame.layout.nb_channels).T
    if raw.dtype.kind == "u":
        raw = raw.astype(np.int16) - 2**7
    scale = _FULL_SCALE.get(frame.format.packed.name, 1.0)
    samples = np.asarray(raw * np.float32(1 / scale), np.float32)
    return samples.mean(axis=0, keepdims=True, dtype=np.float32) if mono else samples


def _resample(sound: _Sound, rate_hz: int) -> tuple[int, Floats]:
    """Sound at another rate, and which sample of the clock its first is.

    Both clocks agree every 1/gcd s; resampling begins at such a point, so that a part of a file gives the
    same samples as the whole.
    """
    common = gcd(sound.rate_hz, rate_hz)
    step_in, step_out = sound.rate_hz // common, rate_hz // common
    cell = max(0, sound.first // step_in)
    offset = sound.first - cell * step_in
    samples = sound.samples[:, -offset:] if offset < 0 else np.pad(sound.samples, ((0, 0), (offset, 0)))
    if sound.rate_hz != rate_hz and samples.shape[1]:
        samples = _swresample(np.ascontiguousarray(samples), sound.rate_hz, rate_hz)
    return cell * step_out, samples


def _swresample(samples: Floats, from_hz: int, to_hz: int) -> Floats:
    """(c, n) to (c, round(n * to / from)), without delay; channels are resampled one by one."""
    wanted = round(samples.shape[1] * Fraction(to_hz, from_hz))
    out = np.zeros((len(samples), wanted), np.float32)
    for channel, result in zip(samples, out, strict=True):
        resampler = AudioResampler(format="fltp", layout="mono", rate=to_hz)
        at = 0
        for block in [*_blocks(channel, from_hz), None]:
            for frame in resampler.resample(block):
                piece = frame.to_ndarray()[0][: wanted - at]
                result[at : at + len(piece)] = piece
                at += len(piece)
    return out


def _blocks(channel: Floats, rate_hz: int) -> Iterator[AudioFrame]:
    for at in range(0, len(channel), _BLOCK_SAMPLES):
        block = AudioFrame.from_ndarray(channel[None, at : at + _BLOCK_SAMPLES], "fltp", "mono")
        block.sample_rate, block.pts, block.time_base = rate_hz, at, Fraction(1, rate_hz)
        yield block
