"""Beats of sounds whose beats are known: click trains and rendered tracks."""

import numpy as np
import pytest

from model.datasets.synth.pool import draw_pool
from model.datasets.synth.score import compose
from model.features.beats import TIGHTNESS, LiteRhythm, _best_chain, find_beats
from model.features.spectrum import RATE_HZ
from model.features.windows import clip_windows


def clicks(bpm, seconds, first_s=0.3, level=0.5):
    t = np.arange(int(0.05 * RATE_HZ)) / RATE_HZ
    click = level * np.exp(-t / 0.008) * np.sin(2 * np.pi * 1500 * t)
    x = np.zeros(int(seconds * RATE_HZ), np.float32)
    times_s = np.arange(first_s, seconds - 0.1, 60 / bpm)
    for at in (times_s * RATE_HZ).astype(int):
        x[at : at + len(click)] += click
    return x, times_s


def f_measure(found_s, true_s, tolerance_s=0.07):
    """As in MIREX: matched one to one within 70 ms."""
    hits = i = j = 0
    while i < len(found_s) and j < len(true_s):
        if abs(found_s[i] - true_s[j]) <= tolerance_s:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found_s[i] < true_s[j]:
            i += 1
        else:
            j += 1
    return 2 * hits / (len(found_s) + len(true_s))


@pytest.mark.parametrize("bpm", [61.0, 87.3, 100.0, 133.0, 171.0])
def test_every_click_is_a_beat_and_nothing_else(sound, bpm):
    x, times_s = clicks(bpm, 20.0)
    found = find_beats(sound(x))
    np.testing.assert_allclose(found.times_s, times_s, atol=0.02)
    assert found.strengths_db.min() > 10


@pytest.mark.parametrize("style", ["folk", "rock", "jazz", "trap"])
def test_a_rendered_track_has_the_beats_of_its_score(sound, tracks, style):
    factors = next(t.factors for t in draw_pool(12, seed=7, longest_s=16.0) if t.factors.style == style)
    score = compose(factors)
    true_s = np.arange(0, min(score.end_s, 16.0), score.bar_s / 4)
    assert f_measure(find_beats(sound(tracks[style])).times_s, true_s) > 0.9


def test_beats_are_where_they_are_at_any_volume(sound, tracks):
    loud, soft = (find_beats(sound(tracks["rock"] * gain)) for gain in (1.0, 0.1))
    np.testing.assert_allclose(loud.times_s, soft.times_s)
    assert np.median(soft.strengths_db / loud.strengths_db) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.3, 5.0])
def test_where_nothing_pulses_there_are_no_beats(sound, seconds):
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    for x in (np.zeros(len(t)), 0.2 * np.sin(2 * np.pi * 330 * t)):
        assert len(find_beats(sound(x)).times_s) == 0
        row = LiteRhythm()(sound(x), np.array([[0.0, 4.0]])).values
        np.testing.assert_array_equal(row, [[0, 0, 0]])


def slow_best_score(curve, period):
    """Score of the best chain whose last beat lies in the last one and a half periods: plain recursion."""
    lags = [k for k in range(1, len(curve)) if np.ceil(period / 2) <= k <= int(2 * period)]
    score = []
    for i, value in enumerate(curve):
        before = [score[i - k] - TIGHTNESS * np.log(k / period) ** 2 for k in lags if k <= i]
        score.append(value + max([0.0, *before]))
    return max(score[-int(np.ceil(1.5 * period)) :])


@pytest.mark.parametrize(("length", "period"), [(1, 4.0), (7, 4.0), (60, 5.3), (200, 21.7), (200, 1.2)])
def test_the_chain_is_the_best_there_is(length, period):
    curve = np.random.default_rng(length).uniform(0, 3, length)
    chain = _best_chain(curve, period)
    steps = np.diff(chain)
    assert chain[0] >= 0
    assert chain[-1] < length
    assert (steps >= np.ceil(period / 2)).all()
    score = curve[chain].sum() - TIGHTNESS * (np.log(steps / period) ** 2).sum()
    assert score == pytest.approx(slow_best_score(curve, period))


def test_rows_count_the_beats_of_their_windows(sound):
    x, times_s = clicks(100.0, 22.0, first_s=0.24)
    windows = clip_windows(1.0, 20.0)
    rhythm = LiteRhythm()(sound(x), windows)
    assert rhythm.values.shape == (5, 3)
    np.testing.assert_allclose(rhythm.times_s, windows.mean(axis=1))
    for row, (start_s, end_s) in zip(rhythm.values, windows, strict=True):
        inside = times_s[(times_s >= start_s) & (times_s < end_s)]
        assert row[0] == len(inside)
        assert row[2] == pytest.approx(0.6, abs=0.01)
    assert rhythm.values[:, 0].tolist() == [6, 7, 7, 6, 5]  # by hand: clicks at 0.24 + 0.6 k


def test_one_beat_has_no_interval(sound):
    x, _ = clicks(60.0, 12.0)
    rows = LiteRhythm()(sound(x), np.array([[0.0, 1.0], [0.4, 1.2], [0.0, 2.0]])).values
    assert rows[0, 0] == 1
    assert rows[0, 1] > 10
    assert rows[0, 2] == 0
    assert rows[1].tolist() == [0, 0, 0]
    assert rows[2, [0, 2]] == pytest.approx([2, 1.0], abs=0.03)
