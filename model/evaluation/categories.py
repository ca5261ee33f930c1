"""Scores of pairs and their categories in, each category's share of hits out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import wilson
from model.evaluation.metrics import hits, rank
from model.evaluation.pool import Direction, directions


@dataclass(frozen=True, slots=True)
class CategoryRecall:
    """Recall@K of the queries of one category, in the whole pool."""

    category: str
    direction: Direction
    queries: int
    value: float
    low: float  # 95 %, Wilson: a bootstrap of five queries would say 0 to 0 where all five missed
    high: float
    chance: float


def category_recall(
    scores: NDArray[np.float64], categories: NDArray[np.str_], k: int
) -> tuple[CategoryRecall, ...]:
    """Recall@K, strict, by category, the largest first; both directions of one beside each other.

    Args:
        scores: (n, n) video i against clip j; n >= 1.
        categories: (n,) of the pairs.
        k: length of the list.
    """
    names, counts = np.unique(categories, return_counts=True)
    own = np.eye(len(scores), dtype=np.bool_)
    found = {direction: hits(rank(matrix, own), k) for direction, matrix in directions(scores)}
    blind = hits(rank(np.zeros_like(scores), own), k)
    return tuple(
        _of_one(str(names[i]), direction, hit[categories == names[i]], blind[categories == names[i]])
        for i in np.argsort(-counts, kind="stable")
        for direction, hit in found.items()
    )


def _of_one(
    category: str, direction: Direction, hit: NDArray[np.float64], blind: NDArray[np.float64]
) -> CategoryRecall:
    value = float(hit.mean())
    low, high = wilson(value, len(hit))
    return CategoryRecall(category, direction, len(hit), value, low, high, float(blind.mean()))
