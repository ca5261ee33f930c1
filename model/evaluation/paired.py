"""The same queries' values under two systems in, whether and by how much they differ out.

The rule of docs/models.md 6.6: values are averaged over the seeds of training first, queries are clustered
by track, and what is compared is the difference of each query with itself. So an interval says what other
queries might have given; how much another seed would have changed is not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import cluster_sums, clustered_bootstrap

RESAMPLES = 10_000
BLOCK = 500  # sign patterns at a time: bounds memory only
ROUNDING = 1e-9  # of sums: two patterns whose sums are equal on paper must count as equal


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of one system's values less the other's, over the same queries."""

    value: float
    low: float  # 95 %, bootstrap over clusters
    high: float
    p: float  # two-sided, by flipping the signs of clusters


def compare(
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    clusters: NDArray[np.str_],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """One figure of two systems.

    Args:
        ours: (s, q) by seed of training and query, such as `hits(case.found, 10)`.
        theirs: (t, q), the same queries in the same order; another number of seeds is fine.
        clusters: (q,) track of each query.
        resamples: of the bootstrap, and sign patterns.
        seed: of both.
    """
    difference = (ours.mean(axis=0) - theirs.mean(axis=0))[:, None]
    return differences(difference, clusters, resamples=resamples, seed=seed)[0]


def differences(
    values: NDArray[np.float64], clusters: NDArray[np.str_], *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Difference, ...]:
    """Many comparisons of shares over the same queries at once: all rows of a table against one of them.

    Args:
        values: (q, c) of each query one system's value less the other's, averaged over seeds.
        clusters: (q,) track of each query.
        resamples: of the bootstrap, and sign patterns.
        seed: of both.
    """
    ends = clustered_bootstrap(values, clusters, resamples=resamples, seed=seed, within=(-1.0, 1.0))
    chances = sign_flips(values, clusters, patterns=resamples, seed=seed)
    return tuple(
        Difference(float(value), float(low), float(high), float(p))
        for value, (low, high), p in zip(values.mean(axis=0), ends, chances, strict=True)
    )


def sign_flips(
    values: NDArray[np.float64], clusters: NDArray[np.str_], *, patterns: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Paired permutation test (Fisher 1935): if the systems are alike, either might have been either.

    All queries of a cluster change signs together. The pattern that was observed counts as one of those
    drawn, so that p is never 0 and the test is never too bold (Phipson and Smyth 2010, arXiv:1603.05766).

    Args:
        values: (q, c) differences.
        clusters: (q,).
        patterns: how many to draw.
        seed: of the draws.

    Returns:
        (c,) two-sided p of each column.
    """
    sums, _ = cluster_sums(values, clusters)
    observed = np.abs(sums.sum(axis=0))
    rng = np.random.default_rng(seed)
    as_far = np.ones(values.shape[1])
    for first in range(0, patterns, BLOCK):
        signs = rng.integers(0, 2, (min(BLOCK, patterns - first), len(sums))) * 2.0 - 1
        as_far += (np.abs(signs @ sums) >= observed - ROUNDING).sum(axis=0)
    return as_far / (patterns + 1)


def holm(p: Sequence[float]) -> NDArray[np.float64]:
    """Adjust the p of one table's rows so that all of them together err in 5 % of tables (Holm 1979).

    The smallest of n is multiplied by n, the next by n - 1 and so on; none falls below a smaller one's.
    """
    given = np.asarray(p, np.float64)
    order = np.argsort(given, kind="stable")
    scaled = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted
