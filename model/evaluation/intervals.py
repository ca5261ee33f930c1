"""Per-query values in, the 95 % interval of their mean out.

Resamples of values that do not vary are all alike, which says nothing about other queries. So where every
value is the least or the most that it could be (all hit, all missed), or all are of one cluster, the
interval is Wilson's score interval (Wilson 1927, JASA 22, 209) over the number of clusters, of their
effective number where sizes differ (Kish 1965, Survey Sampling): 12 hits of 12 are 76 to 100 %.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # two-sided 95 % point of the normal distribution
BLOCK = 500  # resamples at a time: bounds memory only
ROUNDING = 1e-9  # a mean so near to a bound is at it

Bound = float | NDArray[np.float64]


def clustered_bootstrap(
    values: NDArray[np.float64],
    clusters: NDArray[np.str_],
    *,
    resamples: int = 2_000,
    seed: int = 0,
    within: tuple[Bound, Bound] = (0.0, 1.0),
) -> NDArray[np.float64]:
    """Percentile intervals of means when values of one cluster may rise and fall together.

    Whole clusters (all clips of one track) are drawn with replacement: two ads over one song are
    not two independent witnesses.

    Args:
        values: (q, c), q >= 1 queries, c figures of each.
        clusters: (q,) name of each query's cluster.
        resamples: draws; 2,000 fix the ends to about a tenth of the interval's width.
        seed: of the draws.
        within: the least and the most that a value can be, of all figures or (c,); a figure that can be
            one thing only, as recall in a list as long as the pool, has no interval but its value.

    Returns:
        (c, 2) lower and upper end of each figure's mean.
    """
    sums, sizes = cluster_sums(values, clusters)
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [(drawn @ sums) / (drawn @ sizes)[:, None] for drawn in _draws(rng, len(sizes), resamples)]
    )
    ends = np.asarray(np.quantile(means, [0.025, 0.975], axis=0).T, np.float64)
    return _scored(ends, values.mean(axis=0), sizes, within)


def macro_bootstrap(
    values: NDArray[np.float64],
    groups: NDArray[np.str_],
    clusters: NDArray[np.str_],
    *,
    resamples: int = 2_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the mean of the groups' means; a group that a draw leaves out is left out there.

    Args:
        values: (q,) q >= 1, shares of 1.
        groups: (q,) such as categories.
        clusters: (q,) name of each query's cluster.
        resamples: draws of whole clusters.
        seed: of the draws.
    """
    names, group = np.unique(groups, return_inverse=True)
    member = np.eye(len(names))[group]
    sums, sizes = cluster_sums(np.hstack([member * values[:, None], member]), clusters)
    means = []
    for drawn in _draws(np.random.default_rng(seed), len(sizes), resamples):
        found, queries = np.hsplit(drawn @ sums, 2)
        shares = np.divide(found, queries, out=np.full_like(found, np.nan), where=queries > 0)
        means.append(np.nanmean(shares, axis=1))
    ends = np.quantile(np.concatenate(means), [0.025, 0.975])[None]
    found, queries = np.hsplit(sums, 2)
    value = (found.sum(axis=0) / queries.sum(axis=0)).mean()
    weights = (queries / queries.sum(axis=0)).mean(axis=1)  # of each cluster in that mean
    ((low, high),) = _scored(ends, np.array([value]), weights, (0.0, 1.0))
    return float(low), float(high)


def cluster_sums(
    values: NDArray[np.float64], clusters: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(q, c) values summed over each of k clusters: (k, c), and how many queries each has: (k,)."""
    names, cluster = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, cluster, values)
    return sums, np.bincount(cluster).astype(np.float64)


def wilson(share: float, queries: float) -> tuple[float, float]:
    """Wilson's score interval of a share of independent queries, or of so many effective ones."""
    spread = Z_95**2 / queries
    middle = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * np.sqrt(share * (1 - share) / queries + spread / (4 * queries))
    return float(middle - half), float(middle + half)


def _scored(
    ends: NDArray[np.float64],
    value: NDArray[np.float64],
    weights: NDArray[np.float64],
    within: tuple[Bound, Bound],
) -> NDArray[np.float64]:
    """Replace the ends (c, 2) of figures that do not vary over k clusters.

    A value between the bounds that several clusters share stays alone: it is an expectation over ties, such
    as chance, and exact.

    Args:
        ends: of the bootstrap.
        value: (c,) the means.
        weights: (k,) of each cluster in them.
        within: bounds of a value.
    """
    least, most = (np.broadcast_to(bound, value.shape) for bound in within)
    at_bound = (np.abs(value - least) < ROUNDING) | (np.abs(value - most) < ROUNDING)
    possible = (least - ROUNDING < value) & (value < most + ROUNDING) & (least < most)
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    for i in np.flatnonzero(possible & (at_bound | (len(weights) == 1))):
        span = most[i] - least[i]
        share = float(np.clip((value[i] - least[i]) / span, 0, 1))
        low, high = wilson(share, effective)
        ends[i] = least[i] + span * np.array([max(0.0, min(low, share)), min(1.0, max(high, share))])
    return ends


def _draws(rng: np.random.Generator, clusters: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Blocks of (b, clusters): how often each cluster was drawn in each of b resamples."""
    for first in range(0, resamples, BLOCK):
        block = min(BLOCK, resamples - first)
        drawn = rng.integers(0, clusters, (block, clusters)) + clusters * np.arange(block)[:, None]
        yield (
            np.bincount(drawn.ravel(), minlength=block * clusters).reshape(block, clusters).astype(np.float64)
        )
