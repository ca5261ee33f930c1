"""What every extractor emits: rows of numbers with the time each one stands for."""

from collections.abc import Sequence as Several
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sequence:
    """Features over time; in shapes, t rows and d features."""

    values: NDArray[np.float32]  # (t, d)
    times_s: NDArray[np.float64]  # (t,) centre of what each row describes, in the media's own time

    def between(self, start_s: float, end_s: float) -> "Sequence":
        """The rows whose centre lies in [start_s, end_s); the nearest one if there is none."""
        inside = (self.times_s >= start_s) & (self.times_s < end_s)
        if not inside.any() and len(self.times_s):
            middle = (start_s + end_s) / 2
            inside[np.argmin(np.abs(self.times_s - middle))] = True
        return Sequence(self.values[inside], self.times_s[inside])


def pad(rows: Several[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Stack sequences of different lengths for a tower.

    Args:
        rows: b arrays (t_i, d).

    Returns:
        x (b, t, d) float32 with zeros behind each end, and x_mask (b, t), true where a row is real;
        t is the longest length, at least 1.
    """
    longest = max([1, *(len(row) for row in rows)])
    x = np.zeros((len(rows), longest, rows[0].shape[1]), np.float32)
    mask = np.zeros((len(rows), longest), np.bool_)
    for i, row in enumerate(rows):
        x[i, : len(row)] = row
        mask[i, : len(row)] = True
    return x, mask
