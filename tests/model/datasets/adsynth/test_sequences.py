import numpy as np
import pytest

from model.datasets.adsynth.sequences import (
    LONGEST,
    SHORTEST,
    Clock,
    cuts_per_s,
    draw_counts,
    draw_shots,
    wander,
)

UNEVEN = Clock(np.array([3, 1, 4]))


def test_rows_belong_to_their_clips():
    np.testing.assert_array_equal(UNEVEN.offsets, [0, 3, 4, 8])
    np.testing.assert_array_equal(UNEVEN.times_s, [0.5, 1.5, 2.5, 0.5, 0.5, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(UNEVEN.spread(np.array([[1.0], [2], [3]]))[:, 0], [1, 1, 1, 2, 3, 3, 3, 3])
    rows = np.arange(8, dtype=np.float32)[:, None]
    np.testing.assert_allclose(UNEVEN.mean(rows)[:, 0], [1, 3, 5.5])


def test_lengths_are_all_that_are_allowed():
    counts = draw_counts(2_000, np.random.default_rng(0))
    assert set(counts.tolist()) == set(range(SHORTEST, LONGEST + 1))


@pytest.mark.parametrize("rate", [0.1, 0.5, 2.0])
def test_cuts_fall_as_often_as_the_rate_says(rate):
    clock = Clock(np.full(3_000, 12))
    shots = draw_shots(clock, np.full(3_000, rate), np.random.default_rng(1))
    cut = np.diff(shots) > 0
    inside = np.ones(len(cut), np.bool_)
    inside[clock.offsets[1:-1] - 1] = False
    wanted = 1 - np.exp(-rate)  # of a Poisson process, one cut or more in a second
    assert cut[inside].mean() == pytest.approx(wanted, abs=4 * np.sqrt(wanted / inside.sum()))
    assert cut[~inside].all()  # a new clip is a new shot


def test_cut_rates_are_in_cuts_per_second():
    np.testing.assert_allclose(cuts_per_s(np.array([0.0, 1.0, -1.0])), [0.5, 1.0, 0.25])


def test_rows_wander_about_their_clip_and_jump_with_the_shot():
    clock = Clock(np.full(2_000, 10))
    rng = np.random.default_rng(2)
    shots = draw_shots(clock, np.full(2_000, 0.5), rng)
    away = wander(clock, shots, 3, rng)
    np.testing.assert_allclose(clock.mean(away.astype(np.float32)), 0, atol=1e-6)
    step = np.diff(away, axis=0)
    same = np.diff(shots) == 0
    assert step[same].std() == pytest.approx(0.15, rel=0.05)
    inside = np.ones(len(same), np.bool_)
    inside[clock.offsets[1:-1] - 1] = False
    assert step[~same & inside].std() == pytest.approx(np.sqrt(2 * 0.5**2 + 0.15**2), rel=0.05)


def test_one_clip_of_one_row_stays_where_it_is():
    clock = Clock(np.array([1]))
    shots = draw_shots(clock, np.array([9.0]), np.random.default_rng(3))
    np.testing.assert_array_equal(wander(clock, shots, 2, np.random.default_rng(4)), [[0, 0]])
