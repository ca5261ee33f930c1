"""Scores of pairs in, the videos whose own clip was found best and worst out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.metrics import expected_rank, rank


@dataclass(frozen=True, slots=True)
class Example:
    """One video: where its own clip stands, and the best clip of another track."""

    pair: int  # row of the scores
    rank: float  # of the own clip, from 1; its expectation where scores tie
    score: float
    rival: int | None  # row of the best clip of another track; None in a pool of one track
    rival_score: float | None


def best_and_worst(
    scores: NDArray[np.float64], tracks: NDArray[np.str_], most: int = 6
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Up to `most` videos from either end, no video in both; equal ranks go by the lead over the rival.

    A video whose own clip stands first is never among the worst.

    Args:
        scores: (n, n) video i against clip j; n >= 1.
        tracks: (n,) which track clip j was cut from.
        most: of each.

    Returns:
        Best first; worst first.
    """
    n = len(scores)
    ranks = expected_rank(rank(scores, np.eye(n, dtype=np.bool_)))
    others = np.where(tracks[:, None] != tracks[None, :], scores, -np.inf)
    rivals = others.argmax(axis=1)
    lead = np.diag(scores) - others.max(axis=1)
    order = np.lexsort((-lead, ranks))
    missed = int((ranks > 1).sum())
    worst = order[::-1][: min(most, n // 2, missed)]
    best = order[: min(most, n - n // 2)]

    def example(i: int) -> Example:
        rival = int(rivals[i]) if np.isfinite(lead[i]) else None
        rival_score = None if rival is None else float(scores[i, rival])
        return Example(i, float(ranks[i]), float(scores[i, i]), rival, rival_score)

    return tuple(example(int(i)) for i in best), tuple(example(int(i)) for i in worst)
