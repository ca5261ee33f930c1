"""Per-query values in, the 95 % interval of their mean out."""

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # two-sided 95 % point of the normal distribution


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
    names, cluster = np.unique(clusters, return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, cluster, values)
    sizes = np.bincount(cluster)
    equal = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), equal, size=resamples)
    means = (drawn @ sums) / (drawn @ sizes)[:, None]
    return np.asarray(np.quantile(means, [0.025, 0.975], axis=0).T, np.float64)


def wilson(share: float, queries: int) -> tuple[float, float]:
    """Wilson's score interval of a share of independent queries (Wilson 1927, JASA 22, 209)."""
    spread = Z_95**2 / queries
    middle = (share + spread / 2) / (1 + spread)
    half = Z_95 / (1 + spread) * np.sqrt(share * (1 - share) / queries + spread / (4 * queries))
    return float(middle - half), float(middle + half)
