"""Intervals against textbook values, and that clusters widen them."""

import numpy as np
import pytest
from scipy.stats import binomtest

from model.evaluation.intervals import clustered_bootstrap, macro_bootstrap, wilson


@pytest.mark.parametrize(("hits", "queries"), [(0, 10), (4, 10), (10, 10), (590, 1464)])
def test_wilson_is_scipy_s(hits: int, queries: int) -> None:
    expected = binomtest(hits, queries).proportion_ci(0.95, method="wilson")
    assert wilson(hits / queries, queries) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bootstrap_of_independent_values_is_the_normal_interval() -> None:
    values = (np.random.default_rng(0).random(1464) < 0.4).astype(float)
    ((low, high),) = clustered_bootstrap(values[:, None], np.arange(1464).astype(str))
    half = 1.96 * values.std() / np.sqrt(1464)  # docs/models.md 6.6: +-.025 at .40 on 1,464 queries
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.003)


def test_equal_values_inside_clusters_count_once() -> None:
    rng = np.random.default_rng(0)
    values, clusters = np.repeat(rng.random(100), 4), np.repeat(np.arange(100), 4).astype(str)
    ((low, high),) = clustered_bootstrap(values[:, None], clusters)
    ((free_low, free_high),) = clustered_bootstrap(values[:, None], np.arange(400).astype(str))
    assert (high - low) / (free_high - free_low) == pytest.approx(2, rel=0.15)  # sqrt(4)


def test_clusters_of_unequal_size_are_weighed_by_it() -> None:
    """Each draw is a mean over the queries drawn: of equal values that value, of others as written out."""
    clusters = np.repeat(["a", "b", "c", "d", "e"], [1, 2, 3, 10, 30])
    ((low, high),) = clustered_bootstrap(np.full((46, 1), 0.7), clusters)
    assert (low, high) == pytest.approx((0.7, 0.7))
    values, rng = np.random.default_rng(0).random(46), np.random.default_rng(1)
    blocks = [values[clusters == name] for name in np.unique(clusters)]
    means = [np.concatenate([blocks[i] for i in rng.integers(0, 5, 5)]).mean() for _ in range(20_000)]
    ((low, high),) = clustered_bootstrap(values[:, None], clusters, resamples=20_000)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.005)


def test_macro_interval_is_that_of_the_groups_means() -> None:
    """Against draws written out, with a rare group that some of them leave out."""
    rng = np.random.default_rng(3)
    values, groups, clusters = (
        rng.random(40),
        np.array(["a"] * 30 + ["b"] * 8 + ["c"] * 2),
        np.arange(40) // 2,
    )
    means = []
    for _ in range(8_000):
        drawn = np.concatenate([np.flatnonzero(clusters == c) for c in rng.integers(0, 20, 20)])
        means.append(np.mean([values[drawn][groups[drawn] == g].mean() for g in np.unique(groups[drawn])]))
    found = macro_bootstrap(values, groups, clusters.astype(str), resamples=8_000)
    assert found == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.012)
    assert macro_bootstrap(np.ones(40), groups, clusters.astype(str)) == pytest.approx((1, 1))


def test_one_cluster_has_no_spread_to_resample() -> None:
    values = np.array([[0.0, 3.0], [1.0, 4.0]])
    assert clustered_bootstrap(values, np.array(["a", "a"])).tolist() == [[0.5, 0.5], [3.5, 3.5]]
