import numpy as np
import pytest
import scipy.signal

from model.features.partials import Partials, find_partials, lowest, register, roughness, tonal_share
from model.features.spectrum import RATE_HZ
from model.features.tonality import PITCH_CLASSES, chroma, harmonic_change, intervals, keys_of, shares

MIDDLE_C_HZ = 261.6256


def tones(*hz: float, seconds: float = 2.0, harmonics: int = 1) -> np.ndarray:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    waves = [np.sin(2 * np.pi * k * f * t) / k for f in hz for k in range(1, harmonics + 1)]
    return (0.1 * np.sum(waves, axis=0)).astype(np.float32)


def chord(*semitones: float, harmonics: int = 4) -> np.ndarray:
    return tones(*(MIDDLE_C_HZ * 2 ** (s / 12) for s in semitones), harmonics=harmonics)


def test_partials_of_known_tones():
    hz = (110.0, 233.3, 1234.5, 4000.1)
    found = find_partials(tones(*hz))
    row = len(found.hz) // 2
    heard = found.amplitude[row] > 0.01
    np.testing.assert_allclose(found.hz[row][heard], hz, atol=0.15)
    np.testing.assert_allclose(found.amplitude[row][heard], 0.1, rtol=0.02)
    assert tonal_share(found)[row] > 0.97
    assert lowest(found)[row] == pytest.approx(np.log2(110 / MIDDLE_C_HZ), abs=0.01)


def test_partials_are_the_highest_peaks_of_scipy():
    x = np.random.default_rng(3).normal(size=8192).astype(np.float32)
    found = find_partials(x)
    row = 1  # centred on 1102.5 + 2205 samples
    at = 2205 + 1102 - 4096
    windowed = np.pad(x, 8192)[8192 + at : 8192 + at + 8192] * scipy.signal.get_window("hann", 8192)
    power = np.abs(np.fft.rfft(windowed)) ** 2
    first, end = int(np.ceil(50 * 8192 / RATE_HZ)), int(np.ceil(5000 * 8192 / RATE_HZ))
    peaks, _ = scipy.signal.find_peaks(power[first:end])
    best = np.sort(peaks[np.argsort(power[first:end][peaks])[-24:]]) + first
    np.testing.assert_allclose(found.hz[row], best * RATE_HZ / 8192, atol=0.5 * RATE_HZ / 8192 + 1e-3)


def slow_roughness(hz: np.ndarray, amplitude: np.ndarray) -> float:
    """The definition, in plain loops, with the greatest value of the curve found by search."""
    x = np.linspace(0, 2, 200_001)
    peak = (np.exp(-3.5 * x) - np.exp(-5.75 * x)).max()
    beats = weight = 0.0
    for i in range(len(hz)):
        for j in range(i):
            d = abs(hz[i] - hz[j]) * 0.24 / (0.021 * min(hz[i], hz[j]) + 19)
            beats += amplitude[i] * amplitude[j] * (np.exp(-3.5 * d) - np.exp(-5.75 * d)) / peak
            weight += amplitude[i] * amplitude[j]
    return beats / weight


def test_roughness_is_its_definition():
    rng = np.random.default_rng(4)
    hz = rng.uniform(60, 2000, size=(3, 24)).astype(np.float32)
    amplitude = rng.uniform(0.05, 0.3, size=(3, 24)).astype(np.float32)
    found = roughness(Partials(hz, amplitude, np.ones(3, np.float32), np.ones(3, np.float32)))
    expected = [slow_roughness(h, a) for h, a in zip(hz.astype(float), amplitude.astype(float), strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_a_semitone_is_rougher_than_a_fifth():
    semitone, fifth = (roughness(find_partials(chord(0, s)))[5] for s in (1, 7))
    assert semitone > 1.5 * fifth


def test_register_follows_the_octave():
    low, high = (register(find_partials(chord(s, harmonics=3)))[5] for s in (0, 12))
    assert high[0] - low[0] == pytest.approx(1, abs=0.02)
    assert high[1] == pytest.approx(low[1], abs=0.02)


@pytest.mark.parametrize("pitch", range(12))
def test_chroma_of_one_tone(pitch):
    found = shares(chroma(find_partials(chord(pitch - 5, harmonics=1))))[10]
    assert PITCH_CLASSES[int(found.argmax())] == PITCH_CLASSES[(pitch - 5) % 12]
    assert found.max() > 0.9


def test_a_quarter_tone_belongs_to_both_neighbours():
    found = shares(chroma(find_partials(chord(0.5, harmonics=1))))[10]
    assert found[0] == pytest.approx(found[1], abs=0.03)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("third", "mode"), [(4, "major"), (3, "minor")])
def test_triads_are_in_their_own_key(tonic, third, mode):
    profile = chroma(find_partials(chord(tonic, tonic + third, tonic + 7)))[5:15].mean(axis=0, keepdims=True)
    keys = keys_of(shares(profile))
    assert keys.name(0) == f"{PITCH_CLASSES[tonic]} {mode}"
    assert (keys.majorness[0] > 0.05) == (mode == "major")


def test_majorness_and_intervals_are_blind_to_transposition_and_clarity_to_nothing_else():
    profile = np.random.default_rng(5).dirichlet(np.ones(12), size=4)
    moved = np.roll(profile, 5, axis=1)
    np.testing.assert_allclose(keys_of(moved).majorness, keys_of(profile).majorness, atol=1e-12)
    np.testing.assert_allclose(keys_of(moved).clarity, keys_of(profile).clarity, atol=1e-12)
    np.testing.assert_allclose(intervals(moved), intervals(profile), atol=1e-12)
    assert keys_of(np.full((1, 12), 1 / 12)).clarity[0] < 1e-9


def test_intervals_of_known_sets():
    whole_tone, augmented, diatonic = np.zeros((3, 12))
    whole_tone[::2], augmented[::4], diatonic[[0, 2, 4, 5, 7, 9, 11]] = 1 / 6, 1 / 3, 1 / 7
    found = intervals(np.stack([whole_tone, augmented, diatonic]))
    assert found[0, 5] == pytest.approx(1)
    assert found[1, 2] == pytest.approx(1)
    assert found[2].argmax() == 4


def test_harmony_changes_where_the_chord_does():
    profile = np.zeros((60, 12))
    profile[:30, [0, 4, 7]] = profile[30:, [2, 6, 9]] = 1 / 3
    change = harmonic_change(profile)
    assert change.argmax() in (29, 30)
    assert change[:15].max() < 1e-9
