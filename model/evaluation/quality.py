"""Scores of a split in, what its lists are like beyond their first right answer out, a row a figure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import clustered_bootstrap, macro_bootstrap
from model.evaluation.order import (
    Order,
    average_precision,
    graded,
    ndcg_at,
    precision_at,
    r_precision,
    recall_at,
)
from model.evaluation.pool import Direction, directions
from model.evaluation.usage import popularity_lift, random_usage, usage


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one direction; None is what it does not have."""

    name: str
    direction: Direction
    value: float
    low: float | None  # 95 %, bootstrap over queries, clustered by track
    high: float | None
    chance: float | None


@dataclass(frozen=True, slots=True)
class Labels:
    """What is known of n pairs."""

    tracks: NDArray[np.str_]  # (n,)
    categories: NDArray[np.str_]  # (n,)
    popularity: NDArray[np.float64] | None = None  # (n,) training pairs with the clip's track


def quality(scores: NDArray[np.float64], labels: Labels, k: int = 10) -> tuple[Figure, ...]:
    """Every figure in both directions.

    IR recall, precision at R and mAP call every clip of the own track right; nDCG has gains 3 for the own
    clip, 2 for its track, 1 for its category; agreement is the share of the first k that has the query's
    category; macro recall gives every category the same weight; hubness is the skewness of how often each
    candidate is among the first k, coverage the share that ever is, popularity lift how much more often
    the tracks were trained on that are shown than those that are there.

    Args:
        scores: (n, n) video i against clip j; n >= 1.
        labels: of the pairs.
        k: length of the list.
    """
    k = min(k, len(scores))
    return tuple(
        figure
        for direction, matrix in directions(scores)
        for figure in _of_direction(direction, Order.of(matrix), labels, k)
    )


def _of_direction(direction: Direction, order: Order, labels: Labels, k: int) -> Iterator[Figure]:
    yield from _by_query(direction, order, labels, k)
    if len(np.unique(labels.categories)) > 1:
        yield _macro(direction, order, labels, k)
    yield from _of_all(direction, order, labels, k)


def _by_query(direction: Direction, order: Order, labels: Labels, k: int) -> Iterator[Figure]:
    """The figures that are means over queries."""
    values = _values(order, labels, k)
    blind = _values(Order.blind(*order.candidate.shape), labels, k)
    table = np.stack(list(values.values()), axis=1)
    chance = {name: float(x.mean()) for name, x in blind.items()}
    certain = np.isclose(list(chance.values()), 1).astype(np.float64)  # whoever ranks
    ends = clustered_bootstrap(table, labels.tracks, within=(certain, 1.0))
    for (name, value), (low, high) in zip(values.items(), ends, strict=True):
        yield Figure(name, direction, float(value.mean()), float(low), float(high), chance[name])


def _values(order: Order, labels: Labels, k: int) -> dict[str, NDArray[np.float64]]:
    same_track = labels.tracks[:, None] == labels.tracks
    gains = graded(labels.tracks, labels.categories)
    by_track = order.expected(same_track)
    values = {
        f"IR recall@{k}, shared": recall_at(by_track, k),
        "mAP, shared": average_precision(order, same_track),
        "R-precision, shared": r_precision(by_track),
        f"nDCG@{k}, graded": ndcg_at(order.expected(gains), gains, k),
    }
    if len(np.unique(labels.categories)) > 1:
        same_category = labels.categories[:, None] == labels.categories
        values[f"category agreement@{k}"] = precision_at(order.expected(same_category), k)
    return values


def _macro(direction: Direction, order: Order, labels: Labels, k: int) -> Figure:
    """Recall with every category weighing the same, however few its queries."""
    own = recall_at(order.expected(np.eye(len(labels.tracks))), k)
    names, category = np.unique(labels.categories, return_inverse=True)
    value = np.mean([own[category == i].mean() for i in range(len(names))])
    low, high = macro_bootstrap(own, labels.categories, labels.tracks)
    return Figure(
        f"macro R@{k} over categories", direction, float(value), low, high, k / order.candidate.shape[1]
    )


def _of_all(direction: Direction, order: Order, labels: Labels, k: int) -> Iterator[Figure]:
    """The figures of all lists together."""
    used = usage(order, k)
    queries, candidates = order.candidate.shape
    skewness, coverage, uneven = random_usage(queries, candidates, k)

    def figure(name: str, value: float, chance: float) -> Figure:
        return Figure(name, direction, value, None, None, chance)

    yield figure(f"hubness (skewness of N_{k})", used.skewness, skewness)
    yield figure(f"coverage@{k}", used.coverage, coverage)
    yield figure(f"Gini of N_{k}", used.gini, uneven)
    if labels.popularity is not None and labels.popularity.any():
        yield figure(f"popularity lift@{k}", popularity_lift(used, labels.popularity), 1.0)
