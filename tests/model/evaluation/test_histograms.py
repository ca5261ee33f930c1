"""Histograms: heights against counts, at their places in the picture."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from model.evaluation.histograms import gate_plot, hubness_plot, rank_bins, rank_plot


def steps(path: np.ndarray, zero: float) -> np.ndarray:
    """Heights of a staircase in px, in the order of its stairs."""
    flats = [(a[1], b[1]) for a, b in pairwise(path) if a[0] != b[0]]
    return zero - np.array([a for a, b in flats if a == b])


def bars(picture) -> np.ndarray:
    (area,) = picture.paths("fill: var(--first); opacity: 0.55")
    return area


@pytest.mark.parametrize("candidates", [1, 2, 5, 150, 1_464, 98_071])
def test_bins_of_ranks_hold_every_rank_once(candidates: int) -> None:
    edges = rank_bins(candidates)
    assert (edges[0], edges[-1]) == (1, candidates + 1)
    assert (np.diff(edges) > 0).all()
    assert np.histogram(np.arange(1, candidates + 1), edges)[0].sum() == candidates


def test_rank_bars_are_as_high_as_their_shares(drawn) -> None:
    candidates = 300
    edges = rank_bins(candidates)
    ranks = np.random.default_rng(0).integers(1, 60, 200).astype(float)
    picture = drawn(rank_plot(ranks, candidates, "ranks", "said"))
    picture.check_inside()
    area = bars(picture)
    zero = area[:, 1].max()
    expected = np.histogram(ranks, edges)[0] / 200
    (guess,) = [p for p in picture.paths("stroke: var(--quiet)") if len(p) > 5]
    chance = np.diff(edges) / candidates
    found = steps(guess, zero)
    np.testing.assert_allclose(found / found[-1], chance / chance[-1], atol=0.01)
    tops = np.unique(np.round(zero - area[:, 1], 2))
    unit = found[-1] / chance[-1]  # px of a share of 1
    np.testing.assert_allclose(tops, np.unique(np.round(expected * unit, 2)), atol=0.03)
    assert {"measured", "guessing", "1", "10", "100"} <= set(picture.texts)


def test_hubness_bars_count_candidates_and_the_dashes_are_binomial(drawn) -> None:
    shown = np.array([0, 0, 0, 1, 1, 2, 5], float)  # symmetric log: linear up to 1 only
    picture = drawn(hubness_plot(shown, 20, 2, "hubs", "said"))
    picture.check_inside()
    area = bars(picture)
    zero, one = area[:, 1].max(), None
    heights = np.unique(np.round(zero - area[:, 1], 2))
    assert len(heights) == 4  # 0, 1, 2 and 3 candidates
    one = heights[1]
    (dashes,) = [p for p in picture.paths("stroke: var(--quiet)") if len(p) > 5]
    expected = 7 * binom(20, 2 / 7).pmf(np.arange(6))
    found = steps(dashes, zero)
    small = expected < 1
    np.testing.assert_allclose(found[small], expected[small] * one, atol=0.05)
    assert (found[~small] > one).all()


def test_gates_stand_at_their_values(drawn) -> None:
    gates = {"audio": np.full(50, 0.25), "emotion": np.linspace(0.5, 0.74, 101)}
    picture = drawn(gate_plot(gates, "gates", "said"))
    picture.check_inside()
    assert {"audio, mean 0.25", "emotion, mean 0.62"} <= set(picture.texts)
    means = [
        p
        for paint in ("first", "second")
        for p in picture.paths(f"stroke: var(--{paint}); stroke-width: 1.2")
    ]
    assert len(means) == 2
    left, right = (path[0, 0] for path in means)
    (peak,) = picture.paths("stroke: var(--first); stroke-width: 1.6")
    tallest = peak[peak[:, 1] == peak[:, 1].min()][:, 0]
    assert tallest.min() <= left <= tallest.max()
    (spread,) = picture.paths("stroke: var(--second); stroke-width: 1.6")
    high = spread[spread[:, 1] < spread[:, 1].max() - 1][:, 0]
    assert right == pytest.approx((high.min() + high.max()) / 2, abs=6)  # the middle of an even spread


@pytest.mark.parametrize("n", [1, 2])
def test_a_few_values_are_enough(drawn, n: int) -> None:
    drawn(rank_plot(np.ones(n), n, "a", "said")).check_inside()
    drawn(hubness_plot(np.full(n, float(n)), n, 10, "b", "said")).check_inside()
    drawn(gate_plot({"audio": np.full(n, 0.5), "emotion": np.full(n, 1.0)}, "c", "said")).check_inside()
