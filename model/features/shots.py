"""The motion stream of a video in, the exact times of its cuts out.

A cut is a step from one picture to another that lasts and that is far above the changes around it. So
none of these is a cut: a flash (the old picture comes back), a change of light (the structure stays), a
fade or dissolve (no step), a pan or shaking camera (the same change all around), a jump of the whole
picture by a few cells (it matches when shifted), noise (averaged away), a title that pops up (most of the
picture stays). Two views of the picture look for it: its coarse layout, which sees cuts between moving
shots, and its detail everywhere, which sees cuts between shots that are set up alike.

Limits: a shot shorter than 0.16 s between two that look alike is taken for a flash; of two cuts less than
0.06 s apart the stronger stays; where every shot is 2 frames long one in four cuts is lost; a cut
between pictures that differ in hue alone is invisible in a grey stream; dissolves and wipes are not cuts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import Mismatch
from model.features.area import Planes, area_mean, flat, working_size
from model.features.texture import blur
from model.media.streams import VideoStreams

Scores = NDArray[np.floating]
Frames = NDArray[np.intp]

CELLS = 576  # 32 x 18 on a 16:9 picture: what all of the motion stream is measured on
COARSE_CELLS = 144  # 16 x 9: its layout
BLOCK = 512  # frames at a time: bounds the memory of a 10 min video
LAYOUT_FLOOR = 0.04  # below this spread of luma a picture has no layout to compare
DETAIL_FLOOR = 1.5 / 255  # the same for the spread of detail around a cell: coding noise
LEAST_POWER = 0.05  # of a structure, where a full one has 1: plain pictures agree with nothing
TONE_WEIGHT = 1.5  # a step of the light distribution by full scale against an uncorrelated picture
LAYOUT_CHANGE, LAYOUT_LASTING = 0.12, 0.08  # across a cut, and when shifts are allowed for; unrelated: 1
DETAIL_CHANGE, DETAIL_LASTING = 0.18, 0.15  # the same; unrelated and full of detail: 0.8
CONTRAST_TO_CONTEXT = 2.5  # times the changes around
CONTEXT_QUANTILE = 0.8  # so that repeated frames and other cuts nearby do not hide motion
CONTRAST_TO_NEIGHBOUR = 1.7
UNRELATED, UNRELATED_TO_CONTEXT = 0.5, 4.0  # of layout; motion alone may change all detail
CONTEXT_S = 0.4  # to either side
LASTING_S = 0.16  # longest flash
APART_S = 0.06
REPEAT = 0.1 / 255  # mean change of luma below which a frame is the one before
PASSES = 2  # in the second one the cuts of the first are no context: they hid weaker ones among short shots


@dataclass(frozen=True, slots=True)
class View:
    """One way to compare n pictures: structure without light, and light without place."""

    structure: Planes  # (n, r, c) about zero mean and unit spread
    tone: Planes  # (n, m) luma in ascending order; m = 0 where light does not count
    reach: tuple[int, int]  # rows and columns by which a picture may be shifted and still be the same
    least_change: float
    least_lasting: float
    unrelated: float

    def change(self, before: Frames, after: Frames) -> Scores:
        """(k,): how different the pictures `before` and `after` are: 0 same, about 1 unrelated."""
        return difference(self.structure[before], self.structure[after], self._tone_change(before, after))

    def change_when_shifted(self, before: Frames, after: Frames) -> Scores:
        """`change`, at the best displacement within `reach` of one picture against the other."""
        tone = self._tone_change(before, after)
        old, new = self.structure[before], self.structure[after]
        rows, columns = old.shape[1:]
        best = np.full(len(before), np.inf, np.float32)
        for down in range(-self.reach[0], self.reach[0] + 1):
            for right in range(-self.reach[1], self.reach[1] + 1):
                here = old[:, max(0, down) : rows + min(0, down), max(0, right) : columns + min(0, right)]
                there = new[
                    :, max(0, -down) : rows + min(0, -down), max(0, -right) : columns + min(0, -right)
                ]
                best = np.minimum(best, difference(here, there, tone))
        return best

    def steps(self) -> Scores:
        """(n - 1,): the change from each picture to the next."""
        last = np.arange(len(self.structure) - 1)
        return np.concatenate(
            [self.change(last[i : i + BLOCK], last[i : i + BLOCK] + 1) for i in last[::BLOCK]]
        )

    def _tone_change(self, before: Frames, after: Frames) -> Scores:
        """Earth mover's distance of the luma distributions (Rubner et al. 2000; in 1-D by sorting)."""
        levels = max(1, self.tone.shape[1])
        apart: Scores = np.abs(self.tone[before] - self.tone[after]).sum(axis=1) / np.float32(levels)
        return apart


def difference(old: Planes, new: Planes, tone: Scores) -> Scores:
    """(k,): half the mean square difference of two structures, plus that of light where they do not agree.

    A picture that only gets brighter or darker keeps its structure, so its light does not count; between
    plain pictures light is all there is.
    """
    power = flat(old**2).mean(axis=1) * flat(new**2).mean(axis=1)
    agreement = np.clip(flat(old * new).mean(axis=1), 0, None) / (np.sqrt(power) + LEAST_POWER)
    moved: Scores = flat((old - new) ** 2).mean(axis=1) / 2
    lit: Scores = np.float32(TONE_WEIGHT) * tone * (1 - agreement)
    return moved + lit


def layout(grey: Planes) -> View:
    """How (n, r, c) pictures of 0 to 1 are laid out: a coarse picture of equal light and contrast."""
    coarse = area_mean(grey, *working_size(grey.shape[1], grey.shape[2], COARSE_CELLS))
    cells = flat(coarse)
    spread = cells.std(axis=1) + np.float32(LAYOUT_FLOOR)
    structure = (coarse - cells.mean(axis=1)[:, None, None]) / spread[:, None, None]
    return View(structure, np.sort(cells, axis=1), (1, 2), LAYOUT_CHANGE, LAYOUT_LASTING, UNRELATED)


def detail(grey: Planes) -> View:
    """What is drawn everywhere in (n, r, c) pictures: fine structure of equal contrast in each place.

    Local contrast normalisation (Jarrett et al. 2009, section 2.1), so that each area counts the same.
    """

    def normalised(block: Planes) -> Planes:
        fine = block - blur(block)
        spread = np.sqrt(blur(blur(fine**2))) + np.float32(DETAIL_FLOOR)
        local: Planes = fine / spread
        return local

    structure = np.concatenate([normalised(grey[i : i + BLOCK]) for i in range(0, len(grey), BLOCK)])
    return View(
        structure, np.zeros((len(grey), 0), np.float32), (2, 4), DETAIL_CHANGE, DETAIL_LASTING, np.inf
    )


def small_pictures(video: VideoStreams) -> Planes:
    """The motion stream as (n, r, c) area averages of 0 to 1; raises `Mismatch` where it was not read."""
    if not len(video.motion):
        raise Mismatch("these features need the motion stream: decode with a recipe whose `motion` is true")
    size = working_size(video.motion.shape[1], video.motion.shape[2], CELLS)
    blocks = (video.motion[i : i + BLOCK] for i in range(0, len(video.motion), BLOCK))
    return np.concatenate([area_mean(block.astype(np.float32), *size) for block in blocks]) / np.float32(255)


def shown_twice(grey: Planes) -> NDArray[np.bool_]:
    """(n,): true for a frame that repeats the one before between changes, as when 25 fps is stored at 50.

    In a still shot frames repeat in longer runs; these stay, for they are its calm.
    """
    steps = [
        np.abs(np.diff(grey[i : i + BLOCK + 1], axis=0)).mean(axis=(1, 2)) for i in range(0, len(grey), BLOCK)
    ]
    same = np.concatenate([[False], np.concatenate(steps) < REPEAT, [True]])
    alone: NDArray[np.bool_] = same[1:-1] & ~same[:-2] & ~same[2:]
    return np.concatenate([[False], alone])


def stands_out(change: Scores, calm: Scores, reach: int, unrelated: float) -> NDArray[np.bool_]:
    """(k,): where a change is far above the `calm` ones next to it and within `reach` frames on one side.

    One calm side is enough, since titles and products often fly in right after a cut. A high quantile as
    context, so that repeated frames do not hide motion. For a change above `unrelated` the median, so that
    a burst of short shots does not hide its own cuts, and no look at its neighbours, so that a flash may
    cover a cut.
    """
    padded, count = np.pad(calm, reach), len(calm)
    sides = np.lib.stride_tricks.sliding_window_view(padded, reach)
    high, middle = round(CONTEXT_QUANTILE * (reach - 1)), reach // 2
    ordered = np.partition(sides, (middle, high), axis=1)
    calmer = np.minimum(ordered[:count], ordered[reach + 1 : reach + 1 + count])
    neighbour = np.maximum(padded[reach - 1 : reach - 1 + count], padded[reach + 1 : reach + 1 + count])
    another = (change > unrelated) & (change > UNRELATED_TO_CONTEXT * calmer[:, middle])
    step = (change > CONTRAST_TO_CONTEXT * calmer[:, high]) & (change > CONTRAST_TO_NEIGHBOUR * neighbour)
    return another | step


def lasting_change(view: View, first_new: Frames, reach: int) -> Scores:
    """(k,): the least change from the last old picture to the next `reach`, or from as many to the new one.

    Where a flash begins the old picture comes back soon after; where it ends the new one was there before.
    """
    steps, last = np.arange(reach)[:, None], len(view.structure) - 1
    old, new = first_new - 1 + 0 * steps, first_new + 0 * steps
    before = np.concatenate([old, np.maximum(old - steps, 0)])
    after = np.concatenate([np.minimum(new + steps, last), new])
    changes = view.change_when_shifted(before.ravel(), after.ravel())
    least: Scores = changes.reshape(2 * reach, len(first_new)).min(axis=0)
    return least


def candidates(view: View, change: Scores, context: int, longest_flash: int) -> Frames:
    """First frames of new shots as one view sees them; `context` and `longest_flash` in frames."""
    frames, calm, found = np.arange(1, len(change) + 1), change.copy(), np.zeros(0, np.intp)
    for _ in range(PASSES):
        found = frames[(change > view.least_change) & stands_out(change, calm, context, view.unrelated)]
        found = found[lasting_change(view, found, longest_flash) > view.least_lasting]
        calm[found - 1] = 0
    return found


def strongest_of_neighbours(first_new: Frames, times_s: NDArray[np.float64], change: Scores) -> Frames:
    """Candidates that are no closer than `APART_S` to a stronger one; the earlier of equals."""
    kept: list[int] = []
    for candidate in first_new[np.argsort(-change, kind="stable")].tolist():
        if all(abs(times_s[candidate] - times_s[other]) >= APART_S for other in kept):
            kept.append(candidate)
    return np.array(sorted(kept), np.intp)


def find_cuts(grey: Planes, times_s: NDArray[np.float64]) -> tuple[Frames, Scores]:
    """First frame of each new shot (c,) and how different it is from the one before (c,), in both views.

    Args:
        grey: (n, r, c) pictures of 0 to 1, as `small_pictures` gives them.
        times_s: (n,) their presentation times, ascending; n >= 1.
    """
    distinct = np.flatnonzero(~shown_twice(grey))
    if len(distinct) < 2:
        return np.zeros(0, np.intp), np.zeros(0, np.float32)
    grey, times_s = grey[distinct], times_s[distinct]
    frame_s = max(float(np.median(np.diff(times_s))), 1e-3)
    context = int(np.clip(round(CONTEXT_S / frame_s), 3, 60))
    longest_flash = int(np.clip(round(LASTING_S / frame_s), 1, 30))
    views = (layout(grey), detail(grey))
    changes = [view.steps() for view in views]
    seen = [candidates(v, c, context, longest_flash) for v, c in zip(views, changes, strict=True)]
    total = changes[0] + changes[1]
    first_new = np.union1d(seen[0], seen[1])
    kept = strongest_of_neighbours(first_new, times_s, total[first_new - 1])
    return distinct[kept], total[kept - 1]


@dataclass(frozen=True, slots=True)
class Shots:
    """The motion stream as it is measured on, and where it is cut; in shapes, n frames and c cuts."""

    grey: Planes  # (n, rows, columns) of 0 to 1
    cuts_s: NDArray[np.float64]  # (c,) presentation time of the first frame of each new shot, ascending
    strengths: Scores  # (c,) how different the picture is across each cut


def find_shots(video: VideoStreams) -> Shots:
    """Ask for it by `video.once(find_shots)`; raises `Mismatch` where the motion stream was not read."""
    grey = small_pictures(video)
    first_new, strengths = find_cuts(grey, video.motion_times_s)
    return Shots(grey, video.motion_times_s[first_new], strengths)


def cuts(video: VideoStreams) -> NDArray[np.float64]:
    """(c,) presentation time of the first frame of each new shot, ascending, in s; empty for one shot."""
    return video.once(find_shots).cuts_s
