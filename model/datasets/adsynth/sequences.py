"""Clips of latents in, one row a second out: shots, and a slow walk inside each of them.

docs/models.md 7.2. What moves about a clip has the clip's own value as its mean over the rows, so what a
row shows differs from its clip and what the mean of the rows shows does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.datasets.synth.world import CUTS_PER_S_AT_ZERO

ROW_S = 1.0
SHORTEST, LONGEST = 8, 16  # rows of a clip
SHOT_JUMP = 0.5  # deviation of a shot about its clip, where that of clips is 1
STEP = 0.15  # deviation of one second's walk


@dataclass(frozen=True, slots=True)
class Clock:
    """The rows of n clips, one clip after the other."""

    counts: NDArray[np.int64]  # (n,) rows of each clip

    @property
    def offsets(self) -> NDArray[np.int64]:
        """(n + 1,) clip i has the rows offsets[i] .. offsets[i + 1] - 1."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @property
    def times_s(self) -> NDArray[np.float64]:
        """(rows,) the middle of each row's second, in its clip."""
        row = np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.counts)
        return np.asarray((row + 0.5) * ROW_S, np.float64)

    def spread(self, of_clips: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) -> (rows, d): each clip's vector on each of its rows."""
        return np.repeat(of_clips, self.counts, axis=0)

    def mean(self, of_rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(rows, d) -> (n, d): the mean of each clip's rows."""
        sums = np.add.reduceat(of_rows, self.offsets[:-1], axis=0)
        return np.asarray(sums / self.counts[:, None], np.float32)


def draw_counts(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) how many seconds, so how many rows, each ad has."""
    return rng.integers(SHORTEST, LONGEST, size=n, endpoint=True)


def draw_shots(clock: Clock, cuts_per_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(rows,) the number of each row's shot; a cut falls between two rows at the clip's rate (n,)."""
    cut = rng.random(clock.offsets[-1]) < -np.expm1(-np.repeat(cuts_per_s, clock.counts))
    cut[clock.offsets[:-1]] = True  # no shot goes on in the next clip
    return np.cumsum(cut) - 1


def cuts_per_s(log2_cut_rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) cuts per second of ads."""
    return np.asarray(CUTS_PER_S_AT_ZERO * 2**log2_cut_rate, np.float64)


def wander(
    clock: Clock, shots: NDArray[np.int64], width: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(rows, width) how far each row is from its clip: a jump a shot, a walk inside, zero on average."""
    jumps = SHOT_JUMP * rng.standard_normal((shots[-1] + 1, width))
    walk = jumps[shots] + np.cumsum(STEP * rng.standard_normal((len(shots), width)), axis=0)
    centre = np.add.reduceat(walk, clock.offsets[:-1], axis=0) / clock.counts[:, None]
    return np.asarray(walk - clock.spread(centre), np.float64)
