"""Per-query values in, the 95 % interval of their mean out."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # two-sided 95 % point of the normal distribution
BLOCK = 500  # resamples at a time: bounds memory only


def clustered_bootstrap(
    values: NDArray[np.float64], clusters: NDArray[np.str_], *, resamples: int = 2_000, seed: int = 0
) -> NDArray[np.float64]:
    """Percentile intervals of means when values of one cluster may rise and fall together.

    Whole clusters (all clips of one track) are drawn with replacement: two ads over one song are
    not two independent witnesses.

    Args:
        values: (q, c), q >= 1 queries, c figures of each.
        clusters: (q,) name of each query's cluster.
        resamples: draws; 2,000 fix the ends to about a tenth of the interval's width.
        seed: of the draws.

    Returns:
        (c, 2) lower and upper end of each figure's mean.
    """
    sums, sizes = cluster_sums(values, clusters)
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [(drawn @ sums) / (drawn @ sizes)[:, None] for drawn in _draws(rng, len(sizes), resamples)]
    )
    return np.asarray(np.quantile(means, [0.025, 0.975], axis=0).T, np.float64)


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
        values: (q,) q >= 1.
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
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def cluster_sums(
    values: NDArray[np.float64], clusters: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(q, c) values summed over each of k clusters: (k, c), and how many queries each has: (k,)."""
    names, cluster = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, cluster, values)
    return sums, np.bincount(cluster).astype(np.float64)


def wilson(share: float, queries: int) -> tuple[float, float]:
    """Wilson's score interval of a share of independent queries (Wilson 1927, JASA 22, 209)."""
    spread = Z_95**2 / queries
    middle = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * np.sqrt(share * (1 - share) / queries + spread / (4 * queries))
    return float(middle - half), float(middle + half)


def _draws(rng: np.random.Generator, clusters: int, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Blocks of (b, clusters): how often each cluster was drawn in each of b resamples."""
    for first in range(0, resamples, BLOCK):
        block = min(BLOCK, resamples - first)
        drawn = rng.integers(0, clusters, (block, clusters)) + clusters * np.arange(block)[:, None]
        yield (
            np.bincount(drawn.ravel(), minlength=block * clusters).reshape(block, clusters).astype(np.float64)
        )
