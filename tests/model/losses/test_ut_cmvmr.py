"""UT-CMVMR's losses against loops over the poster's formulas."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from model.losses.ut_cmvmr import match_entropy, pair_triplets, rebuilt, tag_regular, tag_triplets


def rows(n: int, d: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def slow_triplet(anchor: Tensor, right: Tensor, wrong: Tensor, margin: float) -> float:
    each = [
        max(0.0, margin + math.dist(a, p) - math.dist(a, n))
        for a, p, n in zip(anchor, right, wrong, strict=True)
    ]
    return sum(each) / len(each)


def slow_mse(x: Tensor, y: Tensor) -> float:
    return float(np.mean((x.numpy() - y.numpy()) ** 2))


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("margin", [0.2, 2.0])
def test_triplets_are_the_poster_s(n: int, margin: float) -> None:
    v, m, t, wrong_v, wrong_m = (rows(n, 4, seed) for seed in range(5))
    rho_v, rho_t, wrong_rho = (rows(n, 6, seed) for seed in range(5, 8))
    expected = slow_triplet(v, m, wrong_m, margin) + slow_triplet(m, v, wrong_v, margin)
    assert float(pair_triplets(v, m, wrong_v, wrong_m, margin)) == pytest.approx(expected, abs=1e-5)
    expected = slow_triplet(v, t, wrong_v, margin) + slow_triplet(t, v, wrong_v, margin)
    expected += slow_triplet(rho_t, rho_v, wrong_rho, margin)
    assert float(tag_triplets(v, t, wrong_v, rho_v, rho_t, wrong_rho, margin)) == pytest.approx(
        expected, abs=1e-5
    )


def test_triplets_cannot_part_what_is_equal() -> None:
    x = rows(3, 4, 0)
    assert float(pair_triplets(x, x, x, x, 0.2)) == pytest.approx(0.4)  # the margin, twice


def test_regular_terms_are_mean_squares() -> None:
    phi_v, again_v, phi_m, again_m = (rows(5, 4, seed) for seed in range(4))
    found = rebuilt(phi_v, again_v, phi_m, again_m)
    assert float(found) == pytest.approx(slow_mse(phi_v, again_v) + slow_mse(phi_m, again_m))
    rho_v, rho_m, rho_t, tag = (rows(5, 6, seed) for seed in range(4, 8))
    v, m, t = (rows(5, 3, seed) for seed in range(8, 11))
    expected = sum(slow_mse(*pair) for pair in ((rho_v, tag), (rho_m, tag), (rho_t, tag), (v, t), (m, t)))
    assert float(tag_regular(rho_v, rho_m, rho_t, tag, v, m, t)) == pytest.approx(expected)


def test_matching_counts_a_right_and_two_wrong_pairs_an_item() -> None:
    right, wrong = rows(3, 2, 0), rows(6, 2, 1)
    total = 0.0
    for logits, label in [*((x, 1) for x in right), *((x, 0) for x in wrong)]:
        odds = [math.exp(float(x)) for x in logits]
        total -= math.log(odds[label] / sum(odds))
    assert float(match_entropy(right, wrong)) == pytest.approx(total / 9)
