import numpy as np
import pyloudnorm
import pytest
import scipy.signal

from model.features.spectrum import (
    HOP,
    RATE_HZ,
    WINDOW,
    analyse,
    bin_hz,
    decibel,
    k_weights,
    mel_centres_hz,
    mel_weights,
    power_blocks,
)

RNG = np.random.default_rng(2)


def sine(hz: float, seconds: float = 2.0, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(
        np.float32
    )


@pytest.mark.parametrize("samples", [0, 1, HOP, HOP + 1, 3 * WINDOW + 17])
@pytest.mark.parametrize("block", [1, 7, 512])
def test_power_is_that_of_scipys_transform(samples, block):
    x = RNG.normal(size=samples).astype(np.float32)
    found = np.concatenate(list(power_blocks(x, WINDOW, HOP, block)))
    frames = max(1, -(-samples // HOP))
    assert found.shape == (frames, WINDOW // 2 + 1)
    window = scipy.signal.get_window("hann", WINDOW)
    padded = np.pad(x.astype(np.float64), (WINDOW, 2 * WINDOW))
    for k in range(frames):
        at = WINDOW + k * HOP + HOP // 2 - WINDOW // 2
        expected = np.abs(np.fft.rfft(padded[at : at + WINDOW] * window)) ** 2
        np.testing.assert_allclose(
            found[k], expected * 2 / (WINDOW * (window**2).sum()), rtol=1e-3, atol=1e-9
        )


def test_powers_are_mean_squares():
    inner = slice(5, -5)
    spectrum = analyse(sine(1000, amplitude=0.5))
    np.testing.assert_allclose(spectrum.power[inner], 0.125, rtol=1e-3)
    np.testing.assert_allclose(spectrum.mel[inner].sum(axis=1), 0.125, rtol=1e-3)
    np.testing.assert_allclose(spectrum.peak[inner], 0.5, rtol=1e-3)
    noise = (0.1 * RNG.normal(size=RATE_HZ)).astype(np.float32)
    inside = (10_000 - 30) / (RATE_HZ / 2)
    assert analyse(noise).power.mean() == pytest.approx(0.01 * inside, rel=0.05)


def test_a_tone_is_where_it_is():
    for hz in (100.0, 440.0, 3000.0):
        spectrum = analyse(sine(hz))
        row = len(spectrum.power) // 2
        assert spectrum.centroid_oct[row] == pytest.approx(np.log2(hz / 1000), abs=0.05)
        assert spectrum.roll_off_oct[row] == pytest.approx(np.log2(hz / 1000), abs=0.3)  # a bin is 21 Hz
        assert abs(mel_centres_hz()[spectrum.mel[row].argmax()] - hz) < 0.1 * hz + 40
        assert spectrum.flatness_db[row] < -40
    assert analyse((0.1 * RNG.normal(size=RATE_HZ)).astype(np.float32)).flatness_db.mean() > -4


def test_mel_bands_share_all_power_between_the_limits():
    hz = bin_hz(WINDOW)
    total = mel_weights(hz).sum(axis=1)
    inside = (hz >= 30) & (hz <= 10_000)
    np.testing.assert_allclose(total[inside], 1)
    assert not total[~inside].any()


@pytest.mark.parametrize("hz", [60.0, 250.0, 997.0, 4000.0])
def test_loudness_agrees_with_bs1770(hz):
    x = sine(hz, seconds=4, amplitude=0.25)
    found = decibel(analyse(x).weighted_power[5:-5].mean()) - 0.691
    at_48k = 0.25 * np.sin(2 * np.pi * hz * np.arange(4 * 48_000) / 48_000)
    assert found == pytest.approx(pyloudnorm.Meter(48_000).integrated_loudness(at_48k), abs=0.1)


def test_k_weighting_of_997_hz_is_what_the_standard_calibrates_on():
    full_scale_sine = 0.5 * k_weights(np.array([997.0]))
    assert decibel(full_scale_sine)[0] - 0.691 == pytest.approx(-3.01, abs=0.01)


def test_rows_know_nothing_of_one_another():
    x = RNG.normal(size=2 * RATE_HZ).astype(np.float32)
    other = x.copy()
    other[RATE_HZ + 1000 :] = 0
    for name in ("mel", "power", "flatness_db", "roll_off_oct", "peak"):
        assert np.array_equal(getattr(analyse(x), name)[:50], getattr(analyse(other), name)[:50]), name
