"""Scores of pairs in, recall over the length of the list out, with band and chance."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import clustered_bootstrap
from model.evaluation.metrics import hits
from model.evaluation.pool import Case, Direction, Pool, Protocol, cases
from model.evaluation.protocol import CUTOFFS

EVERY_K = 1_000  # pools up to here get a point for each K; above, points as dense as a log axis can show


@dataclass(frozen=True, slots=True)
class RecallCurve:
    """Share of queries whose right answer is among the first K; in shapes, c lengths of the list."""

    protocol: Protocol
    direction: Direction
    k: NDArray[np.int64]  # (c,) ascending, from 1 to the whole pool
    value: NDArray[np.float64]  # (c,)
    low: NDArray[np.float64]  # (c,) 95 %, bootstrap over queries, clustered by track
    high: NDArray[np.float64]  # (c,)
    chance: NDArray[np.float64]  # (c,)


def list_lengths(pool: int) -> NDArray[np.int64]:
    """Which K to look at: all of a small pool, of a larger one as many as a log axis can show."""
    if pool <= EVERY_K:
        return np.arange(1, pool + 1, dtype=np.int64)
    return np.union1d(np.geomspace(1, pool, EVERY_K).round().astype(np.int64), CUTOFFS)


def recall_curves(scores: NDArray[np.float64], tracks: NDArray[np.str_]) -> tuple[RecallCurve, ...]:
    """Strict and shared in both directions.

    Args:
        scores: (n, n) video i against clip j; n >= 1.
        tracks: (n,) which track clip j was cut from.
    """
    k = list_lengths(len(scores))
    return tuple(_curve(case, k, tracks) for case in cases(Pool(scores, tracks), ("strict", "shared")))


def _curve(case: Case, k: NDArray[np.int64], tracks: NDArray[np.str_]) -> RecallCurve:
    values = np.stack([hits(case.found, int(each)) for each in k], axis=1)  # (n, c)
    chance = np.array([hits(case.blind, int(each)).mean() for each in k])
    certain = np.isclose(chance, 1).astype(np.float64)  # a list so long holds the right one, whoever ranks
    low, high = clustered_bootstrap(values, tracks, within=(certain, 1.0)).T
    return RecallCurve(case.protocol, case.direction, k, values.mean(axis=0), low, high, chance)
