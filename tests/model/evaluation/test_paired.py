"""Paired comparisons against scipy on independent queries, Holm against its published example, and time."""

import numpy as np
import pytest
from scipy import stats

from model.evaluation.paired import compare, differences, holm, sign_flips


def apart(q: int) -> np.ndarray:
    return np.arange(q).astype(str)


@pytest.mark.parametrize(("q", "shift"), [(40, 0.0), (40, 0.3), (200, 0.12), (7, 0.9)])
def test_sign_flips_are_scipy_s_paired_permutation_test(q: int, shift: float) -> None:
    rng = np.random.default_rng(q)
    ours, theirs = rng.standard_normal(q) + shift, rng.standard_normal(q)
    expected = stats.permutation_test(
        (ours, theirs),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=10_000,
        vectorized=True,
        rng=np.random.default_rng(1),
    ).pvalue
    found = sign_flips((ours - theirs)[:, None], apart(q), patterns=10_000)[0]
    assert found == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 10_000))


def test_the_interval_is_scipy_s_bootstrap() -> None:
    rng = np.random.default_rng(2)
    ours, theirs = (rng.random((1, 400)) < 0.45).astype(float), (rng.random((1, 400)) < 0.35).astype(float)
    found = compare(ours, theirs, apart(400))
    expected = stats.bootstrap(
        ((ours - theirs)[0],), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found.value == pytest.approx((ours - theirs).mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)


def test_seeds_are_averaged_before_queries_are_compared() -> None:
    ours = np.array([[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]])  # its seeds take turns
    theirs = np.array([[0.5, 0.5, 0.5, 0.5]])
    found = compare(ours, theirs, apart(4))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_few_queries_that_all_differ_do_not_make_a_difference_certain() -> None:
    found = compare(np.ones((1, 3)), np.zeros((1, 3)), apart(3))
    exact = stats.binomtest(3, 3).proportion_ci(0.95, method="wilson")
    assert found.value == 1
    assert (found.low, found.high) == pytest.approx((2 * exact.low - 1, 1))  # shares of -1 to 1
    assert found.p == pytest.approx(1 / 4, abs=0.02)


def test_queries_of_one_track_are_one_witness() -> None:
    rng = np.random.default_rng(5)
    once = rng.standard_normal(30) + 0.45
    four_times = np.repeat(once, 4)[None]
    together = compare(four_times, np.zeros((1, 120)), np.repeat(apart(30), 4))
    alone = compare(once[None], np.zeros((1, 30)), apart(30))
    as_if_apart = compare(four_times, np.zeros((1, 120)), apart(120))
    assert together.p == pytest.approx(alone.p, abs=0.02)
    assert as_if_apart.p < together.p / 3
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=1e-12)


def test_under_no_difference_p_is_uniform() -> None:
    """Of 400 pairs of equal systems as many have a p below .05 as a coin of .05 allows, and p is never 0."""
    values = np.random.default_rng(7).standard_normal((60, 400))
    p = sign_flips(values, apart(60), patterns=999)
    assert p.min() > 0
    assert stats.kstest(p, "uniform").pvalue > 0.01
    sure = sign_flips(np.ones((60, 1)), apart(60), patterns=999)
    assert sure[0] == 1 / 1000


def test_many_at_once_are_each_alone() -> None:
    values = np.random.default_rng(8).standard_normal((50, 3)) + np.array([0.0, 0.2, 0.5])
    together = differences(values, apart(50))
    for column, found in enumerate(together):
        alone = compare(values[None, :, column], np.zeros((1, 50)), apart(50))
        assert (found.value, found.low, found.high, found.p) == pytest.approx(
            (alone.value, alone.low, alone.high, alone.p)
        )


def test_one_query_says_nothing() -> None:
    found = compare(np.array([[1.0]]), np.array([[0.0]]), apart(1))
    assert (found.value, found.p) == (1, 1)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([], []),
        ([0.04], [0.04]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # the textbook's four
        ([0.5, 0.9, 0.6], [1.0, 1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
    ],
)
def test_holm(p: list[float], adjusted: list[float]) -> None:
    assert holm(p).tolist() == pytest.approx(adjusted)
