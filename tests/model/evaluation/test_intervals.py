"""Intervals against textbook values, and that clusters widen them."""

import numpy as np
import pytest
from scipy.stats import binomtest

from model.evaluation.intervals import clustered_bootstrap, macro_bootstrap, wilson


def score_interval(hits: int, queries: int) -> tuple[float, float]:
    """Wilson's, by scipy."""
    found = binomtest(hits, queries).proportion_ci(0.95, method="wilson")
    return found.low, found.high


@pytest.mark.parametrize(("hits", "queries"), [(0, 10), (4, 10), (10, 10), (590, 1464)])
def test_wilson_is_scipy_s(hits: int, queries: int) -> None:
    assert wilson(hits / queries, queries) == pytest.approx(score_interval(hits, queries), abs=1e-12)


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


@pytest.mark.parametrize(
    ("queries", "low"), [(1, 0.207), (2, 0.342), (5, 0.566), (12, 0.757), (20, 0.839), (100, 0.963)]
)  # of k hits of k: k / (k + 1.96^2)
def test_where_all_hit_or_all_miss_the_interval_is_wilson_s(queries: int, low: float) -> None:
    values = np.tile([1.0, 0.0], (queries, 1))
    hit, missed = clustered_bootstrap(values, np.arange(queries).astype(str))
    assert hit == pytest.approx((low, 1), abs=1e-3)
    assert missed == pytest.approx((0, 1 - low), abs=1e-3)
    assert hit == pytest.approx(score_interval(queries, queries), abs=1e-12)
    assert hit[1] == 1
    assert missed[0] == 0


def test_hits_of_one_track_are_one_witness() -> None:
    clusters = np.repeat(np.arange(6).astype(str), 4)
    ((low, high),) = clustered_bootstrap(np.ones((24, 1)), clusters)
    assert (low, high) == pytest.approx(score_interval(6, 6))
    one = clustered_bootstrap(np.array([[0.0], [1.0], [1.0], [1.0]]), np.array(["a"] * 4))
    spread = 1.96**2  # as if 3/4 of one query had hit, after Wilson's (4)
    middle = (0.75 + spread / 2) / (1 + spread)
    half = np.sqrt(0.75 * 0.25 * spread + spread**2 / 4) / (1 + spread)
    assert one[0] == pytest.approx((middle - half, middle + half), abs=1e-4)


def test_a_track_that_outweighs_all_others_counts_for_little_more_than_itself() -> None:
    """Kish: (9 + 1 + 1)^2 / (81 + 1 + 1) clusters."""
    ((low, high),) = clustered_bootstrap(np.ones((11, 1)), np.array(["a"] * 9 + ["b", "c"]))
    effective = 121 / 83
    assert (low, high) == pytest.approx((effective / (effective + 1.96**2), 1), abs=1e-4)


def test_a_macro_interval_knows_no_more_than_its_rarest_group_does() -> None:
    groups = np.array(["a"] * 30 + ["b"])
    low, high = macro_bootstrap(np.ones(31), groups, np.arange(31).astype(str))
    effective = 1 / (30 * (1 / 60) ** 2 + (1 / 2) ** 2)  # each of 30 weighs 1/60, the other 1/2
    assert (low, high) == pytest.approx((effective / (effective + 1.96**2), 1), abs=1e-4)
    even = macro_bootstrap(np.zeros(40), np.repeat(["a", "b"], 20), np.arange(40).astype(str))
    assert even == pytest.approx(score_interval(0, 40), abs=1e-12)


def test_bounds_are_those_of_the_figure() -> None:
    clusters, (low, high) = np.arange(12).astype(str), score_interval(0, 12)
    values = np.tile([1.0, 1.0, -1.0, 0.0, 5.0], (12, 1))
    least, most = np.array([1.0, 1.0, -1.0, -1.0, 0.0]), np.array([31.0, 1.0, 1.0, 1.0, 4.0])
    found = clustered_bootstrap(values, clusters, within=(least, most))
    assert found[0] == pytest.approx((1 + 30 * low, 1 + 30 * high))  # such as a mean rank among 31
    assert found[1].tolist() == [1, 1]  # cannot be anything else
    assert found[2] == pytest.approx((-1, -1 + 2 * high))
    assert found[3:].tolist() == [[0, 0], [5, 5]]  # at no bound; and beyond them


def test_what_is_the_same_everywhere_but_no_hit_and_no_miss_is_exact() -> None:
    """Such as chance: the expectation of a hit, not a hit."""
    found = clustered_bootstrap(np.full((30, 1), 1 / 3), np.arange(30).astype(str))
    assert found[0] == pytest.approx((1 / 3, 1 / 3))
