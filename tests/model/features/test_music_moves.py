"""Metamorphic: one change of the music, and which columns of both extractors it may move."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from model.features.audio import LiteAudio
from model.features.emotion import LiteMood
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ


@dataclass(frozen=True)
class Song:
    """I IV V I with bass and melody; what a test changes is a field."""

    bpm: float = 120.0
    transpose: int = 0
    minor: bool = False
    partials: int = 6
    decay_s: float = 0.3
    pad: float = 0.0
    clicks: float = 0.0
    noise: float = 0.0
    swell_db: float = 0.0

    @lru_cache  # noqa: B019 - songs are frozen values; the same one is played by many tests
    def play(self) -> NDArray[np.float64]:
        beats = 16
        beat_s = 60 / self.bpm
        x = np.zeros(int((beats * beat_s + 4) * RATE_HZ))
        rng = np.random.default_rng(0)
        for beat in range(beats):
            root = (0, 5, 7, 0)[beat // 4 % 4]
            third = 3 if self.minor and root != 7 else 4
            chord = (root, root + third, root + 7)
            struck = [(root - 12, 0.12), (chord[beat % 3] + 12, 0.1)]
            struck += [(pitch, 0.06) for pitch in chord if beat % 2 == 0]
            for pitch, level in struck if not self.pad else []:
                self._add(x, beat * beat_s, pitch, 1.0, level, self.decay_s)
            if self.pad and beat % 4 == 0:
                for pitch in chord:
                    self._add(x, beat * beat_s, pitch, 4 * beat_s, self.pad, 1e9)
            t = np.arange(int(0.12 * RATE_HZ)) / RATE_HZ
            at = int(beat * beat_s * RATE_HZ)
            x[at : at + len(t)] += self.clicks * rng.normal(size=len(t)) * np.exp(-t / 0.02)
        x += self.noise * rng.normal(size=len(x))
        x = x[: int(beats * beat_s * RATE_HZ)]
        return x * 10 ** (np.linspace(-self.swell_db, 0, len(x)) / 20)

    def _add(
        self, x: NDArray[np.float64], at_s: float, pitch: int, length_s: float, level: float, decay_s: float
    ):
        t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
        hz = 261.6256 * 2 ** ((pitch + self.transpose) / 12)
        envelope = np.minimum(t / 0.01, 1) * np.exp(-t / decay_s) * np.minimum((length_s - t) / 0.05, 1)
        wave = sum(np.sin(2 * np.pi * k * hz * t) / k**1.3 for k in range(1, self.partials + 1))
        at = int(at_s * RATE_HZ)
        x[at : at + len(t)] += level * envelope * wave


FAMILY = (
    Song(),
    Song(bpm=90, transpose=2, minor=True, partials=3, decay_s=0.8, clicks=0.1),
    Song(bpm=150, transpose=-5, partials=10, decay_s=0.15, clicks=0.3, noise=0.001),
    Song(bpm=75, transpose=5, minor=True, partials=1, decay_s=1.5),
    Song(bpm=100, transpose=-3, partials=8, decay_s=0.2, noise=0.02),
    Song(bpm=170, transpose=7, minor=True, partials=4, decay_s=0.1, clicks=0.2),
    Song(bpm=84, transpose=-7, minor=True, partials=2, pad=0.1, clicks=0.4, swell_db=-12),
    Song(bpm=130, transpose=9, partials=12, pad=0.05, swell_db=6),
)


def describe(x: NDArray[np.float64]) -> dict[str, float]:
    """Column -> mean over the whole clip, of both extractors."""
    sound = Sound(x.astype(np.float32), RATE_HZ)
    whole = np.array([[0.0, sound.duration_s]])
    found = {}
    for extractor in (LiteAudio(), LiteMood()):
        means = extractor(sound, whole).values.mean(axis=0)
        found |= {
            f"{extractor.name[5:]}.{name}": float(m)
            for name, m in zip(extractor.features, means, strict=True)
        }
    return found


@pytest.fixture(scope="module")
def usual() -> dict[str, float]:
    """Column -> its standard deviation over songs that differ in everything: the unit of a movement."""
    table = [describe(song.play()) for song in FAMILY]
    return {name: float(np.std([row[name] for row in table])) for name in table[0]}


@pytest.fixture(scope="module")
def moves(usual):
    """How far each column moves from one sound to another, in usual deviations."""

    def measure(before: NDArray[np.float64], after: NDArray[np.float64]) -> dict[str, float]:
        a, b = describe(before), describe(after)
        return {name: (b[name] - a[name]) / usual[name] for name in usual}

    return measure


def named(found: dict[str, float], *words: str) -> dict[str, float]:
    """The columns with one of the words in their name."""
    chosen = {name: z for name, z in found.items() if any(word in name for word in words)}
    assert chosen
    return chosen


TEMPO = ("tempo_", "pulse_clarity", "onset_rate")
KEYLESS = ("tritone", "augmented", "diatonic", "majorness", "key_clarity", "chroma_entropy")


@pytest.mark.parametrize("gain_db", [-12.0, -3.0, 6.0])
def test_louder_moves_loudness_and_nothing_else(moves, gain_db):
    x = Song(clicks=0.1, noise=0.001).play() * 0.5
    found = moves(x, x * 10 ** (gain_db / 20))
    loud = named(found, "loudness_lufs")
    assert all(np.sign(z) == np.sign(gain_db) and abs(z) > 0.5 for z in loud.values())
    assert max(abs(z) for name, z in found.items() if name not in loud) < 0.1


def test_loudness_columns_are_in_decibel():
    x = Song().play()
    for name in ("audio.loudness_lufs", "mood.loudness_lufs"):
        assert describe(x * 0.5)[name] - describe(x)[name] == pytest.approx(-6.02, abs=0.1)


@pytest.mark.parametrize("semitones", [2, 5])
def test_transposed_rotates_chroma_and_moves_register_but_not_tempo_or_loudness(moves, semitones):
    song = Song()
    before, after = song.play(), replace(song, transpose=semitones).play()
    found = moves(before, after)
    assert (
        max(abs(z) for z in named(found, *TEMPO, "loudness_lufs", "loudness_range", "articulation").values())
        < 0.25
    )
    assert (
        max(abs(z) for z in named(found, "majorness", "key_clarity", "chroma_entropy", "diatonic").values())
        < 0.3
    )
    a, b = describe(before), describe(after)
    classes = [name for name in a if "chroma_" in name and name.endswith("_root")]
    rotated = np.roll([a[name] for name in classes], semitones)
    np.testing.assert_allclose([b[name] for name in classes], rotated, atol=0.06)
    assert b["mood.register_oct"] - a["mood.register_oct"] == pytest.approx(semitones / 12, abs=0.06)
    assert b["mood.lowest_oct"] - a["mood.lowest_oct"] == pytest.approx(semitones / 12, abs=0.05)


def test_slowed_moves_tempo_and_density_but_not_chroma_or_mode(moves):
    found = moves(Song(bpm=120).play(), Song(bpm=96).play())
    chosen = named(found, "tempo_oct", "onset_rate", "tempo_cos1", "tempo_sin1")
    assert all(abs(z) > 0.4 for z in chosen.values())
    assert all(z < 0 for z in named(found, "tempo_oct", "onset_rate").values())
    assert max(abs(z) for z in named(found, "audio.chroma_", *KEYLESS, "register", "flatness").values()) < 0.5


def test_tempo_columns_forget_the_octave():
    slow, fast = (describe(Song(bpm=bpm).play()) for bpm in (75, 150))
    for k in ("cos1", "sin1"):
        assert slow[f"mood.tempo_{k}"] == pytest.approx(fast[f"mood.tempo_{k}"], abs=0.25)


def test_clicks_make_the_pulse_clear(moves):
    pad = Song(pad=0.05)
    found = moves(pad.play(), replace(pad, clicks=0.2).play())
    raised = named(found, "pulse_clarity", "onset_rate", "rise_root", "rise_high", "struck", "crest")
    assert min(raised.values()) > 0.5
    assert max(abs(z) for z in named(found, "majorness", "key_clarity", "register").values()) < 0.4


def test_minor_lowers_majorness_and_leaves_rhythm_and_level(moves):
    found = moves(Song().play(), Song(minor=True).play())
    assert max(named(found, "majorness").values()) < -1
    assert max(abs(z) for z in named(found, *TEMPO, "loudness", "flatness", "register").values()) < 0.2


def test_noise_raises_noisiness(moves):
    found = moves(Song().play(), Song(noise=0.03).play())
    assert min(named(found, "flatness", "brightness", "roll_off", "o.spread_oct").values()) > 0.3
    assert max(named(found, "tonal_root").values()) < -0.3
    assert max(named(found, "key_clarity").values()) < 0


def test_more_partials_are_brighter_not_faster(moves):
    found = moves(Song(partials=2).play(), Song(partials=10).play())
    assert min(named(found, "brightness", "centroid_oct", "tilt").values()) > 0.5
    assert max(abs(z) for z in named(found, *TEMPO).values()) < 0.3


def test_a_crescendo_and_a_fade_have_slopes():
    for swell_db in (24.0, -24.0):
        song = Song(swell_db=swell_db)
        slope = (
            describe(song.play())["mood.loudness_slope_db"]
            - describe(Song().play())["mood.loudness_slope_db"]
        )
        assert slope == pytest.approx(swell_db / (len(song.play()) / RATE_HZ) * 10, rel=0.1)


def test_shorter_notes_are_staccato():
    levels = [
        describe(Song(decay_s=decay_s).play())["mood.articulation_db"] for decay_s in (0.6, 0.3, 0.1, 0.05)
    ]
    assert all(long < short for long, short in pairwise(levels))
