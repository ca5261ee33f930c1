"""A table of a video's packets in, which frames to look at out: pure, the same for every way of decoding.

The rule (part of the recipe, design section 2). Frames are looked at `frames_per_s` times a second over the
asked part, its first and its last frame included. For each of these target times stands the nearest keyframe
if it lies within `keyframe_within_s`, else the frame nearest in presentation time (of two equally near ones
the earlier). Where that gives fewer than `min_frames` different frames, as many frames as that (or all there
are) stand evenly spread by rank, the first and the last included, and keyframes have no preference.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.media.streams import VideoRecipe

TICK_S = 1e-6  # presentation times are rational; two that differ by less are one


@dataclass(frozen=True, slots=True)
class PacketTable:
    """When each frame is presented, in order; in shapes, n >= 1 frames."""

    times_s: NDArray[np.float64]  # (n,) from the first frame on, strictly ascending, times_s[0] == 0
    keyframe: NDArray[np.bool_]  # (n,)
    duration_s: float  # the last frame's time plus how long it stays

    @property
    def fps(self) -> float:
        """Mean rate over the presentation times; 0 for one frame that has no duration."""
        if len(self.times_s) > 1:
            return float((len(self.times_s) - 1) / self.times_s[-1])
        return 1 / self.duration_s if self.duration_s > 0 else 0.0

    def shown(self, start_s: float, end_s: float) -> slice:
        """Rows of the frames that are on the screen at some time of [start_s, end_s): never empty."""
        first = int(np.searchsorted(self.times_s, start_s + TICK_S, side="right")) - 1
        end = int(np.searchsorted(self.times_s, end_s - TICK_S, side="left"))
        return slice(max(0, first), max(max(0, first) + 1, end))


def target_times(first_s: float, last_s: float, frames_per_s: float) -> NDArray[np.float64]:
    """(k,) ascending times to look at: every 1/frames_per_s from `first_s` on, and `last_s`.

    The last regular one stays half a step away from `last_s`, so that the end is not seen twice.
    """
    steps = int(np.ceil((last_s - first_s) * frames_per_s - 0.5 - TICK_S))
    regular = first_s + np.arange(max(1, steps)) / frames_per_s
    return regular if last_s <= first_s else np.append(regular, last_s)


def nearest(times_s: NDArray[np.float64], wanted_s: NDArray[np.float64]) -> NDArray[np.intp]:
    """(k,) index of the element of ascending `times_s` (n,), n >= 1, nearest to each of `wanted_s` (k,)."""
    right = np.clip(np.searchsorted(times_s, wanted_s), 1, max(1, len(times_s) - 1))
    left = right - 1
    right = np.minimum(right, len(times_s) - 1)
    later: NDArray[np.bool_] = times_s[right] - wanted_s < wanted_s - times_s[left] - TICK_S
    return left + later * (right - left)


def choose_frames(table: PacketTable, recipe: VideoRecipe, start_s: float, end_s: float) -> NDArray[np.intp]:
    """Rows of `table` that stand for the part [start_s, end_s]: (k,) ascending, distinct, k >= 1."""
    part = table.shown(start_s, end_s)
    times_s = table.times_s[part]
    targets_s = target_times(float(times_s[0]), float(times_s[-1]), recipe.frames_per_s)
    rows = nearest(times_s, targets_s)
    keyframes = np.flatnonzero(table.keyframe[part])
    if len(keyframes):
        key = keyframes[nearest(times_s[keyframes], targets_s)]
        near = np.abs(times_s[key] - targets_s) <= recipe.keyframe_within_s + TICK_S
        rows = np.where(near, key, rows)
    rows = np.unique(rows)
    wanted = min(recipe.min_frames, len(times_s))
    if len(rows) < wanted:
        rows = np.unique(np.floor(np.linspace(0, len(times_s) - 1, wanted) + 0.5).astype(np.intp))
    return rows + int(part.start)
