"""A video in, its frames and its motion stream out, in this process (`model.media.child`: in another)."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.errors import BadOptions, CannotDecode
from model.media.colour import Painter
from model.media.container import check_side, open_container, open_source, video_stream
from model.media.geometry import Geometry
from model.media.luma import Reducer
from model.media.packets import Packets, Shown, read_packets, reraise_out_of_memory
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
        stream.codec_context.thread_count = limits.decoder_threads
        stream.codec_context.thread_type = "AUTO"
        packets = read_packets(container, stream, limits)
        cut_off = packets.cut_off or is_cut_off(file)
        return _Reading(stream, packets, recipe, limits, (start_s, end_s), cut_off).streams()


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
        stream: VideoStream,
        packets: Packets,
        recipe: VideoRecipe,
        limits: VideoLimits,
        asked_s: tuple[float | None, float | None],
        cut_off: bool,
    ) -> None:
        self._stream = stream
        self._packets = packets
        self._recipe = recipe
        self._limits = limits
        self._asked_s = asked_s
        self._warnings = {"truncated"} if cut_off else set[str]()
        self._geometry: Geometry | None = None
        self._restart()

    def _restart(self) -> None:
        self._colour: dict[int, NDArray[np.uint8]] = {}  # by tick
        self._grey: dict[int, NDArray[np.uint8]] = {}
        self._seen: set[int] = set()

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
        """Decode only the packets that `needed` frames depend on; False if anything was odd."""
        for run in self._packets.runs(needed):
            if self._decode(run, wanted, needed):
                return False
        return needed <= self._seen

    def _decode_all(self, shown: Shown) -> Shown:
        """Decode everything; returns what can be shown of it.

        The table of packets stands, even if some frames fail, unless one that it chose is not there or the
        end is cut off: then only what was decoded can be shown.
        """
        self._restart()
        everything = slice(0, len(self._packets.packets))
        wanted, part = self._wanted(shown)
        if self._decode(everything, set(wanted), set(part)):
            self._warnings.add("damaged")
        if not self._seen:
            raise CannotDecode("no frame of the video can be decoded: export or upload it again")
        if "truncated" in self._warnings or not self._seen.issuperset(wanted):
            shown = shown.only(self._seen)
            self._refuse_scrap(shown)
            wanted, part = self._wanted(shown)
            if not self._seen_in_full(wanted, part):
                self._restart()
                self._decode(everything, set(wanted), set(part))
        return shown

    def _seen_in_full(self, wanted: list[int], part: list[int]) -> bool:
        grey = self._grey.keys() >= set(part) if self._recipe.motion else True
        return grey and self._colour.keys() >= set(wanted)

    def _refuse_scrap(self, shown: Shown) -> None:
        seconds = shown.table().duration_s
        if self._warnings and seconds < LEAST_S:
            raise CannotDecode(
                f"only {seconds:.2f} s of the damaged video can be decoded: export or upload it again"
            )

    def _decode(self, run: slice, wanted: set[int], needed: set[int]) -> int:
        """Decode a run of packets from a fresh start; returns how many of them failed."""
        context = self._stream.codec_context
        if context.is_open:
            context.flush_buffers()
        failures = 0
        for packet in [*self._packets.packets[run], None]:
            try:
                for frame in context.decode(packet):
                    self._see(frame, wanted, needed)
            except FFmpegError as error:
                reraise_out_of_memory(error)
                failures += 1
        return failures

    def _see(self, frame: VideoFrame, wanted: set[int], needed: set[int]) -> None:
        tick = frame.dts if frame.pts is None else frame.pts
        if tick is None:
            return
        check_side(frame.width, frame.height, self._limits)
        if self._geometry is None:
            self._geometry = Geometry.of(self._stream, frame)
            self._painter = Painter(self._geometry.frame_px(self._recipe))
            self._reducer = Reducer(self._geometry.motion_px(self._recipe))
        self._seen.add(tick)
        if tick in wanted and tick not in self._colour:
            self._colour[tick] = self._painter.rgb(frame)
        if self._recipe.motion and tick in needed and tick not in self._grey:
            self._grey[tick] = self._reducer.grey(frame)

    def _assemble(self, shown: Shown) -> VideoStreams:
        assert self._geometry is not None  # set by the first frame; without any there was an error
        table = shown.table()
        start_s, end_s = _part(table, *self._asked_s)
        wanted, part = self._wanted(shown)
        moving = [tick for tick in part if tick in self._grey]
        upright = self._geometry.upright
        return VideoStreams(
            frames=upright(np.stack([self._colour[tick] for tick in wanted])),
            frame_times_s=shown.seconds(wanted),
            motion=upright(np.stack([self._grey[tick] for tick in moving]))
            if moving
            else np.empty((0, 0, 0), np.uint8),
            motion_times_s=shown.seconds(moving),
            start_s=start_s,
            end_s=end_s,
            info=self._info(table, self._geometry),
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
