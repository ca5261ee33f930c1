"""The times of a video's cuts in, measures of its editing rhythm for each second out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float64]

NEAR_S = 4.0  # to either side of a second: about a bar of music
PRIOR_CUTS, PRIOR_S = 0.25, 2.0  # what a rate starts from, so that none is ever log 0
SLOWEST_PER_S = 1 / 32
SHORTEST_SHOT_S, LONGEST_SHOT_S = 1 / 16, 2 * NEAR_S  # a longer one is a long take, however long
EVEN_OCTAVES = 0.25  # spread of shot lengths at which a rhythm counts as half regular


@dataclass(frozen=True, slots=True)
class Seconds:
    """The rows of a video: seconds from its start, the last one 0.5 to 1.5 s long; in shapes, r rows."""

    starts_s: Row  # (r,)
    ends_s: Row  # (r,)

    @classmethod
    def of(cls, start_s: float, end_s: float) -> "Seconds":
        """At least one row, however short the part [start_s, end_s) is."""
        rows = max(1, int(np.floor(end_s - start_s + 0.5)))
        starts_s = start_s + np.arange(rows, dtype=np.float64)
        return cls(starts_s, np.append(starts_s[1:], max(end_s, starts_s[-1])))

    @property
    def centres_s(self) -> Row:
        """(r,)."""
        return (self.starts_s + self.ends_s) / 2


def rate_octaves(cuts: Row, seconds: Row) -> Row:
    """log2 of cuts per second, drawn towards 1 in 8 s where little is known; 1 in 32 s or less is one."""
    rates: Row = np.log2(np.maximum((cuts + PRIOR_CUTS) / (seconds + PRIOR_S), SLOWEST_PER_S))
    return rates


def mean_of_runs(values: NDArray[np.floating], first: NDArray[np.intp], end: NDArray[np.intp]) -> Row:
    """(r,): mean of values[first:end] for each run, 0 for an empty one."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: Row = (sums[end] - sums[first]) / np.maximum(end - first, 1)
    return means


def rhythm(cuts_s: Row) -> tuple[float, float]:
    """Cosine and sine of the cut tempo's place in its octave, times k / (k + 1) for k whole shots.

    The mean length of the shots between the first and the last cut decides: what comes before and after may
    be a part of one. Twice as fast is the same place: one cuts to a tempo on every beat or on every other.
    """
    shots = len(cuts_s) - 1
    if shots < 1:
        return 0.0, 0.0
    angle = 2 * np.pi * np.log2(shots / (cuts_s[-1] - cuts_s[0]))
    weight = shots / (shots + 1)
    return weight * float(np.cos(angle)), weight * float(np.sin(angle))


def cut_measures(seconds: Seconds, cuts_s: Row, strengths: NDArray[np.floating]) -> dict[str, Row]:
    """Rhythm around each second.

    Args:
        seconds: the r rows.
        cuts_s: (c,) ascending, inside the video.
        strengths: (c,) how different the picture is across each cut.
    """
    start_s, end_s, at = seconds.starts_s[0], seconds.ends_s[-1], seconds.centres_s
    bounds = np.concatenate([[start_s], cuts_s, [end_s]])
    shot = np.searchsorted(cuts_s, at, side="right")
    first, end = np.searchsorted(cuts_s, at - NEAR_S), np.searchsorted(cuts_s, at + NEAR_S)
    in_view_s = np.minimum(at + NEAR_S, end_s) - np.maximum(at - NEAR_S, start_s)
    whole = np.log2(np.maximum(np.diff(bounds[:-1]), SHORTEST_SHOT_S))  # (c,) the shot that each cut ends
    spread = mean_of_runs(whole**2, first, end) - mean_of_runs(whole, first, end) ** 2
    even = 1 / (1 + np.maximum(spread, 0.0) / EVEN_OCTAVES**2)
    inside = np.searchsorted(cuts_s, seconds.ends_s) - np.searchsorted(cuts_s, seconds.starts_s)
    everywhere = np.ones(len(at))
    cosine, sine = rhythm(cuts_s)
    return {
        "cut_count": np.log2(1.0 + inside),
        "cut_rate_near": rate_octaves((end - first) * everywhere, in_view_s),
        "cut_rate": rate_octaves(len(cuts_s) * everywhere, (end_s - start_s) * everywhere),
        "cut_octave_cos": cosine * everywhere,
        "cut_octave_sin": sine * everywhere,
        "cut_regularity": np.where(end - first >= 2, even, 0.0),
        "cut_strength": mean_of_runs(strengths, first, end),
        "shot_length": np.log2(np.clip(bounds[shot + 1] - bounds[shot], SHORTEST_SHOT_S, LONGEST_SHOT_S)),
        "since_cut": np.log2(1 + np.minimum(at - bounds[shot], NEAR_S)),
        "until_cut": np.log2(1 + np.minimum(bounds[shot + 1] - at, NEAR_S)),
    }
