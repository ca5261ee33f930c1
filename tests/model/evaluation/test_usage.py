"""Which candidates lists show, against counting, against simulated orders of ties and against scipy."""

import numpy as np
import pytest
from scipy import stats

from model.evaluation.order import Order
from model.evaluation.usage import gini, popularity_lift, random_usage, usage


def test_without_ties_it_counts_the_first_k() -> None:
    scores = np.random.default_rng(0).standard_normal((30, 12))
    counts = np.zeros(12)
    for row in scores:
        for j in sorted(range(12), key=lambda j: -row[j])[:3]:
            counts[j] += 1
    found = usage(Order.of(scores), 3)
    np.testing.assert_allclose(found.shown, counts)
    assert found.skewness == pytest.approx(stats.skew(counts))
    assert found.coverage == pytest.approx((counts > 0).mean())
    assert found.gini == pytest.approx(np.abs(counts[:, None] - counts).mean() / (2 * counts.mean()))


def test_ties_are_shown_by_their_chance() -> None:
    """20,000 random orders of the ties; the standard error of a share of them is below .004."""
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 3, (4, 6)).astype(float)
    orders = 20_000
    noise = rng.random((orders, *scores.shape)) * 0.5
    first = np.argsort(-(scores + noise), axis=2)[:, :, :2]
    counts = np.stack([(first == j).sum(axis=(1, 2)) for j in range(6)], axis=1)
    found = usage(Order.of(scores), 2)
    np.testing.assert_allclose(found.shown, counts.mean(axis=0), atol=0.03)
    assert found.coverage == pytest.approx((counts > 0).mean(), abs=0.01)


@pytest.mark.parametrize(("queries", "candidates", "k"), [(500, 500, 10), (300, 40, 5), (50, 700, 1)])
def test_random_scores_are_used_as_the_binomial_says(queries: int, candidates: int, k: int) -> None:
    rng = np.random.default_rng(queries)
    found = [usage(Order.of(rng.standard_normal((queries, candidates))), k) for _ in range(12)]
    skewness, coverage, uneven = random_usage(queries, candidates, k)
    for name, expected in (("skewness", skewness), ("coverage", coverage), ("gini", uneven)):
        values = [getattr(each, name) for each in found]
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(12) + 2e-3), name


def test_a_hub_and_an_even_use() -> None:
    hub = usage(Order.of(np.tile([5.0, 1.0, 0.5, 0.2], (8, 1))), 1)
    assert hub.shown.tolist() == [8, 0, 0, 0]
    assert (hub.coverage, hub.gini) == (0.25, 0.75)
    assert hub.skewness > 1
    even = usage(Order.of(np.eye(4)), 1)
    assert (even.coverage, even.gini, even.skewness) == (1, 0, 0)
    everything = usage(Order.of(np.eye(4)), 9)
    assert everything.shown.tolist() == [4, 4, 4, 4]
    assert random_usage(4, 4, 9) == (0, 1, 0)


def test_gini_of_known_amounts() -> None:
    assert gini(np.array([0.0, 0.0])) == 0
    assert gini(np.array([7.0])) == 0
    assert gini(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(0.25)


def test_lift_is_one_when_shown_evenly_and_that_of_the_hub_when_not() -> None:
    popularity = np.array([9.0, 1.0, 1.0, 1.0])
    assert popularity_lift(usage(Order.of(np.eye(4)), 1), popularity) == pytest.approx(1)
    hub = usage(Order.of(np.tile([5.0, 1.0, 0.5, 0.2], (8, 1))), 1)
    assert popularity_lift(hub, popularity) == pytest.approx(3)


def test_what_is_shown_alike_up_to_rounding_has_no_skewness() -> None:
    """Ten of twelve: the own candidate for certain, each of eleven others 9/11 of the time."""
    found = usage(Order.of(np.eye(12)), 10)
    np.testing.assert_allclose(found.shown, 10)
    assert found.skewness == 0
