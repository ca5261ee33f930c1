"""Querybank normalisation: against its definition in plain Python, and what it is for."""

import math

import numpy as np
import pytest
import torch

from model.systems.hubness import EXTRA, Hubness
from model.systems.system import unit

T = 0.2


def rows(count: int, width: int, seed: int) -> torch.Tensor:
    return unit(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)))


def test_scores_are_those_of_the_module_s_equation() -> None:
    bank_v, bank_m, videos, music = (rows(n, 6, seed) for seed, n in enumerate((7, 7, 3, 5)))
    hubs = Hubness(7, 6, T)
    hubs.fill(bank_v, bank_m)
    scores = hubs.video(videos) @ hubs.track(music).T

    def bias(z: torch.Tensor, bank: torch.Tensor) -> float:
        shares = [math.exp(float(q @ z) / T) for q in bank]
        return T * math.log(sum(shares) / len(shares))

    for i, v in enumerate(videos):
        for j, m in enumerate(music):
            wanted = float(v @ m) - bias(m, bank_v) - bias(v, bank_m)
            assert 3 * float(scores[i, j]) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_both_sides_stay_unit_vectors(count: int) -> None:
    hubs = Hubness(4, 6, T)
    for _ in range(2):  # before it is filled, and after
        for made in (hubs.video(rows(count, 6, 1)), hubs.track(rows(count, 6, 1))):
            assert made.shape == (count, 6 + EXTRA)
            np.testing.assert_allclose(made.norm(dim=1), 1, atol=1e-6)
        hubs.fill(rows(4, 6, 2), rows(4, 6, 3))


def test_an_empty_bank_ranks_as_the_cosine_does() -> None:
    hubs, videos, music = Hubness(4, 6, T), rows(9, 6, 4), rows(20, 6, 5)
    plain, made = videos @ music.T, hubs.video(videos) @ hubs.track(music).T
    np.testing.assert_allclose(3 * made, plain, atol=1e-6)


def test_a_track_near_to_all_queries_has_to_stand_back() -> None:
    """A hub in the middle of all queries beats their own tracks until it is corrected."""
    own = torch.eye(8)
    queries = unit(0.3 * own + 0.3)
    hub = unit(torch.ones(1, 8))
    music = torch.cat([unit(own + 0.02), hub])
    assert (queries @ music.T).argmax(1).tolist() == [8] * 8
    hubs = Hubness(8, 8, T)
    hubs.fill(queries, music[:8])
    assert (hubs.video(queries) @ hubs.track(music).T).argmax(1).tolist() == list(range(8))


@pytest.mark.parametrize("count", [1, 3, 4, 11])
def test_a_bank_is_spread_over_the_training_pairs(count: int) -> None:
    chosen = Hubness(4, 6, T).rows(count).tolist()
    assert len(chosen) == 4
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert chosen == sorted(chosen)
    assert len(set(chosen)) == min(4, count)
