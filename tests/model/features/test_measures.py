from pathlib import Path

import numpy as np
import pytest

from model.features.measures import energy, key_of, tempo_bpm
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ
from model.features.tonality import PITCH_CLASSES
from model.media.audio import read_audio

RNG = np.random.default_rng(7)


def sound(x: np.ndarray) -> Sound:
    return Sound(np.asarray(x, np.float32), RATE_HZ)


def clicks(bpm: float, seconds: float, jitter_s: float = 0.0) -> Sound:
    t = np.arange(int(0.05 * RATE_HZ)) / RATE_HZ
    click = 0.5 * np.exp(-t / 0.008) * np.sin(2 * np.pi * 1500 * t)
    x = np.zeros(int(seconds * RATE_HZ))
    for beat in np.arange(0.2, seconds - 0.2, 60 / bpm):
        at = int((beat + jitter_s * RNG.normal()) * RATE_HZ)
        x[at : at + len(click)] += click
    return sound(x)


def cadence(tonic: int, third: int) -> Sound:
    """I IV V I, or i iv V i, four harmonics each."""
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    chords = [(0, third, 7), (5, 5 + third, 12), (7, 11, 14), (0, third, 7)]
    bars = [
        sum(
            np.sin(2 * np.pi * k * 220 * 2 ** ((tonic - 9 + n) / 12) * t) / k
            for n in notes
            for k in (1, 2, 3, 4)
        )
        for notes in chords
    ]
    return sound(0.05 * np.concatenate(bars))


@pytest.mark.parametrize("bpm", [66.0, 81.3, 90.0, 105.5, 120.0, 128.0, 140.0, 165.0])
def test_a_click_train_has_its_tempo(bpm):
    assert tempo_bpm(clicks(bpm, 20.0)) == pytest.approx(bpm, abs=0.1)
    assert tempo_bpm(clicks(bpm, 7.0)) == pytest.approx(bpm, rel=0.005)
    assert tempo_bpm(clicks(bpm, 20.0, jitter_s=0.01)) == pytest.approx(bpm, abs=0.5)


@pytest.mark.parametrize(("bpm", "tapped"), [(40.0, 40.0), (240.0, 120.0), (300.0, 150.0)])
def test_very_fast_trains_are_tapped_at_half(bpm, tapped):
    assert tempo_bpm(clicks(bpm, 20.0)) == pytest.approx(tapped, rel=0.005)


@pytest.mark.parametrize("tonic", [0, 3, 6, 10])
@pytest.mark.parametrize(("third", "mode"), [(4, "major"), (3, "minor")])
def test_a_cadence_has_its_key(tonic, third, mode):
    name, clarity = key_of(cadence(tonic, third))
    assert name == f"{PITCH_CLASSES[tonic]} {mode}"
    assert clarity > 0.7


def test_what_has_no_pulse_or_key_says_so():
    for x in (np.zeros(0), np.zeros(1), np.zeros(5 * RATE_HZ)):
        assert tempo_bpm(sound(x)) == 0.0
        assert key_of(sound(x)) == ("", 0.0)
        assert energy(sound(x)) == 0.0
    t = np.arange(5 * RATE_HZ) / RATE_HZ
    assert tempo_bpm(sound(0.3 * np.sin(2 * np.pi * 440 * t))) == 0.0
    assert key_of(sound(0.1 * RNG.normal(size=20 * RATE_HZ)))[1] < 0.35


def test_energy_rises_with_density_and_brightness_and_ignores_volume():
    drone = cadence(0, 4)
    busy = sound(drone.samples + clicks(240.0, 8.0).samples[: len(drone.samples)])
    assert 0 <= energy(drone) < 0.35 < energy(busy) <= 1
    assert energy(sound(busy.samples * 0.25)) == pytest.approx(energy(busy), abs=0.02)


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra).ogg", "G minor"),
        ("Kevin_MacLeod_-_P_I_Tchaikovsky_Dance_of_the_Sugar_Plum_Fairy.ogg", "E minor"),
    ],
)
def test_real_pieces_are_in_the_key_of_their_score(shared_data: Path, file: str, key: str):
    # Brahms's dance is in G minor in the orchestral version, in F sharp minor for piano.
    samples = read_audio(shared_data / "music" / "librosa" / file, RATE_HZ)
    assert key_of(sound(samples))[0] == key
