"""A video in, its frames and its motion stream out, in this process (`model.media.child`: in another)."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.video.stream import VideoStream

from model.errors import BadOptions, CannotDecode
from model.media.container import open_container, open_source, video_stream
from model.media.geometry import Geometry
from model.media.packets import Packets, Shown, read_packets
from model.media.sight import Sight
from model.media.streams import VideoInfo, VideoLimits, VideoRecipe, VideoStreams
from model.media.structure import is_cut_off
from model.media.targets import PacketTable, choose_frames

LEAST_S = 0.5  # of a damaged video must be there for it to be used
_CODEC_NAMES = {"libdav1d": "av1"}


def read_video(
    source: Path | bytes,
    recipe: VideoRecipe,
    limits: VideoLimits,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> VideoStreams:
    """Decode what a recipe wants of one video.

    Args:
        source: a file or its bytes.
        recipe: which frames, how large, and whether every frame is wanted for motion.
        limits: what the video may be; CPU and memory are held only by `model.media.child.Decoder`.
        start_s: the part to look at, in seconds from the first frame; None for the beginning.
        end_s: likewise; None or anything beyond the last frame for the end.

    Raises:
        MediaError: one of its kinds, by what is wrong with the file.
        BadOptions: the part is empty or lies behind the end.
    """
    with open_source(source, limits) as file:
        return read_video_file(file, recipe, limits, start_s=start_s, end_s=end_s)


def read_video_file(
    file: BinaryIO,
    recipe: VideoRecipe,
    limits: VideoLimits,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> VideoStreams:
    """`read_video` of an open file, seekable and not empty."""
    with open_container(file, "video") as container:
        stream = video_stream(container, limits)
        packets = read_packets(container, stream, limits)
        cut_off = packets.cut_off or is_cut_off(file)
        return _Reading(file, stream, packets, recipe, limits, (start_s, end_s), cut_off).streams()


def _part(table: PacketTable, start_s: float | None, end_s: float | None) -> tuple[float, float]:
    """The asked part, ended by the video's own end."""
    start = start_s or 0.0
    end = table.duration_s if end_s is None else min(end_s, table.duration_s)
    whole = start == 0 and end == table.duration_s  # a single picture may last 0 s
    if not (whole or 0 <= start < end):
        raise BadOptions(
            f"the part from {start:g} s to {end:g} s of a video of {table.duration_s:g} s is empty: "
            "choose start_s below end_s and below the video's length"
        )
    return start, end


class _Reading:
    """One video on its way to streams."""

    def __init__(
        self,
        file: BinaryIO,
        stream: VideoStream,
        packets: Packets,
        recipe: VideoRecipe,
        limits: VideoLimits,
        asked_s: tuple[float | None, float | None],
        cut_off: bool,
    ) -> None:
        self._file = file
        self._stream = stream
        self._packets = packets
        self._recipe = recipe
        self._limits = limits
        self._asked_s = asked_s
        self._warnings = {"truncated"} if cut_off else set[str]()
        self._sight = Sight(stream, recipe, limits, limits.decoder_threads)

    def streams(self) -> VideoStreams:
        """Decode as little as will do, or everything where that is not certain to be the same."""
        shown = self._packets.shown
        wanted, part = self._wanted(shown)
        sure = self._packets.certain and not self._warnings
        if not (sure and self._decode_runs(set(part) if self._recipe.motion else set(wanted), set(wanted))):
            shown = self._decode_all(shown)
        return self._assemble(shown)

    def _wanted(self, shown: Shown) -> tuple[list[int], list[int]]:
        """Ticks of the chosen frames, and of all frames of the part."""
        table = shown.table()
        start_s, end_s = _part(table, *self._asked_s)
        chosen = shown.ticks[choose_frames(table, self._recipe, start_s, end_s)]
        return chosen.tolist(), shown.ticks[table.shown(start_s, end_s)].tolist()

    def _decode_runs(self, needed: set[int], wanted: set[int]) -> bool:
        """Decode only the packets that `needed` frames depend on; False if anything was odd.

        Decoders side by side, one thread and one part of the packets each, are quicker than one with as many
        threads, which wait for each other (measured: 415 ms against 570 for 15 s of 720p on two cores).
        """
        shares = self._packets.shares(needed, self._limits.decoder_threads)
        threads_each = 1 if len(shares) > 1 else self._limits.decoder_threads
        sights: list[Sight] = []
        with ExitStack() as opened, ThreadPoolExecutor(len(shares)) as pool:
            begun = []
            for share in shares:
                stream = self._once_more(opened) if sights else self._stream
                sights.append(Sight(stream, self._recipe, self._limits, threads_each))
                runs = [self._packets.packets[run] for run in share]
                begun.append(pool.submit(sights[-1].decode, runs, wanted, needed))
            failures = sum(decoding.result() for decoding in begun)
        self._sight, *others = sights
        for other in others:
            self._sight.add(other)
        return not failures and needed <= self._sight.seen

    def _once_more(self, opened: ExitStack) -> VideoStream:
        """The same stream with a decoder of its own; its packets are the first one's."""
        container = opened.enter_context(open_container(self._file, "video"))
        return video_stream(container, self._limits)

    def _decode_all(self, shown: Shown) -> Shown:
        """Decode everything; returns what can be shown of it.

        The table of packets stands, even if some frames fail, unless one that it chose is not there or the
        end is cut off: then only what was decoded can be shown.
        """
        wanted, part = self._wanted(shown)
        if self._decode_everything(wanted, part):
            self._warnings.add("damaged")
        if not self._sight.seen:
            raise CannotDecode("no frame of the video can be decoded: export or upload it again")
        if "truncated" in self._warnings or not self._sight.seen.issuperset(wanted):
            shown = shown.only(self._sight.seen)
            self._refuse_scrap(shown)
            wanted, part = self._wanted(shown)
            if not self._seen_in_full(wanted, part):
                self._decode_everything(wanted, part)
        return shown

    def _decode_everything(self, wanted: list[int], part: list[int]) -> int:
        """From a fresh start; returns how many packets failed."""
        self._sight.restart()
        return self._sight.decode([self._packets.packets], set(wanted), set(part))

    def _seen_in_full(self, wanted: list[int], part: list[int]) -> bool:
        grey = self._sight.grey.keys() >= set(part) if self._recipe.motion else True
        return grey and self._sight.colour.keys() >= set(wanted)

    def _refuse_scrap(self, shown: Shown) -> None:
        seconds = shown.table().duration_s
        if self._warnings and seconds < LEAST_S:
            raise CannotDecode(
                f"only {seconds:.2f} s of the damaged video can be decoded: export or upload it again"
            )

    def _assemble(self, shown: Shown) -> VideoStreams:
        sight = self._sight
        assert sight.geometry is not None  # set by the first frame; without any there was an error
        table = shown.table()
        start_s, end_s = _part(table, *self._asked_s)
        wanted, part = self._wanted(shown)
        moving = [tick for tick in part if tick in sight.grey]
        upright = sight.geometry.upright
        return VideoStreams(
            frames=upright(np.stack([sight.colour[tick] for tick in wanted])),
            frame_times_s=shown.seconds(wanted),
            motion=upright(np.stack([sight.grey[tick] for tick in moving]))
            if moving
            else np.empty((0, 0, 0), np.uint8),
            motion_times_s=shown.seconds(moving),
            start_s=start_s,
            end_s=end_s,
            info=self._info(table, sight.geometry),
            warnings=tuple(sorted(self._warnings)),
        )

    def _info(self, table: PacketTable, geometry: Geometry) -> VideoInfo:
        width_px, height_px = geometry.displayed_px
        codec = self._stream.codec_context.name
        return VideoInfo(
            duration_s=table.duration_s,
            width_px=width_px,
            height_px=height_px,
            fps=table.fps,
            rotation=90 * geometry.quarter_turns,
            codec=_CODEC_NAMES.get(codec, codec),
        )
