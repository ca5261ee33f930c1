"""The recall curve against sorted lists, and against the table that stands beside it."""

import numpy as np
import pytest

from model.evaluation.curve import EVERY_K, list_lengths, recall_curves
from model.evaluation.protocol import CUTOFFS, evaluate_scores


def slow_recall(scores: np.ndarray, tracks: np.ndarray, protocol: str, k: int) -> float:
    """The definition, without ties: sort, look at the first k."""
    found = 0
    for i, row in enumerate(scores):
        first = sorted(range(len(row)), key=lambda j: -row[j])[:k]
        found += any(j == i if protocol == "strict" else tracks[j] == tracks[i] for j in first)
    return found / len(scores)


@pytest.mark.parametrize("n", [1, 2, 13])
def test_every_point_is_the_share_found_in_the_sorted_lists(n: int) -> None:
    rng = np.random.default_rng(n)
    scores, tracks = rng.standard_normal((n, n)), rng.integers(0, max(1, n // 2), n).astype(str)
    for curve in recall_curves(scores, tracks):
        assert curve.k.tolist() == list(range(1, n + 1))
        matrix = scores if curve.direction == "V->M" else scores.T
        expected = [slow_recall(matrix, tracks, curve.protocol, k) for k in range(1, n + 1)]
        np.testing.assert_allclose(curve.value, expected, atol=1e-12)
        assert curve.value[-1] == curve.low[-1] == curve.high[-1] == 1  # of the whole pool: certain
        assert (curve.low[curve.chance < 1 - 1e-9] < 1).all()
        assert (np.diff(curve.value) >= 0).all()


def test_curve_and_table_say_the_same_with_intervals_and_chance() -> None:
    rng = np.random.default_rng(5)
    scores, tracks = (
        rng.standard_normal((60, 60)) + 2 * np.eye(60),
        np.repeat(np.arange(40), [2] * 20 + [1] * 20),
    )
    table = evaluate_scores(scores, tracks.astype(str), split="test")
    for curve in recall_curves(scores, tracks.astype(str)):
        result = table.result(curve.protocol, curve.direction)
        for k in CUTOFFS:
            i, estimate = int(np.flatnonzero(curve.k == k)[0]), result.recall[k]
            found = (curve.value[i], curve.low[i], curve.high[i], curve.chance[i])
            assert found == pytest.approx((estimate.value, estimate.low, estimate.high, estimate.chance))


def test_a_scorer_that_calls_everything_equal_lies_on_the_chance_line() -> None:
    tracks = np.array(["a", "b", "c", "c"])
    for curve in recall_curves(np.zeros((4, 4)), tracks):
        np.testing.assert_allclose(curve.value, curve.chance, atol=1e-12)
        if curve.protocol == "strict":
            np.testing.assert_allclose(curve.chance, [0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("pool", [1, 7, EVERY_K, EVERY_K + 1, 98_071])
def test_lists_go_from_one_to_the_pool_and_hold_the_table_s(pool: int) -> None:
    k = list_lengths(pool)
    assert (k[0], k[-1]) == (1, pool)
    assert (np.diff(k) > 0).all()
    assert {each for each in CUTOFFS if each <= pool} <= set(k.tolist())
    assert len(k) <= EVERY_K + len(CUTOFFS)
