"""Invariants of both music extractors: shapes, edges, independence of rows, cost."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import Mismatch
from model.features import audio, emotion
from model.features.audio import LiteAudio
from model.features.column import Column
from model.features.emotion import LiteMood
from model.features.extractors import MusicExtractor, identity
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ
from model.grid import Grid

EXTRACTORS = [(LiteAudio(), audio.COLUMNS), (LiteMood(), emotion.COLUMNS)]
both = pytest.mark.parametrize(("extractor", "columns"), EXTRACTORS, ids=["audio", "mood"])
RNG = np.random.default_rng(8)


def music(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Random notes with decays over soft noise: every column has something to measure."""
    rng = np.random.default_rng(seed)
    x = 0.002 * rng.normal(size=int(seconds * RATE_HZ))
    for at in np.cumsum(rng.choice([0.125, 0.25, 0.5], size=int(seconds * 5))):
        t = np.arange(int(0.4 * RATE_HZ)) / RATE_HZ
        hz = 220 * 2 ** (rng.integers(0, 24) / 12)
        note = 0.15 * np.exp(-t / 0.15) * sum(np.sin(2 * np.pi * k * hz * t) / k for k in (1, 2, 3, 4))
        start = int(at * RATE_HZ)
        x[start : start + len(t)] += note[: max(0, len(x) - start)]
    return x.astype(np.float32)


def rows(extractor: MusicExtractor, x: NDArray[np.float32], segments_s: NDArray[np.float64] | None = None):
    sound = Sound(x, RATE_HZ)
    return extractor(sound, Grid().segments(sound.duration_s) if segments_s is None else segments_s)


EDGES = {
    "nothing": np.zeros(0),
    "one sample": np.ones(1),
    "one negative sample": -np.ones(1),
    "half a frame": RNG.normal(size=200) * 0.1,
    "silence": np.zeros(20 * RATE_HZ),
    "direct current": np.full(3 * RATE_HZ, 0.7),
    "clipped": np.sign(music(17)) * 1.0,
    "beyond full scale": music(6) * 1e6,
    "denormal": music(6) * 1e-30,
    "noise": RNG.normal(size=16 * RATE_HZ) * 0.3,
    "one click in silence": np.eye(1, 9 * RATE_HZ, 4 * RATE_HZ)[0],
    "not finite": np.where(np.arange(5 * RATE_HZ) % 999 == 0, np.nan, music(5)),
    "infinite": np.where(np.arange(5 * RATE_HZ) % 999 == 0, np.inf, music(5)),
}


@both
@pytest.mark.parametrize("edge", EDGES)
def test_every_input_gives_finite_rows_in_range(extractor, columns, edge):
    found = rows(extractor, EDGES[edge].astype(np.float32))
    assert found.values.dtype == np.float32
    assert found.values.shape == (len(found.times_s), len(columns))
    assert len(found.values) >= 1
    assert np.isfinite(found.values).all()
    low, high = np.array([column.range for column in columns], np.float32).T
    assert (found.values >= low).all()
    assert (found.values <= high).all()


@both
def test_columns_are_named_and_documented(extractor, columns):
    assert len(columns) <= {"lite-audio": 96, "lite-mood": 48}[extractor.name]
    assert extractor.features == tuple(column.name for column in columns)
    assert len(set(extractor.features)) == len(columns)
    for column in columns:
        assert isinstance(column, Column)
        assert column.what
        assert column.unit
        assert column.source
        assert column.range[0] < column.range[1]
    assert identity(extractor) == f"{extractor.name}@{extractor.version}"


@pytest.mark.parametrize(
    ("seconds", "count"), [(0.0, 1), (0.3, 1), (1.4, 1), (1.6, 2), (10.0, 10), (10.4, 10), (10.6, 11)]
)
def test_audio_has_a_row_for_each_second_whose_centre_is_heard(seconds, count):
    found = rows(LiteAudio(), music(seconds))
    assert found.times_s.tolist() == [i + 0.5 for i in range(count)]


def test_mood_has_a_row_for_each_segment_in_its_middle():
    segments = np.array([[0.0, 15.0], [2.5, 4.0], [3.0, 3.0], [18.0, 40.0], [50.0, 65.0]])
    found = rows(LiteMood(), music(20), segments)
    assert found.times_s.tolist() == [7.5, 3.25, 3.0, 29.0, 57.5]
    assert rows(LiteMood(), music(2), np.zeros((0, 2))).values.shape == (0, 48)


@both
@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_049, 44_100, 48_000])
def test_other_rates_are_refused_with_the_one_that_works(extractor, columns, rate_hz):
    with pytest.raises(Mismatch, match=f"22050 Hz, got {rate_hz} Hz"):
        extractor(Sound(music(2), rate_hz), Grid().segments(2.0))
    assert extractor.rate_hz == 22_050


@both
def test_stereo_is_refused(extractor, columns):
    with pytest.raises(Mismatch, match="mono"):
        extractor(Sound(np.zeros((100, 2), np.float32), RATE_HZ), Grid().segments(2.0))


@both
def test_the_same_track_gives_the_same_bits(extractor, columns):
    x = music(21)
    assert np.array_equal(rows(extractor, x).values, rows(extractor, x.copy()).values)


def test_sharing_an_analysis_changes_nothing():
    sound = Sound(music(21), RATE_HZ)
    segments = Grid().segments(sound.duration_s)
    LiteAudio()(sound, segments)
    assert np.array_equal(LiteMood()(sound, segments).values, rows(LiteMood(), sound.samples).values)


def test_a_segment_is_the_same_alone_and_in_company():
    sound = Sound(music(33), RATE_HZ)
    segments = np.array([[0.0, 15.0], [5.0, 20.0], [5.0, 8.2], [18.3, 33.0], [0.0, 33.0]])
    together = LiteMood()(sound, segments).values
    alone = np.concatenate([LiteMood()(sound, segments[k : k + 1]).values for k in range(5)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("cut_s", [11, 30])
def test_rows_forget_what_is_further_away_than_they_say(cut_s):
    """Rows 7 s from a change, and segments 3 s from it, do not notice it; nearer ones do."""
    x, y = music(42), music(42, seed=1)
    y[cut_s * RATE_HZ :] = x[cut_s * RATE_HZ :]
    audio_x, audio_y = rows(LiteAudio(), x), rows(LiteAudio(), y)
    same = (audio_x.values == audio_y.values).all(axis=1)
    assert same[audio_x.times_s > cut_s + 7].all()
    assert not same[audio_x.times_s < cut_s].any()
    segments = np.stack([np.arange(0, 30.0, 1.5), np.arange(0, 30.0, 1.5) + 14], axis=1)
    same = (rows(LiteMood(), x, segments).values == rows(LiteMood(), y, segments).values).all(axis=1)
    assert same[segments[:, 0] > cut_s + 3].all()
    assert not same[segments[:, 0] < cut_s].any()


def test_a_part_of_a_track_reads_like_the_whole():
    """Away from the ends a decoded part that begins on a whole second has the same rows."""
    x = music(40)
    whole, part = rows(LiteAudio(), x).values[7:], rows(LiteAudio(), x[7 * RATE_HZ :]).values
    np.testing.assert_allclose(whole[7:], part[7:], atol=2e-3)


@pytest.mark.parametrize("seconds", [30])
def test_both_together_cost_less_than_a_60th_of_the_track(seconds):
    x = music(seconds)
    times = []
    for _ in range(3):
        start = time.process_time()
        sound, segments = Sound(x, RATE_HZ), Grid().segments(float(seconds))
        LiteAudio()(sound, segments)
        LiteMood()(sound, segments)
        times.append(time.process_time() - start)
    assert min(times) < seconds / 60
