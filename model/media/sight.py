"""Packets of one stream in, the small pictures that are wanted of its frames out: what one decoder sees."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.media.colour import Painter
from model.media.container import check_side
from model.media.geometry import Geometry
from model.media.luma import Reducer
from model.media.packets import reraise_out_of_memory
from model.media.streams import VideoLimits, VideoRecipe


class Sight:
    """The pictures that a stream's decoder has shown so far, by tick; one thread at a time may decode."""

    def __init__(self, stream: VideoStream, recipe: VideoRecipe, limits: VideoLimits, threads: int) -> None:
        self._stream = stream
        self._recipe = recipe
        self._limits = limits
        stream.codec_context.thread_count = threads
        stream.codec_context.thread_type = "AUTO"
        self.geometry: Geometry | None = None  # of the first frame that was decoded
        self.restart()

    def restart(self) -> None:
        """Forget all pictures."""
        self.colour: dict[int, NDArray[np.uint8]] = {}
        self.grey: dict[int, NDArray[np.uint8]] = {}
        self.seen: set[int] = set()

    def decode(
        self,
        runs: Iterable[Sequence["Packet[VideoStream]"]],
        wanted: Collection[int],
        needed: Collection[int],
    ) -> int:
        """Decode runs of packets, each from a fresh start; returns how many packets failed.

        Args:
            runs: of this stream, or of the same stream of the same file opened twice.
            wanted: ticks of the frames to keep in colour.
            needed: ticks of those to keep in grey, where the recipe reads the motion stream.
        """
        context, failures = self._stream.codec_context, 0
        for run in runs:
            if context.is_open:
                context.flush_buffers()
            for packet in [*run, None]:
                try:
                    for frame in context.decode(packet):
                        self._see(frame, wanted, needed)
                except FFmpegError as error:
                    reraise_out_of_memory(error)
                    failures += 1
        return failures

    def _see(self, frame: VideoFrame, wanted: Collection[int], needed: Collection[int]) -> None:
        tick = frame.dts if frame.pts is None else frame.pts
        if tick is None:
            return
        check_side(frame.width, frame.height, self._limits)
        if self.geometry is None:
            self.geometry = Geometry.of(self._stream, frame)
            size_px, shares = self.geometry.frame_px(self._recipe), self.geometry.shares(self._recipe)
            self._painter = Painter(size_px, shares)
            self._reducer = Reducer(self.geometry.motion_px(self._recipe))
        self.seen.add(tick)
        if tick in wanted and tick not in self.colour:
            self.colour[tick] = self._painter.rgb(frame)
        if self._recipe.motion and tick in needed and tick not in self.grey:
            self.grey[tick] = self._reducer.grey(frame)

    def add(self, other: "Sight") -> None:
        """Take over what another decoder of the same stream saw."""
        self.colour |= other.colour
        self.grey |= other.grey
        self.seen |= other.seen
