"""Numbers per frame in, statistics per span of time out, each span by itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Spans:
    """Half-open runs of frames, none of them empty; in shapes, n spans of at most l of the f frames."""

    first: NDArray[np.intp]  # (n,)
    end: NDArray[np.intp]  # (n,), > first

    @classmethod
    def between(
        cls, starts_s: NDArray[np.float64], ends_s: NDArray[np.float64], frames_per_s: float, frames: int
    ) -> "Spans":
        """The frames whose centre lies in [start, end); the nearest one where there is none."""
        first = np.ceil(starts_s * frames_per_s - 0.5).astype(np.intp).clip(0, frames - 1)
        end = np.ceil(ends_s * frames_per_s - 0.5).astype(np.intp).clip(0, frames)
        return cls(first, np.maximum(end, first + 1))

    @property
    def lengths(self) -> NDArray[np.intp]:
        """(n,) frames per span."""
        return self.end - self.first

    def sum(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum over each span of (f, ...) -> (n, ...), in double precision."""
        padded = np.concatenate([values, values[:1]]).astype(np.float64)  # so that `end` is a legal index
        bounds = np.stack([self.first, self.end], axis=1).reshape(-1)
        found: NDArray[np.float64] = np.add.reduceat(padded, bounds, axis=0)[::2]
        return found

    def mean(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean over each span of (f, ...) -> (n, ...)."""
        lengths = self.lengths.reshape(-1, *([1] * (values.ndim - 1)))
        return self.sum(values) / lengths

    def std(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Standard deviation over each span of (f, ...) -> (n, ...)."""
        values = values.astype(np.float64)
        return np.sqrt(np.maximum(self.mean(values**2) - self.mean(values) ** 2, 0.0))

    def weighted(self, values: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean over each span of (f,) with non-negative weights (f,); 0 where all weights are."""
        total = self.sum(weights)
        return self.sum(values * weights) / np.where(total > 0, total, 1.0)

    def max(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Greatest of each span of (f,) -> (n,)."""
        found, inside = self.gather(values)
        greatest: NDArray[np.float64] = np.where(inside, found, -np.inf).max(axis=1)
        return greatest

    def gather(self, values: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Lay (f,) out as (n, l), zeros behind each end, and where it is real (n, l)."""
        steps = np.arange(int(self.lengths.max(initial=1)))
        inside = steps < self.lengths[:, None]
        rows = np.minimum(self.first[:, None] + steps, len(values) - 1)
        return np.where(inside, values[rows], 0.0).astype(np.float64), inside

    def quantile(self, values: NDArray[np.floating], share: float) -> NDArray[np.float64]:
        """Quantile of each span of (f,) -> (n,), linear between order statistics."""
        found, inside = self.gather(values)
        ordered = np.sort(np.where(inside, found, np.inf), axis=1)
        place = share * (self.lengths - 1)
        below = np.floor(place).astype(np.intp)[:, None]
        above = np.minimum(below + 1, self.lengths[:, None] - 1)
        low, high = (np.take_along_axis(ordered, k, axis=1)[:, 0] for k in (below, above))
        between: NDArray[np.float64] = low + (high - low) * (place - below[:, 0])
        return between


def slope(values: NDArray[np.float64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Least-squares slope per frame of each row of (n, l) where `inside`, a run from 0; 0 for one frame."""
    steps = np.arange(values.shape[1], dtype=np.float64)
    centred = np.where(inside, steps - (inside.sum(axis=1, keepdims=True) - 1) / 2, 0.0)
    power = (centred**2).sum(axis=1)
    found: NDArray[np.float64] = (centred * values).sum(axis=1) / np.where(power > 0, power, 1.0)
    return found
