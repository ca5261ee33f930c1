"""Ranks and hit rates against every order of the ties, written out."""

from itertools import permutations

import numpy as np
import pytest

from model.evaluation.metrics import expected_rank, expected_reciprocal, hits, rank


def all_orders(scores: np.ndarray, relevant: np.ndarray) -> list[int]:
    """Rank of the first relevant candidate in every order that the scores allow."""
    ranks = []
    for order in permutations(range(len(scores))):
        sorted_scores = scores[list(order)]
        if (np.diff(sorted_scores) <= 0).all():
            ranks.append(1 + next(i for i, j in enumerate(order) if relevant[j]))
    return ranks


@pytest.mark.parametrize("seed", range(8))
def test_every_figure_is_its_mean_over_all_orders_of_the_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (4, 6)).astype(float)
    relevant = rng.random((4, 6)) < 0.4
    relevant[np.arange(4), rng.integers(0, 6, 4)] = True
    found = rank(scores, relevant)
    for i in range(4):
        ranks = np.array(all_orders(scores[i], relevant[i]))
        assert expected_rank(found)[i] == pytest.approx(ranks.mean())
        assert expected_reciprocal(found)[i] == pytest.approx((1 / ranks).mean())
        for k in (1, 2, 3, 6, 9):
            assert hits(found, k)[i] == pytest.approx((ranks <= k).mean())


def test_without_ties_it_is_the_place_in_the_sorted_list() -> None:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((50, 50))
    own = np.eye(50, dtype=np.bool_)
    places = np.array([list(np.argsort(-row)).index(i) + 1 for i, row in enumerate(scores)])
    found = rank(scores, own)
    np.testing.assert_array_equal(expected_rank(found), places)
    np.testing.assert_allclose(expected_reciprocal(found), 1 / places)
    assert hits(found, 10).mean() == (places <= 10).mean()


@pytest.mark.parametrize("n", [1, 3, 1464])
def test_a_scorer_that_calls_everything_equal_gets_chance(n: int) -> None:
    found = rank(np.zeros((min(n, 5), n)), np.eye(min(n, 5), n, dtype=np.bool_))
    assert hits(found, 10) == pytest.approx(min(1, 10 / n))
    assert expected_rank(found) == pytest.approx((n + 1) / 2)


def test_random_scores_get_k_of_n_within_three_standard_errors() -> None:
    n = 1464
    found = rank(np.random.default_rng(0).standard_normal((n, n)), np.eye(n, dtype=np.bool_))
    chance = 10 / n
    assert abs(hits(found, 10).mean() - chance) < 3 * np.sqrt(chance * (1 - chance) / n)


def test_refuses_what_cannot_be_ranked() -> None:
    own = np.eye(2, dtype=np.bool_)
    with pytest.raises(ValueError, match="finite"):
        rank(np.array([[1.0, np.nan], [0.0, 0.0]]), own)
    with pytest.raises(ValueError, match="one shape"):
        rank(np.zeros((2, 3)), own)
    with pytest.raises(ValueError, match="relevant"):
        rank(np.zeros((2, 2)), np.array([[True, False], [False, False]]))
