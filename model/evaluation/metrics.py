"""A matrix of scores and of what is right in, ranks and hit rates out.

Where scores tie, every number is its expectation over a random order of the tied candidates: a scorer
that calls everything equal gets exactly chance, neither the best nor the worst of its ties.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ranking:
    """Where the best relevant candidate of each of q queries stands."""

    better: NDArray[np.int64]  # (q,) candidates with a higher score than the best relevant one
    tied: NDArray[np.int64]  # (q,) candidates with its very score, itself included
    relevant: NDArray[np.int64]  # (q,) those of the tied ones that are relevant, >= 1


def rank(scores: NDArray[np.floating], relevant: NDArray[np.bool_]) -> Ranking:
    """Rank candidates by score, descending.

    Args:
        scores: (q, c), finite.
        relevant: (q, c), at least one true in each row.

    Raises:
        ValueError: if the shapes differ, a score is not finite or a query has nothing relevant.
    """
    if scores.shape != relevant.shape or not np.isfinite(scores).all():
        raise ValueError(f"want finite scores of one shape, got {scores.shape} and {relevant.shape}")
    if not relevant.any(axis=1).all():
        raise ValueError("every query needs at least one relevant candidate")
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    same = scores == best
    return Ranking((scores > best).sum(axis=1), same.sum(axis=1), (same & relevant).sum(axis=1))


def hits(ranking: Ranking, k: int) -> NDArray[np.float64]:
    """(q,) probability that a relevant candidate is among the first k: Recall@K of the paper's Eq. (6).

    Among t tied candidates of which r are relevant, the first n hold none of them with probability
    C(t - r, n) / C(t, n) = prod_{i < r} (t - n - i) / (t - i).
    """
    shown = np.clip(k - ranking.better, 0, ranking.tied)
    return 1 - _none_among(shown, ranking.tied, ranking.relevant)


def expected_rank(ranking: Ranking) -> NDArray[np.float64]:
    """(q,) rank from 1 of the first relevant candidate: of r among t ties it stands at (t + 1) / (r + 1)."""
    return np.asarray(ranking.better + (ranking.tied + 1) / (ranking.relevant + 1), np.float64)


def expected_reciprocal(ranking: Ranking) -> NDArray[np.float64]:
    """(q,) 1 / rank of the first relevant candidate; its mean is MRR."""
    reciprocal = np.zeros(len(ranking.better))
    for n in range(int(ranking.tied.max(initial=0))):
        before = _none_among(np.minimum(n, ranking.tied), ranking.tied, ranking.relevant)
        after = _none_among(np.minimum(n + 1, ranking.tied), ranking.tied, ranking.relevant)
        reciprocal += (before - after) / (ranking.better + n + 1)
    return reciprocal


def _none_among(
    shown: NDArray[np.int64], tied: NDArray[np.int64], relevant: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(q,) probability that none of the relevant ones is among the first `shown` of the tied ones."""
    none = np.ones(len(tied))
    for i in range(int(relevant.max(initial=0))):
        active = i < relevant
        factor = np.maximum(tied - shown - i, 0) / np.maximum(tied - i, 1)
        none *= np.where(active, factor, 1.0)
    return none
