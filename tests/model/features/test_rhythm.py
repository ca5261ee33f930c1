"""Onsets and pulse of signals whose beats are known."""

import numpy as np
import pytest

from model.features.onsets import articulation_db, find_onsets, percussive_power
from model.features.pulse import autocorrelation, blurred, pulse_of
from model.features.spectrum import FRAMES_PER_S, RATE_HZ, analyse

RNG = np.random.default_rng(6)


def clicks(bpm: float, seconds: float = 12.0, first_s: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """A train of clicks and the times of them."""
    t = np.arange(int(0.05 * RATE_HZ)) / RATE_HZ
    click = 0.5 * np.exp(-t / 0.008) * np.sin(2 * np.pi * 1500 * t)
    x = np.zeros(int(seconds * RATE_HZ), np.float32)
    times = np.arange(first_s, seconds - 0.1, 60 / bpm)
    for at in (times * RATE_HZ).astype(int):
        x[at : at + len(click)] += click
    return x, times


@pytest.mark.parametrize("bpm", [60.0, 133.0, 400.0])
def test_every_click_is_an_onset_and_nothing_else(bpm):
    x, times = clicks(bpm)
    picked = np.flatnonzero(find_onsets(analyse(x)).picked) / FRAMES_PER_S
    np.testing.assert_allclose(picked, times, atol=0.03)


def test_nothing_begins_in_a_steady_tone():
    t = np.arange(5 * RATE_HZ) / RATE_HZ
    onsets = find_onsets(analyse((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)))
    assert not onsets.picked[10:-10].any()
    assert onsets.rise_db[10:-10].max() < 0.1


def test_a_soft_attack_is_less_steep_and_legato_falls_less():
    def notes(attack_s: float, length_s: float) -> np.ndarray:
        t = np.arange(RATE_HZ // 2) / RATE_HZ
        envelope = np.clip(t / attack_s, 0, 1) * np.clip((length_s - t) / 0.03, 0, 1)
        return np.tile(0.3 * envelope * np.sin(2 * np.pi * 440 * t), 10).astype(np.float32)

    hard, soft, short = (find_onsets(analyse(notes(*n))) for n in ((0.005, 0.45), (0.1, 0.45), (0.005, 0.15)))
    assert hard.attack_db[hard.picked].mean() > 1.5 * soft.attack_db[soft.picked].mean()
    assert articulation_db(short)[50:-50].mean() > articulation_db(hard)[50:-50].mean()


def test_clicks_are_struck_and_tones_are_held():
    t = np.arange(4 * RATE_HZ) / RATE_HZ
    tone = analyse((0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32))
    click = analyse(clicks(120.0, seconds=4.0)[0])
    assert percussive_power(tone)[10:-10].sum() < 0.2 * tone.power[10:-10].sum()
    assert percussive_power(click).sum() > 0.9 * click.mel.sum()


def slow_autocorrelation(curve: np.ndarray, lags: int) -> np.ndarray:
    """The definition, in plain loops; mean product at each lag over the variance."""
    centred = curve - curve.mean()
    n = len(curve)
    products = [sum(centred[i] * centred[i + k] for i in range(n - k)) / (n - k) for k in range(min(lags, n))]
    found = np.array(products + [0.0] * (lags - len(products))) / (centred.var() + 0.01)
    found[np.arange(lags) > n * 2 / 3] = 0
    return found


@pytest.mark.parametrize("length", [1, 2, 37, 150])
def test_autocorrelation_is_its_definition(length):
    curve = RNG.uniform(0, 3, size=length)
    padded, inside = np.zeros((1, 160)), np.zeros((1, 160), bool)
    padded[0, :length], inside[0, :length] = curve, True
    np.testing.assert_allclose(
        autocorrelation(padded, inside, 60)[0], slow_autocorrelation(curve, 60), atol=1e-9
    )


def test_a_stretch_knows_nothing_of_the_others():
    curves = RNG.uniform(0, 3, size=(5, 400))
    inside = np.ones((5, 400), bool)
    inside[2, 100:] = False
    together = pulse_of(curves, inside)
    for k in range(5):
        alone = pulse_of(curves[k : k + 1], inside[k : k + 1])
        np.testing.assert_allclose(together.profile[k], alone.profile[0], atol=1e-12)


@pytest.mark.parametrize("bpm", [45.0, 60.0, 97.0, 120.0, 165.0, 230.0])
def test_the_circle_points_to_the_tempo_whatever_its_octave(bpm):
    curve = blurred(find_onsets(analyse(clicks(bpm)[0])).rise_db)
    pulse = pulse_of(curve[None], np.ones((1, len(curve)), bool))
    octaves = np.log2(pulse.bpm[0] / bpm)
    assert abs(octaves - round(octaves)) < 0.03
    angle = np.arctan2(pulse.circle[0, 1], pulse.circle[0, 0]) - 2 * np.pi * np.log2(bpm / 120)
    assert np.cos(angle) > 0.95
    assert np.hypot(*pulse.circle[0, :2]) > 0.4
    assert pulse.clarity[0] > 0.8


def test_noise_has_no_clear_pulse():
    curve = blurred(find_onsets(analyse((0.1 * RNG.normal(size=12 * RATE_HZ)).astype(np.float32))).rise_db)
    assert pulse_of(curve[None], np.ones((1, len(curve)), bool)).clarity[0] < 0.4
