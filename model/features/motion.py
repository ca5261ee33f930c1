"""The motion stream of a video in, one row of motion and editing rhythm a second out (`lite-motion`)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features.area import Planes, area_mean, flat
from model.features.camera import STEADY_HZ, GlobalMotion, steady
from model.features.column import Column, names, stack
from model.features.pace import Seconds, cut_measures
from model.features.sequence import Sequence
from model.features.shots import cuts, find_shots
from model.features.texture import GREY_LEVEL, centre_mean, evenness, gradients, levels
from model.media.streams import VideoStreams

__all__ = ["COLUMNS", "LiteMotion", "cuts"]

Row = NDArray[np.float64]
Steps = dict[str, NDArray[np.floating]]  # name -> (k,) a number for each step of a tenth of a second

SOFT_MOVE = (
    4 * GREY_LEVEL,
    12 * GREY_LEVEL,
)  # a cell counts as moving from the first on, fully from the second
SLOW = 0.05  # picture sizes, e-folds or radians a second: where the log scales of speed bend
TOUCH_S = 1e-6  # a cut on the edge of a step is not inside it

UNIT, CHANGE, RATIO = (0.0, 1.0), (0.0, 8.0), (-8.0, 8.0)
GREY, SPEED = "doublings above one grey level", "doublings above .05 a second"
ENERGY = "own; frame differences of tenths of a second"
FLOW = "normal flow: Horn & Schunck 1981"
GLOBAL = "Lucas & Kanade 1981; Odobez & Bouthemy 1995"
RHYTHM = "own; shot lengths: Cutting, DeLong & Nothelfer 2010"
COLUMNS = (
    Column("motion_mean", "mean change of luma in 0.1 s, cuts left out", GREY, CHANGE, ENERGY),
    Column("motion_spread", "standard deviation of it within the second", GREY, (0.0, 4.0), ENERGY),
    Column("motion_peak", "largest of it in the second", GREY, CHANGE, ENERGY),
    Column("motion_speed", "change over slope of luma: how fast structure moves", SPEED, CHANGE, FLOW),
    Column("still_share", "share of time with less than one grey level of change", "share", UNIT, ENERGY),
    Column("moving_share", "root of the share of area that changes", "root of share", UNIT, ENERGY),
    Column("motion_evenness", "entropy of motion over the 3x3 grid", "share of log 9", UNIT, ENERGY),
    Column("motion_centre", "motion in the middle over the mean", "octaves", RATIO, ENERGY),
    Column("motion_low", "motion in the lower half over the upper", "octaves", RATIO, ENERGY),
    Column("motion_right", "motion in the right half over the left; mirror: sign", "octaves", RATIO, ENERGY),
    Column("pan_speed", "length of the shift of the whole picture", SPEED, CHANGE, GLOBAL),
    Column("pan_right", "shift to the right, signed; mirror: sign", SPEED, RATIO, GLOBAL),
    Column("pan_down", "shift downwards, signed", SPEED, RATIO, GLOBAL),
    Column("zoom", "growth of the whole picture, signed: in > 0", SPEED, RATIO, GLOBAL),
    Column("zoom_speed", "growth, either way", SPEED, CHANGE, GLOBAL),
    Column("roll_speed", "rotation of the whole picture, either way", SPEED, CHANGE, GLOBAL),
    Column(
        "global_share", "share of the change that motion of the whole picture explains", "share", UNIT, GLOBAL
    ),
    Column("flicker", "mean change of the mean luma in 0.1 s", GREY, CHANGE, "own"),
    Column("flash", "root of the largest brief rise of the mean luma", "root of full scale", UNIT, "own"),
    Column("fade", "drift of the mean luma, signed: brighter > 0", "full scale / s", (-10.0, 10.0), "own"),
    Column("cut_count", "1 + cuts in the second", "octaves", (0.0, 5.0), RHYTHM),
    Column("cut_rate_near", "cuts a second within 4 s", "octaves re 1 / s", (-5.0, 5.0), RHYTHM),
    Column("cut_rate", "cuts a second in the whole picture", "octaves re 1 / s", (-5.0, 5.0), RHYTHM),
    Column(
        "cut_octave_cos",
        "place of the cut tempo in its octave, cosine",
        "1",
        (-1.0, 1.0),
        "own; docs/models.md 7.1",
    ),
    Column(
        "cut_octave_sin",
        "place of the cut tempo in its octave, sine",
        "1",
        (-1.0, 1.0),
        "own; docs/models.md 7.1",
    ),
    Column("cut_regularity", "how equal the shots that end within 4 s are; 0 below 2", "1", UNIT, RHYTHM),
    Column("cut_strength", "mean difference across the cuts within 4 s", "1 = unrelated", (0.0, 4.0), RHYTHM),
    Column(
        "shot_length",
        "length of the shot around, at most 8 s",
        "octaves re 1 s",
        (-4.0, 3.0),
        RHYTHM,
    ),
    Column("since_cut", "1 s + time since the shot began, at most 4 s", "octaves re 1 s", (0.0, 2.4), RHYTHM),
    Column("until_cut", "1 s + time until the shot ends, at most 4 s", "octaves re 1 s", (0.0, 2.4), RHYTHM),
)


def signed_speed(per_s: Row) -> Row:
    """A speed on a log scale that keeps its sign: doublings above `SLOW`."""
    return np.sign(per_s) * np.log2(1 + np.abs(per_s) / SLOW)


def unbroken(steps: int, start_s: float, cuts_s: Row) -> NDArray[np.bool_]:
    """(k,): the steps between neighbouring tenths of a second that no cut falls into."""
    left = start_s + np.arange(steps) / STEADY_HZ
    before_end = np.searchsorted(cuts_s, left + 2 / STEADY_HZ - TOUCH_S)
    whole: NDArray[np.bool_] = np.searchsorted(cuts_s, left + TOUCH_S) == before_end
    return whole


@dataclass(frozen=True, slots=True)
class StepsBySecond:
    """Statistics over the unbroken steps of each second; the whole picture's where a second has none."""

    row: NDArray[np.intp]  # (k,) which second a step lies in
    rows: int
    good: NDArray[np.bool_]  # (k,)

    def mean(self, values: NDArray[np.floating]) -> Row:
        """(k,) to (r,)."""
        kept = values[self.good].astype(np.float64)
        sums = np.bincount(self.row[self.good], kept, self.rows)
        counts = np.bincount(self.row[self.good], minlength=self.rows)
        everywhere = kept.mean() if len(kept) else 0.0
        return np.where(counts > 0, sums / np.maximum(counts, 1), everywhere)

    def std(self, values: NDArray[np.floating]) -> Row:
        """(k,) to (r,)."""
        values = values.astype(np.float64)
        return np.sqrt(np.maximum(self.mean(values**2) - self.mean(values) ** 2, 0.0))

    def max(self, values: NDArray[np.floating]) -> Row:
        """(k,) of numbers >= 0 to (r,)."""
        largest = np.full(self.rows, -1.0)
        np.maximum.at(largest, self.row[self.good], values[self.good].astype(np.float64))
        return np.where(largest < 0, self.mean(values), largest)


def energy_steps(pictures: Planes) -> Steps:
    """How much, how fast and where (k + 1, r, c) pictures change from one to the next."""
    change = np.abs(np.diff(pictures, axis=0))
    right, down = gradients((pictures[1:] + pictures[:-1]) / 2)
    slope = flat(np.hypot(right, down)).mean(axis=1) + GREY_LEVEL
    mean = flat(change).mean(axis=1)
    cells_per_s = STEADY_HZ * mean / slope
    halves, sides = area_mean(change, 2, 1)[:, :, 0], area_mean(change, 1, 2)[:, 0]
    low, high = SOFT_MOVE
    return {
        "amount": levels(mean),
        "motion_speed": np.log2(1 + cells_per_s / (change[0].size ** 0.5 * SLOW) if len(change) else mean),
        "still_share": np.clip(1 - mean / GREY_LEVEL, 0, 1),
        "moving_share": np.sqrt(np.clip((flat(change) - low) / (high - low), 0, 1).mean(axis=1)),
        "motion_evenness": evenness(flat(area_mean(change, 3, 3))),
        "motion_centre": octaves(centre_mean(change), mean),
        "motion_low": octaves(halves[:, 1], halves[:, 0]),
        "motion_right": octaves(sides[:, 1], sides[:, 0]),
    }


def octaves(amount: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.floating]:
    """log2 of a ratio that is 1 where both are below a grey level."""
    ratio: NDArray[np.floating] = np.log2((amount + GREY_LEVEL) / (other + GREY_LEVEL))
    return ratio


def global_steps(pictures: Planes) -> Steps:
    """How the whole of (k + 1, r, c) pictures moves."""
    moved = GlobalMotion.between(pictures)
    return {
        "pan_speed": signed_speed(np.hypot(moved.right_per_s, moved.down_per_s)),
        "pan_right": signed_speed(moved.right_per_s),
        "pan_down": signed_speed(moved.down_per_s),
        "zoom": signed_speed(moved.growth_per_s),
        "zoom_speed": signed_speed(np.abs(moved.growth_per_s)),
        "roll_speed": signed_speed(np.abs(moved.roll_rad_per_s)),
        "global_share": moved.share,
    }


def brief_rise(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """(k + 1,) mean luma to (k,): by how much each but the first tops what was and comes within 0.2 s."""
    padded = np.pad(light, 2, mode="edge")
    was, comes = np.minimum(padded[1:-3], padded[:-4]), np.minimum(padded[3:-1], padded[4:])
    rise: NDArray[np.floating] = np.clip(light - np.maximum(was, comes), 0, 1)
    return rise[1:]


class LiteMotion:
    """Motion and editing of each second; the same at any frame rate."""

    name = "lite-motion"
    version = 1

    @property
    def features(self) -> tuple[str, ...]:
        """(d,) the name of every column."""
        return names(COLUMNS)

    def __call__(self, video: VideoStreams) -> Sequence:
        """(r, d): one row a second, at its middle; raises `Mismatch` where the motion stream was not read."""
        shots, times_s = video.once(find_shots), video.motion_times_s
        seconds = Seconds.of(video.start_s, max(video.end_s, float(times_s[-1])))
        pictures = steady(shots.grey, times_s, video.start_s, float(seconds.ends_s[-1]))
        rhythm = cut_measures(seconds, shots.cuts_s, shots.strengths)
        measured = self._motion(pictures, seconds, shots.cuts_s) | rhythm
        return Sequence(stack(COLUMNS, measured), seconds.centres_s)

    def _motion(self, pictures: Planes, seconds: Seconds, cuts_s: Row) -> dict[str, Row]:
        """Everything but the rhythm of the cuts, by second."""
        count, rows = len(pictures) - 1, len(seconds.starts_s)
        good = unbroken(count, float(seconds.starts_s[0]), cuts_s)
        row = np.minimum((np.arange(count) + 1) // STEADY_HZ, rows - 1)
        by_second = StepsBySecond(row, rows, good)
        steps = energy_steps(pictures) | global_steps(pictures)
        amount = steps.pop("amount")
        light = flat(pictures).mean(axis=1)
        drift = np.diff(light)
        return {name: by_second.mean(values) for name, values in steps.items()} | {
            "motion_mean": by_second.mean(amount),
            "motion_spread": by_second.std(amount),
            "motion_peak": by_second.max(amount),
            "flicker": by_second.mean(levels(np.abs(drift))),
            "flash": by_second.max(np.sqrt(brief_rise(light))),
            "fade": by_second.mean(drift) * STEADY_HZ,
        }
