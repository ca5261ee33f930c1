"""MRCMV's losses against loops over triplets and a plain softmax, and the published margins."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from model.losses.mrcmv import margin_at, margin_triplet, pseudo_label


def rows(n: int, d: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


@pytest.mark.parametrize(("epoch", "margin"), [(1, 30), (79, 30), (89, 30), (90, 40), (99, 40), (120, 70)])
def test_margin_follows_the_paper(epoch: int, margin: float) -> None:
    assert margin_at(epoch, 30.0, 10.0) == margin


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("margin", [0.1, 3.0])
def test_triplets_are_the_definition(n: int, margin: float) -> None:
    query, music = rows(n, 4, 0), rows(n, 4, 1)
    total, count = 0.0, 0
    for i in range(n):
        own = math.dist(query[i], music[i])
        for j in range(n):
            if i != j:
                total += max(0.0, margin + own - math.dist(query[i], music[j]))
                total += max(0.0, margin + own - math.dist(query[j], music[i]))
                count += 1
    expected = total / count if count else 0.0
    assert float(margin_triplet(query, music, margin)) == pytest.approx(expected, rel=1e-9)


def test_triplets_are_content_once_the_margin_is_kept() -> None:
    far = 10 * torch.eye(4, dtype=torch.float64)  # 14.1 apart
    assert float(margin_triplet(far, far, 14.0)) == 0.0
    assert float(margin_triplet(far, far, 15.0)) == pytest.approx(2 * (15 - math.sqrt(200)))


def test_pseudo_label_is_the_cross_entropy_of_two_softmaxes() -> None:
    query, music, first, second = rows(6, 4, 0), rows(6, 4, 1), rows(9, 4, 2), rows(9, 4, 3)
    identity = torch.tensor([0, 8, 3, 3, 1, 0])
    expected = 0.0
    for x, matrix in ((query, first), (music, second)):
        for i, label in enumerate(identity.tolist()):
            odds = [math.exp(float(x[i] @ each)) for each in matrix]
            expected -= math.log(odds[label] / sum(odds)) / len(identity)
    assert float(pseudo_label(query, music, first, second, identity)) == pytest.approx(expected)


def test_pseudo_label_of_knowing_nothing_is_the_log_of_all_identities_twice() -> None:
    nothing = torch.zeros(3, 4)
    found = pseudo_label(nothing, nothing, rows(7, 4, 0).float(), rows(7, 4, 1).float(), torch.arange(3))
    assert float(found) == pytest.approx(2 * math.log(7))
