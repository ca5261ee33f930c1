"""Hits by category against a count by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest

from model.evaluation.categories import category_recall


def test_counts_the_queries_of_each_category_in_the_whole_pool() -> None:
    # Video 0 likes clip 1 best, the others their own; clip 1 likes video 0 best, the others their own.
    scores = np.array(
        [[0.5, 0.9, 0.1, 0.0], [0.2, 0.8, 0.1, 0.0], [0.2, 0.3, 0.7, 0.0], [0.0, 0.1, 0.2, 0.9]]
    )
    found = category_recall(scores, np.array(["b", "a", "b", "b"]), 1)
    assert [(each.category, each.direction, each.queries) for each in found] == [
        ("b", "V->M", 3),
        ("b", "M->V", 3),
        ("a", "V->M", 1),
        ("a", "M->V", 1),
    ]
    assert [each.value for each in found] == pytest.approx([2 / 3, 1, 1, 0])
    assert [each.chance for each in found] == pytest.approx([0.25] * 4)
    expected = binomtest(2, 3).proportion_ci(0.95, method="wilson")
    assert (found[0].low, found[0].high) == pytest.approx((expected.low, expected.high))


def test_categories_together_are_the_whole() -> None:
    rng = np.random.default_rng(3)
    scores, names = rng.standard_normal((50, 50)), rng.choice(["x", "y", "z"], 50)
    places = [sorted(range(50), key=lambda j: -scores[i, j]).index(i) for i in range(50)]
    found = [each for each in category_recall(scores, names, 10) if each.direction == "V->M"]
    assert sum(each.value * each.queries for each in found) == pytest.approx(sum(p < 10 for p in places))
