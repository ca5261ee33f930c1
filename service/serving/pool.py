"""The embeddings of a snapshot in, how they lie out: the scale against which parts of a query count."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

SAMPLED = 4096  # segments that stand for a pool of any size: 20 ms once, and a deviation within 2 %
LEAST_DEVIATION = 0.01  # of cosines; a part that varies less says nothing about this pool: it is not blown up


@dataclass(frozen=True, slots=True)
class Pool:
    """Where the segments of a snapshot lie, in d dimensions."""

    mean: NDArray[np.float64]  # (d,)
    covariance: NDArray[np.float64]  # (d, d)

    @classmethod
    def of(cls, embeddings: NDArray[np.float32]) -> Self:
        """From (n, d) rows, n >= 1, evenly taken: the same rows give the same numbers."""
        count = len(embeddings)
        rows = np.unique(np.linspace(0, count - 1, min(count, SAMPLED)).astype(np.int64))
        taken = np.asarray(embeddings[rows], np.float64)
        centred = taken - taken.mean(axis=0)
        return cls(taken.mean(axis=0), centred.T @ centred / len(taken))

    def deviation(self, query: NDArray[np.floating]) -> float:
        """Standard deviation of a query's cosines over the pool, at least `LEAST_DEVIATION`."""
        exact = query.astype(np.float64)
        # no threads, as `scores_of`; one after the other, since einsum multiplies three in a plain loop
        spread = np.einsum("i,ij->j", exact, self.covariance)
        variance = float(np.einsum("j,j->", spread, exact))
        return math.sqrt(max(variance, LEAST_DEVIATION**2))

    def standard(self, query: NDArray[np.floating]) -> NDArray[np.float64]:
        """(d,): its product with a vector less the mean is how many deviations that lies above the pool."""
        scaled: NDArray[np.float64] = query.astype(np.float64) / self.deviation(query)
        return scaled
