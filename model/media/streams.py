"""What decoding a video gives, and the recipe and limits it is decoded by."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class VideoRecipe:
    """How a video is looked at; part of a bundle's recipe, since other frames mean other features."""

    frames_per_s: float = 1.0
    min_frames: int = 4  # short cuts get at least this many, or all there are
    frame_side_px: int = 160  # the side named by `frame_fit` after rotation and sample aspect
    frame_fit: Literal["long", "short"] = "long"  # short: at most the middle 4:1, see `Geometry.kept_px`
    motion: bool = True  # whether every frame is read for the motion stream
    motion_side_px: int = 64  # about; the long side of the grey frames
    keyframe_within_s: float = 0.25


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """What one video may cost (design section 8)."""

    max_bytes: int = 200_000_000
    max_duration_s: float = 600.0
    max_side_px: int = 8192
    max_streams: int = 64
    max_memory_bytes: int = 2 * 1024**3
    max_cpu_s: float = 120.0
    max_wall_s: float = 300.0  # against hangs only
    decoder_threads: int = 2


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the file says and what was seen of it."""

    duration_s: float  # seen: from the presentation times of decodable packets, never the container's word
    width_px: int  # as displayed: rotation and sample aspect ratio applied
    height_px: int
    fps: float  # mean rate over the presentation times
    rotation: int  # degrees clockwise that were applied: 0, 90, 180, 270
    codec: str


@dataclass(frozen=True, slots=True)
class VideoStreams:
    """The two streams of design section 2; times are presentation times from the first frame, in s."""

    frames: NDArray[np.uint8]  # (t, h, w, 3) RGB, BT.709 SDR
    frame_times_s: NDArray[np.float64]  # (t,)
    motion: NDArray[np.uint8]  # (n, h', w') grey, every frame; (0, 0, 0) where the recipe does not read it
    motion_times_s: NDArray[np.float64]  # (n,)
    start_s: float  # the asked part of the video, [start_s, end_s]
    end_s: float
    info: VideoInfo
    warnings: tuple[str, ...] = ()  # such as "truncated"
    _found: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, analysis: Callable[["VideoStreams"], Found]) -> Found:
        """`analysis` of these streams, made when it is first asked for: several extractors share some."""
        if analysis not in self._found:
            self._found[analysis] = analysis(self)
        found: Found = self._found[analysis]
        return found
