"""What a rendered track sounds like, by measures made here: chroma, onsets, loudness, silence at the end."""

import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pyloudnorm
import pytest
from scipy import signal

from model.datasets.synth.music import TrackFactors, render_track
from model.datasets.synth.repertoire import STYLES

RATE_HZ = 22_050
SCALES = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 10}}
NAMES = list(STYLES)


def make(style: str, **changes: object) -> TrackFactors:
    low, high = STYLES[style].tempo_bpm
    number = NAMES.index(style)
    factors = TrackFactors(
        style=style,
        tempo_bpm=min(150.0, (low * high) ** 0.5),
        key=(5 * number) % 12,
        mode="minor" if number % 2 else "major",
        valence=-0.5 if number % 2 else 0.5,
        arousal=0.3,
        genre=STYLES[style].prototype,
        duration_s=24.0,
        seed=7,
    )
    return replace(factors, **changes)  # type: ignore[arg-type]  # changes are the caller's own fields


@lru_cache(maxsize=64)
def mono(factors: TrackFactors) -> np.ndarray:
    return render_track(factors, RATE_HZ, stereo=False)


def tonal_chroma(samples: np.ndarray) -> np.ndarray:
    """(12,) energy of spectral peaks between 80 and 1000 Hz by pitch class, drums' noise left out."""
    f, _, spectrum = signal.stft(samples, RATE_HZ, nperseg=16_384)
    inside = (f > 80) & (f < 1000)
    f, power = f[inside], np.abs(spectrum[inside]) ** 2
    floor = signal.medfilt(np.sqrt(power), (61, 1)) ** 2
    peak = np.zeros_like(power, bool)
    peak[1:-1] = (power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:]) & (power[1:-1] > 16 * floor[1:-1])
    classes = np.round(69 + 12 * np.log2(f / 440)).astype(int) % 12
    chroma = np.bincount(classes, (power * peak).sum(axis=1), minlength=12)
    return chroma / chroma.sum()


def onset_tempo_bpm(samples: np.ndarray) -> float:
    """The lag of the strongest autocorrelation of half-wave rectified spectral flux, as a tempo."""
    hop = RATE_HZ // 200
    _, _, spectrum = signal.stft(samples, RATE_HZ, nperseg=1024, noverlap=1024 - hop)
    flux = np.maximum(0, np.diff(np.log1p(100 * np.abs(spectrum)), axis=1)).sum(axis=0)
    flux -= np.convolve(flux, np.ones(201) / 201, "same")
    correlation = signal.correlate(flux, flux)[len(flux) - 1 :]
    tempi = 60 * RATE_HZ / hop / np.maximum(1, np.arange(len(correlation)))
    allowed = (tempi > 40) & (tempi < 220)
    return float(tempi[allowed][np.argmax(correlation[allowed])])


def bands_db(samples: np.ndarray) -> np.ndarray:
    """(24,) long-term spectrum in log-spaced bands, then (24,) how much each band moves, in dB."""
    f, _, spectrum = signal.stft(samples[: 18 * RATE_HZ], RATE_HZ, nperseg=2048)  # not the ending
    edges = np.searchsorted(f, np.geomspace(40, 10_500, 25))
    power = np.add.reduceat(np.abs(spectrum) ** 2, edges[:-1], axis=0) + 1e-9
    level = 10 * np.log10(power)
    return np.concatenate([level.mean(axis=1), level.std(axis=1)])


@pytest.mark.parametrize("style", NAMES)
def test_is_in_key(style: str) -> None:
    factors = make(style)
    chroma = tonal_chroma(mono(factors))
    assert sum(chroma[(factors.key + step) % 12] for step in SCALES[factors.mode]) > 0.88


@pytest.mark.parametrize("style", NAMES)
def test_tempo_is_heard_up_to_octaves(style: str) -> None:
    factors = make(style)
    octaves = np.log2(onset_tempo_bpm(mono(factors)) / factors.tempo_bpm)
    assert abs(octaves - round(octaves)) < 0.03


@pytest.mark.parametrize("style", NAMES)
def test_length_level_and_ending(style: str) -> None:
    factors = make(style)
    samples = mono(factors)
    assert len(samples) == round(factors.duration_s * RATE_HZ)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() <= 10 ** (-1 / 20)
    assert pyloudnorm.Meter(RATE_HZ).integrated_loudness(samples) == pytest.approx(-16, abs=1)
    rms_db = [
        20 * np.log10(np.sqrt(np.mean(s**2)) + 1e-9) for s in np.array_split(samples[-3 * RATE_HZ :], 12)
    ]
    assert rms_db[-1] < rms_db[0] - 20  # it has died away,
    assert rms_db[6] < rms_db[0] - 5  # all the while
    assert min(np.diff(rms_db[:-3])) > -14  # and was not cut off
    assert np.abs(samples[-RATE_HZ // 50 :]).max() < 1e-3


@pytest.mark.parametrize("style", NAMES)
def test_begins_quieter_than_its_loudest_part(style: str) -> None:
    samples = mono(make(style))
    quarters = [np.mean(q**2) for q in np.array_split(samples[: 20 * RATE_HZ], 5)]
    assert 10 * np.log10(max(quarters) / quarters[0]) > 2


def test_same_factors_same_samples_and_seeds_differ() -> None:
    factors = make("pop", duration_s=10.0)
    first = render_track(factors, RATE_HZ, stereo=True)
    assert first.shape == (10 * RATE_HZ, 2)
    np.testing.assert_array_equal(first, render_track(factors, RATE_HZ, stereo=True))
    other = render_track(replace(factors, seed=8), RATE_HZ, stereo=True)
    assert np.corrcoef(first[:, 0], other[:, 0])[0, 1] < 0.8


def test_stereo_is_wide_but_balanced_and_survives_mono() -> None:
    left, right = render_track(make("house", duration_s=12.0), RATE_HZ, stereo=True).T
    assert 0.4 < np.corrcoef(left, right)[0, 1] < 0.98
    assert abs(10 * np.log10(np.mean(left**2) / np.mean(right**2))) < 1.5
    assert np.mean((left + right) ** 2) > 2 * np.mean((left - right) ** 2)


def test_styles_sound_unlike_each_other() -> None:
    ways = np.stack([bands_db(mono(make(s, **c))) for s in NAMES for c in ({}, {"seed": 19, "key": 4})])
    ways /= ways.std(axis=0)
    gaps = np.linalg.norm(ways[:, None] - ways[None], axis=2)
    within = np.array([gaps[2 * i, 2 * i + 1] for i in range(len(NAMES))])
    np.fill_diagonal(gaps, np.inf)
    own = gaps.argmin(axis=1) // 2 == np.arange(len(ways)) // 2
    assert own.mean() > 0.6  # chance: 0.04
    assert np.median(within) < 0.6 * np.median(gaps[np.isfinite(gaps)])


def axis_moved(axis: int, by: float, style: str = "pop") -> np.ndarray:
    genre = list(STYLES[style].prototype)
    genre[axis] += by
    return mono(make(style, genre=tuple(genre), duration_s=16.0))


def share(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    f = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(power[(f >= low_hz) & (f < high_hz)].sum() / power.sum())


def test_genre_axes_are_heard_within_a_style() -> None:
    bright = [share(axis_moved(1, by), 2000, 11_000) for by in (-2.5, -1.2, 0.0)]
    assert bright == sorted(bright)
    assert bright[2] > 1.5 * bright[0]
    bass = [share(axis_moved(4, by), 20, 150) for by in (-0.5, 0.7, 2.0)]
    assert bass == sorted(bass)
    assert bass[2] > 1.5 * bass[0]


def test_arousal_makes_it_denser() -> None:
    def flux(arousal: float) -> float:
        samples = mono(make("pop", arousal=arousal, duration_s=16.0))[: 10 * RATE_HZ]
        _, _, spectrum = signal.stft(samples, RATE_HZ, nperseg=1024)
        return float(np.maximum(0, np.diff(np.log1p(30 * np.abs(spectrum)), axis=1)).mean())

    assert flux(1.5) > 1.15 * flux(-1.5)


@pytest.mark.parametrize("duration_s", [1.0, 3.0, 6.5])
def test_very_short_tracks_are_possible(duration_s: float) -> None:
    samples = mono(make("rock", duration_s=duration_s))
    assert len(samples) == round(duration_s * RATE_HZ)
    assert np.isfinite(samples).all()


def test_factors_are_json() -> None:
    factors = make("jazz")
    values = json.loads(json.dumps(factors.as_dict()))
    assert TrackFactors(**{**values, "genre": tuple(values["genre"])}) == factors
