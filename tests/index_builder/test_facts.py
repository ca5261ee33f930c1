"""Measured facts of sounds whose facts are known, kept without loss."""

import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder import facts
from model.features.sound import Sound

RATE_HZ = 22_050
STEREO_HZ = 44_100


def clicks(bpm: float, seconds: float, rate_hz: int) -> NDArray[np.float32]:
    """A C major chord struck on every beat."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    chord = sum(np.sin(2 * np.pi * f * t) for f in (130.81, 261.63, 329.63, 392.0, 523.25))
    return (0.1 * chord * np.exp(-12 * ((t * bpm / 60) % 1))).astype(np.float32)


def measured(seconds: float, bpm: float = 120.0, gain: float = 1.0) -> facts.MeasuredFacts:
    stereo = np.repeat(gain * clicks(bpm, seconds, STEREO_HZ)[:, None], 2, axis=1)
    return facts.read(facts.measure(Sound(gain * clicks(bpm, seconds, RATE_HZ), RATE_HZ), stereo, STEREO_HZ))


def test_tempo_and_key_of_a_struck_chord() -> None:
    found = measured(30.0)
    assert found.duration_s == 30.0
    assert found.bpm == pytest.approx(120.0, abs=1.0)
    assert found.key == "C major"
    assert 0 <= found.energy <= 1


def test_loudness_of_the_reference_tone() -> None:
    """EBU Tech 3341, test case 1: a 1 kHz sine of -23 dBFS in both channels reads -23 LUFS, +-0.1."""
    t = np.arange(20 * STEREO_HZ) / STEREO_HZ
    tone = (10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * t)).astype(np.float32)
    sound = Sound(tone[::2], RATE_HZ)
    found = facts.read(facts.measure(sound, np.stack([tone, tone], axis=1), STEREO_HZ))
    assert found.loudness_lufs == pytest.approx(-23.0, abs=0.1)


def test_silence_has_no_loudness_no_tempo_no_key() -> None:
    found = measured(5.0, gain=0.0)
    assert (found.loudness_lufs, found.bpm, found.key, found.energy) == (None, None, None, 0.0)


@pytest.mark.parametrize("seconds", [1.0, 0.3])
def test_very_short_sounds_have_facts_too(seconds: float) -> None:
    found = measured(seconds)
    assert (found.loudness_lufs is None) == (seconds < 0.4)
    assert found.duration_s == pytest.approx(seconds, abs=1e-9)


def test_the_length_is_kept_in_double_precision() -> None:
    seconds = (4321 * RATE_HZ + 1) / RATE_HZ
    row = facts.Sequence(np.zeros((1, 4), np.float32), np.array([seconds / 2]))
    assert facts.read(row).duration_s == seconds


def test_every_key_has_its_number() -> None:
    assert len(set(facts.KEYS)) == 24
    for i, name in enumerate(facts.KEYS):
        row = facts.Sequence(np.array([[np.nan, i, np.nan, 0.5]], np.float32), np.array([1.0]))
        assert facts.read(row).key == name
