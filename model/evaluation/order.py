"""A matrix of scores in, whole rankings and the figures that need more than their first right answer out.

Where scores tie, every number is its expectation over a random order of the tied candidates, as in
`metrics` (McSherry and Najork 2008, "Computing information retrieval performance measures efficiently in
the presence of tied scores"). In shapes, q queries and c candidates.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

SAME_CLIP, SAME_TRACK, SAME_CATEGORY = 3.0, 2.0, 1.0  # gains of docs/models.md 6.1


@dataclass(frozen=True, slots=True)
class Order:
    """Candidates best first; those that tie stand together, in any order."""

    candidate: NDArray[np.int64]  # (q, c) which candidate stands at each position
    first: NDArray[np.int64]  # (q, c) position at which the ties begin that this position is among
    last: NDArray[np.int64]  # (q, c) position behind their end

    @classmethod
    def of(cls, scores: NDArray[np.floating]) -> Self:
        """Sort each row of (q, c) finite scores, c >= 1."""
        candidate = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.take_along_axis(scores, candidate, axis=1)
        edge = np.ones((len(scores), 1), np.bool_)
        changes = ranked[:, 1:] != ranked[:, :-1]
        position = np.arange(scores.shape[1])
        first = np.where(np.hstack([edge, changes]), position, 0)
        last = np.where(np.hstack([changes, edge]), position + 1, scores.shape[1])
        first = np.maximum.accumulate(first, axis=1)
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        return cls(candidate, first, last)

    @classmethod
    def blind(cls, queries: int, candidates: int) -> Self:
        """Of a scorer that calls everything equal."""
        candidate = np.broadcast_to(np.arange(candidates), (queries, candidates))
        first = np.zeros_like(candidate)
        return cls(candidate, first, first + candidates)

    def expected(self, gains: NDArray[np.floating | np.bool_]) -> NDArray[np.float64]:
        """(q, c) gain to expect at each position: the mean of those that tie there.

        Args:
            gains: (q, c) of each candidate.
        """
        summed = _before(np.take_along_axis(gains, self.candidate, axis=1).astype(np.float64))
        return self._within(summed) / (self.last - self.first)

    def _within(self, summed: NDArray[np.float64]) -> NDArray[np.float64]:
        """(q, c) what `summed` (q, c + 1) gains from the first to the last of the ties."""
        ends = (np.take_along_axis(summed, at, axis=1) for at in (self.last, self.first))
        return np.subtract(*ends)


def recall_at(expected: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(q,) share of what is relevant that is among the first k; with one relevant candidate the hit rate.

    Args:
        expected: (q, c) of 0 and 1 gains, at least one 1 a row.
        k: length of the list.
    """
    share: NDArray[np.float64] = expected[:, :k].sum(axis=1) / expected.sum(axis=1)
    return share


def precision_at(expected: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """(q,) mean gain of the first k (of all if they are fewer): with gains of 0 and 1, precision@k.

    Of gains that say whether a candidate has the query's category it is the category agreement@k.
    """
    return np.asarray(expected[:, :k].mean(axis=1), np.float64)


def r_precision(expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """(q,) precision among the first r, r being how many are relevant."""
    relevant = np.rint(expected.sum(axis=1)).astype(np.int64)
    found = np.take_along_axis(_before(expected), relevant[:, None], axis=1)[:, 0]
    return np.asarray(found / relevant, np.float64)


def ndcg_at(expected: NDArray[np.float64], gains: NDArray[np.floating], k: int) -> NDArray[np.float64]:
    """(q,) discounted gain of the first k over that of the best order (Järvelin and Kekäläinen 2002).

    Gains count as they are, not as 2^gain - 1, and are discounted by log2(1 + rank).

    Args:
        expected: (q, c) by position.
        gains: (q, c) by candidate, >= 0; a row of zeros has 0.
        k: length of the list.
    """
    best = -np.sort(-gains, axis=1)[:, :k]
    discount = 1 / np.log2(np.arange(2, best.shape[1] + 2))
    ideal = best @ discount
    found = expected[:, :k] @ discount
    return np.asarray(np.divide(found, ideal, out=np.zeros(len(gains)), where=ideal > 0), np.float64)


def average_precision(order: Order, relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(q,) mean over what is relevant of the precision at its rank; the mean over queries is mAP.

    At a position p among t ties of which r are relevant, p - f of them before it and R relevant ones before
    the ties, a relevant candidate is expected r / t times, and then R + 1 + (p - f) (r - 1) / (t - 1) are
    relevant up to it.

    Args:
        order: of the scores.
        relevant: (q, c) at least one true a row.
    """
    summed = _before(np.take_along_axis(relevant, order.candidate, axis=1).astype(np.float64))
    ties = order.last - order.first
    among = order._within(summed)
    before = np.take_along_axis(summed, order.first, axis=1)
    position = np.arange(relevant.shape[1])
    others = (position - order.first) * (among - 1) / np.maximum(ties - 1, 1)
    precision = among / ties * (before + 1 + others) / (position + 1)
    return np.asarray(precision.sum(axis=1) / relevant.sum(axis=1), np.float64)


def graded(tracks: NDArray[np.str_], categories: NDArray[np.str_]) -> NDArray[np.float64]:
    """(n, n) gain of clip j for video i: 3 the own clip, 2 its track, 1 its category, else 0.

    Args:
        tracks: (n,) of the clips.
        categories: (n,) of the adverts; "" is none, and like no other.
    """
    same = (categories[:, None] == categories) & (categories != "")
    gains = np.where(same, SAME_CATEGORY, 0.0)
    gains[tracks[:, None] == tracks] = SAME_TRACK
    np.fill_diagonal(gains, SAME_CLIP)
    return gains


def _before(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(q, c) to (q, c + 1): what stands before each position, and at last all."""
    return np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))
