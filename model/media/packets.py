"""A container and one of its streams in; its packets, their times and which of them to decode out."""

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.errors import CannotDecode, VideoTooLong
from model.media.streams import VideoLimits
from model.media.targets import PacketTable

# Codecs whose keyframes can be started from, bit for bit: all that follows a keyframe in decoding and in
# presentation refers to nothing before it. H.264 is one only at IDR pictures, which is looked at below.
_CLEAN_KEYFRAMES = ("h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "prores", "mjpeg", "dnxhd")
_AVCC_EXTRADATA = 1  # first byte of an avcC record: NAL units carry their length in front
_NAL_IDR = 5
# Times its fair share of the packets that a decoder may get: one with two threads of its own is 1.3 to
# 1.4 times as fast as one with one (H.264, 720p), so beyond that it does better.
UNEVEN = 1.4
_VP8_SHOWN = 0x10  # bit of a VP8 frame's first byte; without it the frame is only referred to


@dataclass(frozen=True, slots=True)
class Shown:
    """The frames that a stream presents, in order; in shapes, n >= 1 frames, times in ticks."""

    ticks: NDArray[np.int64]  # (n,) presentation times, ascending, distinct
    keyframe: NDArray[np.bool_]  # (n,)
    stays: NDArray[np.int64]  # (n,) how long each is shown; 0 where the packet does not say
    tick_s: float

    def table(self) -> PacketTable:
        """The same in seconds from the first frame."""
        since = self.ticks - self.ticks[0]
        usual = float(np.median(np.diff(since))) if len(since) > 1 else 0.0
        end = float(since[-1]) + (float(self.stays[-1]) or usual)
        return PacketTable(since * self.tick_s, self.keyframe, end * self.tick_s)

    def seconds(self, ticks: Sequence[int]) -> NDArray[np.float64]:
        """Ticks as seconds from the first frame."""
        return np.asarray((np.array(ticks, np.int64) - self.ticks[0]) * self.tick_s, np.float64)

    def only(self, seen: Collection[int]) -> "Shown":
        """Those that were really decoded, for streams in which not all can be; `seen` (m >= 1) ticks."""
        decoded = np.unique(np.fromiter(seen, np.int64))
        found = np.isin(decoded, self.ticks)
        row = np.minimum(np.searchsorted(self.ticks, decoded), len(self.ticks) - 1)
        return Shown(decoded, self.keyframe[row] & found, np.where(found, self.stays[row], 0), self.tick_s)


@dataclass(frozen=True, slots=True)
class Packets:
    """All packets of one video stream, in decoding order; in shapes, p packets."""

    packets: "list[Packet[VideoStream]]"
    ticks: NDArray[np.int64]  # (p,) presentation time of each packet
    clean: NDArray[np.bool_]  # (p,) whether decoding may start here
    shown: Shown
    cut_off: bool  # the container ended in an error or amid a packet
    certain: bool  # whether part of the packets may be decoded without the rest

    def runs(self, needed: Collection[int]) -> list[slice]:
        """The packets to decode to see the frames of ticks `needed`, as runs that each begin cleanly."""
        ticks = self.ticks.tolist()
        index = {tick: i for i, tick in enumerate(ticks)}
        starts: list[int] = np.flatnonzero(self.clean).tolist()
        runs: list[slice] = []
        for last in sorted(index[tick] for tick in needed):
            at = bisect_right(starts, last) - 1
            # A picture that leads its keyframe refers to what comes before it.
            while at > 0 and ticks[starts[at]] > ticks[last]:
                at -= 1
            first = starts[max(0, at)]
            while runs and first <= runs[-1].stop:
                first = min(first, runs.pop().start)
            runs.append(slice(first, last + 1))
        return runs

    def shares(self, needed: Collection[int], count: int) -> list[list[slice]]:
        """`runs`, cut where that loses nothing and dealt out to `count` decoders, in order.

        One decoder gets all where the longest share is too long: its own threads are quicker then. Every one
        begins with the first packet: there x264 says which release it is, and FFmpeg mends what old ones did
        (without, releases before 151 give garbage in 4:4:4).
        """
        pieces = [piece for run in self.runs(needed) for piece in self._pieces(run)]
        lengths = np.array([piece.stop - piece.start for piece in pieces])
        middles = np.cumsum(lengths) - lengths / 2
        share = (middles * count / lengths.sum()).astype(np.intp)
        if np.bincount(share, lengths).max() * count > UNEVEN * lengths.sum():
            share[:] = 0
        dealt: dict[int, list[slice]] = {}
        for i, piece in zip(share.tolist(), pieces, strict=True):
            own = dealt.setdefault(i, [] if piece.start == 0 else [slice(0, 1)])
            if own and own[-1].stop == piece.start:
                piece = slice(own.pop().start, piece.stop)
            own.append(piece)
        return list(dealt.values())

    def _pieces(self, run: slice) -> list[slice]:
        """A run, cut at every clean packet after which nothing is presented that comes before it."""
        ticks = self.ticks[run]
        earliest = np.minimum.accumulate(ticks[::-1])[::-1]
        cuts = (np.flatnonzero(self.clean[run] & (earliest == ticks)) + run.start).tolist()
        bounds = sorted({run.start, *cuts, run.stop})
        return [slice(first, stop) for first, stop in pairwise(bounds)]


def read_packets(container: InputContainer, stream: VideoStream, limits: VideoLimits) -> Packets:
    """Demultiplex one stream whole; nothing is decoded.

    Raises:
        VideoTooLong: the presentation times span more than the limits allow.
        CannotDecode: there is not one packet.
    """
    packets: list[Packet[VideoStream]] = []
    tick_s = float(stream.time_base or 1)
    most = limits.max_duration_s / tick_s
    first, last, failed = 2**63, -(2**63), False
    try:
        for packet in container.demux(stream):
            tick = _tick(packet)
            if packet.size == 0 or tick is None:
                continue
            packets.append(packet)
            first, last = min(tick, first), max(tick, last)
            if last - first > most:
                raise _too_long(limits)
    except FFmpegError as error:
        reraise_out_of_memory(error)
        failed = True
    if not packets:
        raise CannotDecode("the file holds no frame of its picture: export or upload it again")
    tabulated = _tabulate(packets, stream, tick_s, failed or packets[-1].is_corrupt)
    if tabulated.shown.table().duration_s > limits.max_duration_s:
        raise _too_long(limits)
    return tabulated


def _too_long(limits: VideoLimits) -> VideoTooLong:
    return VideoTooLong(f"the video is longer than the {limits.max_duration_s:g} s that are allowed: cut it")


def reraise_out_of_memory(error: FFmpegError) -> None:
    """FFmpeg's damaged data may be passed over; its lack of memory may not."""
    if isinstance(error, MemoryError):
        raise error


def _tick(packet: "Packet[VideoStream]") -> int | None:
    return packet.dts if packet.pts is None else packet.pts


def _tabulate(
    packets: "list[Packet[VideoStream]]", stream: VideoStream, tick_s: float, cut_off: bool
) -> Packets:
    codec = stream.codec_context.name
    ticks = np.array([_tick(packet) for packet in packets], np.int64)
    key = np.array([packet.is_keyframe for packet in packets])
    visible = np.array([_is_shown(packet, codec) for packet in packets])
    visible &= ticks >= ticks[np.argmax(key)]  # pictures that lead the first keyframe lack what they refer to
    if not visible.any():
        visible[:] = True
    distinct, row = np.unique(ticks[visible], return_index=True)
    rows = np.flatnonzero(visible)[row]
    stays = np.array([packets[i].duration or 0 for i in rows], np.int64)
    clean = key & np.array([codec != "h264" or _is_idr(packet, stream) for packet in packets])
    certain = (
        not cut_off
        and codec in _CLEAN_KEYFRAMES
        and bool(clean[0])
        and len(np.unique(ticks)) == len(ticks)
        and all(packet.pts is not None and not packet.is_corrupt for packet in packets)
        and not any(packet.has_sidedata("new_extradata") for packet in packets[1:])
    )
    return Packets(packets, ticks, clean, Shown(distinct, key[rows], stays, tick_s), cut_off, certain)


def _is_shown(packet: "Packet[VideoStream]", codec: str) -> bool:
    if packet.is_discard:  # an edit list cuts it away
        return False
    return codec != "vp8" or bool(memoryview(packet)[0] & _VP8_SHOWN)


def _is_idr(packet: "Packet[VideoStream]", stream: VideoStream) -> bool:
    """Whether an H.264 packet begins an instantaneous refresh (ITU-T H.264, 7.4.1.2.4)."""
    if not packet.is_keyframe:
        return False
    extradata = stream.codec_context.extradata or b""
    data = bytes(memoryview(packet))
    if extradata[:1] != bytes([_AVCC_EXTRADATA]) or len(extradata) < 5:
        return any(unit[:1] and unit[0] & 31 == _NAL_IDR for unit in data.split(b"\0\0\1")[1:])
    length_bytes = (extradata[4] & 3) + 1
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        if data[at + length_bytes] & 31 == _NAL_IDR:
            return True
        at += length_bytes + max(1, size)
    return False
