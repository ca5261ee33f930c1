"""Figures of whole rankings against torchmetrics, and where scores tie against every order written out."""

from itertools import permutations

import numpy as np
import pytest
import torch
from torchmetrics.functional import retrieval as oracle

from model.evaluation.metrics import expected_rank, expected_reciprocal, hits, rank
from model.evaluation.order import (
    Order,
    average_precision,
    graded,
    ndcg_at,
    precision_at,
    r_precision,
    recall_at,
)

CUTOFFS = (1, 3, 10)


def case(seed: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, what is relevant (one or more a row) and graded gains, of an uneven size."""
    rng = np.random.default_rng(seed)
    q, c = int(rng.integers(1, 5)), int(rng.integers(1, 7 if ties else 30))
    scores = rng.integers(0, 3, (q, c)).astype(float) if ties else rng.standard_normal((q, c))
    relevant = rng.random((q, c)) < rng.uniform(0, 0.7)
    relevant[np.arange(q), rng.integers(0, c, q)] = True
    return scores, relevant, rng.integers(0, 4, (q, c)).astype(float)


def ours(scores: np.ndarray, relevant: np.ndarray, gains: np.ndarray) -> dict[str, np.ndarray]:
    order, best = Order.of(scores), rank(scores, relevant)
    expected, of_gains = order.expected(relevant), order.expected(gains)
    found = {"mAP": average_precision(order, relevant), "R-precision": r_precision(expected)}
    found |= {"MRR": expected_reciprocal(best)}
    for k in CUTOFFS:
        found |= {f"hit@{k}": hits(best, k), f"recall@{k}": recall_at(expected, k)}
        found |= {f"nDCG@{k}": ndcg_at(of_gains, gains, k), f"precision@{k}": precision_at(expected, k)}
    return found


def theirs(scores: np.ndarray, relevant: np.ndarray, gains: np.ndarray) -> dict[str, float]:
    """One query as torchmetrics measures it, which calls nothing right that scores 0 or less."""
    scores = scores - scores.min() + 1
    s, r, g = torch.from_numpy(scores), torch.from_numpy(relevant), torch.from_numpy(gains).long()
    found = {
        "mAP": oracle.retrieval_average_precision(s, r),
        "R-precision": oracle.retrieval_r_precision(s, r),
    }
    found |= {"MRR": oracle.retrieval_reciprocal_rank(s, r)}
    for k in CUTOFFS:
        found |= {f"hit@{k}": oracle.retrieval_hit_rate(s, r, top_k=k)}
        found |= {f"recall@{k}": oracle.retrieval_recall(s, r, top_k=k)}
        found |= {f"nDCG@{k}": oracle.retrieval_normalized_dcg(s, g, top_k=k)}
        found |= {f"precision@{k}": oracle.retrieval_precision(s, r, top_k=k, adaptive_k=True)}
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize("seed", range(100))
def test_without_ties_it_is_torchmetrics(seed: int) -> None:
    scores, relevant, gains = case(seed, ties=False)
    found = ours(scores, relevant, gains)
    for i in range(len(scores)):
        for name, value in theirs(scores[i], relevant[i], gains[i]).items():
            assert found[name][i] == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize("seed", range(12))
def test_with_ties_it_is_the_mean_of_its_definition_over_all_orders(seed: int) -> None:
    scores, relevant, gains = case(seed, ties=True)
    found = ours(scores, relevant, gains)
    for i in range(len(scores)):
        possible: dict[str, list[float]] = {}
        for order in permutations(range(scores.shape[1])):
            chosen = list(order)
            if (np.diff(scores[i][chosen]) <= 0).all():
                falling = -np.arange(len(chosen), dtype=float)
                for name, value in slow(falling, relevant[i][chosen], gains[i][chosen]).items():
                    possible.setdefault(name, []).append(value)
        for name, values in possible.items():
            assert found[name][i] == pytest.approx(np.mean(values)), name


def slow(scores: np.ndarray, relevant: np.ndarray, gains: np.ndarray) -> dict[str, float]:
    """The definitions, for one query that is in order already."""
    hit = relevant.tolist()
    places = [p for p, right in enumerate(hit, 1) if right]
    found = {"mAP": float(np.mean([sum(hit[:p]) / p for p in places])), "MRR": 1 / places[0]}
    found |= {"R-precision": sum(hit[: len(places)]) / len(places)}
    for k in CUTOFFS:
        dcg, ideal = (
            sum(g / np.log2(1 + p) for p, g in enumerate(row[:k], 1))
            for row in (gains.tolist(), sorted(gains.tolist(), reverse=True))
        )
        found |= {f"hit@{k}": float(any(hit[:k])), f"recall@{k}": sum(hit[:k]) / len(places)}
        found |= {f"nDCG@{k}": dcg / ideal if ideal else 0.0, f"precision@{k}": float(np.mean(hit[:k]))}
    return found


@pytest.mark.parametrize("seed", range(5))
def test_the_slow_definitions_are_torchmetrics_too(seed: int) -> None:
    scores, relevant, gains = (each[0] for each in case(seed, ties=False))
    down = np.argsort(-scores)
    expected = theirs(scores, relevant, gains)
    assert slow(scores[down], relevant[down], gains[down]) == pytest.approx(expected, abs=1e-6)


def test_of_one_relevant_candidate_all_say_what_its_rank_says() -> None:
    scores = np.random.default_rng(0).integers(0, 9, (40, 40)).astype(float)
    own = np.eye(40, dtype=np.bool_)
    order, best = Order.of(scores), rank(scores, own)
    expected = order.expected(own)
    np.testing.assert_allclose(average_precision(order, own), expected_reciprocal(best))
    np.testing.assert_allclose(r_precision(expected), hits(best, 1))
    np.testing.assert_allclose(recall_at(expected, 10), hits(best, 10))
    place = (expected * np.arange(1, 41)).sum(axis=1)
    np.testing.assert_allclose(place, expected_rank(best))


def test_the_blind_order_is_that_of_equal_scores() -> None:
    relevant = np.array([[True, False, True, False], [False, False, False, True]])
    blind, equal = Order.blind(2, 4), Order.of(np.full((2, 4), 0.3))
    np.testing.assert_allclose(average_precision(blind, relevant), average_precision(equal, relevant))
    np.testing.assert_allclose(blind.expected(relevant), equal.expected(relevant))
    np.testing.assert_allclose(blind.expected(relevant), [[0.5] * 4, [0.25] * 4])


def test_gains_are_of_the_clip_its_track_and_its_category() -> None:
    gains = graded(np.array(["a", "a", "b", "c"]), np.array(["x", "x", "x", "y"]))
    assert gains.tolist() == [[3, 2, 1, 0], [2, 3, 1, 0], [1, 1, 3, 0], [0, 0, 0, 3]]
    across = graded(np.array(["a", "a"]), np.array(["x", "y"]))  # one song under two categories
    assert across.tolist() == [[3, 2], [2, 3]]
    assert graded(np.array(["a", "b"]), np.array(["", ""])).tolist() == [[3, 0], [0, 3]]


def test_one_candidate_and_a_query_without_gains() -> None:
    order = Order.of(np.array([[0.1], [0.2]]))
    assert order.expected(np.array([[1.0], [0.0]])).tolist() == [[1.0], [0.0]]
    assert ndcg_at(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]]), 10).tolist() == [1.0, 0.0]
