"""CEVAR's losses against plain loops, and the values that its definition fixes."""

import math

import numpy as np
import pytest
import torch

from model.losses.cevar import cosine_with_margin, shared_classes


@pytest.mark.parametrize("n", [1, 2, 9])
def test_cosine_is_the_definition(n: int) -> None:
    rng = np.random.default_rng(n)
    cosine, matched = rng.uniform(0, 1, n), rng.random(n) < 0.4
    each = [
        1 - c if right else max(0.0, c - 0.2) / (1 - 0.2) for c, right in zip(cosine, matched, strict=True)
    ]
    found = cosine_with_margin(torch.from_numpy(cosine), torch.from_numpy(matched), margin=0.2)
    assert float(found) == pytest.approx(np.mean(each), rel=1e-12)


@pytest.mark.parametrize(
    ("cosine", "matched", "cost"),
    [(1.0, True, 0.0), (0.0, True, 1.0), (0.2, False, 0.0), (-0.5, False, 0.0), (1.0, False, 1.0)],
)
def test_where_nothing_and_where_all_is_lost(cosine: float, matched: bool, cost: float) -> None:
    found = cosine_with_margin(torch.tensor([cosine]), torch.tensor([matched]), margin=0.2)
    assert float(found) == pytest.approx(cost, abs=1e-7)


@pytest.mark.parametrize("n", [1, 2, 9])
def test_classes_are_the_definition(n: int) -> None:
    rng = np.random.default_rng(n)
    logits = [rng.standard_normal((n, 4)) for _ in range(2)]
    labels = [rng.integers(0, 4, n) for _ in range(2)]
    total = 0.0
    for each, label in zip(logits, labels, strict=True):
        for i in range(n):
            for c in range(4):
                p = 1 / (1 + math.exp(-each[i, c]))
                total -= math.log(p if label[i] == c else 1 - p) / n
    found = shared_classes(*(torch.from_numpy(each) for each in (*logits, *labels)))
    assert float(found) == pytest.approx(math.sqrt(total), rel=1e-12)
