import numpy as np
import pytest

from model.datasets.adsynth.movement import flow, rhythm
from model.datasets.adsynth.observe import Clips
from model.datasets.adsynth.sequences import Clock
from model.datasets.adsynth.worlds import knobs_of


@pytest.fixture(scope="module")
def clips(pairs_of):
    pairs = pairs_of("default", 1_000)
    shown, played = Clock(np.full(1_000, 9)), Clock(np.full(1_000, 8))
    return Clips(knobs_of("default"), pairs.ads, pairs.tracks.take(pairs.chosen), shown, played, (1,))


def test_beats_strength_and_interval_agree_with_the_tempo(clips):
    beats, strength, interval_s = rhythm(clips).T.reshape(3, 1_000, 8)
    assert np.all(beats == np.round(beats))
    assert np.all(np.abs(beats - 4 / interval_s) < 1)  # whole beats in 4 s
    bpm = 110 * 2**clips.heard.log2_tempo
    octaves = np.log2(60 / np.median(interval_s, axis=1) / bpm)
    plain = (bpm > 60) & (bpm < 150)  # neither half nor double is out of the tracker's range
    right = np.abs(octaves) < 0.1
    assert np.mean(right[plain]) == pytest.approx(0.9, abs=0.05)
    np.testing.assert_allclose(np.abs(octaves[plain & ~right]), 1, atol=0.1)
    assert np.corrcoef(np.log(strength.mean(1)), clips.heard.arousal)[0, 1] > 0.7
    assert interval_s.min() > 0.9 * 60 / 300
    assert interval_s.max() < 1.3 * 60 / 30


def test_flow_is_more_where_a_picture_is_lively_and_cut_fast(clips):
    px = flow(clips)
    assert px.shape == (9_000, 1)
    assert px.min() > 0
    assert 2 < np.median(px) < 4
    of_clip = np.log(px).reshape(1_000, 9).mean(1)
    assert np.corrcoef(of_clip, clips.ads.arousal)[0, 1] > 0.5
    assert np.corrcoef(of_clip, clips.ads.log2_cut_rate)[0, 1] > 0.5
    assert abs(np.corrcoef(of_clip, clips.ads.valence)[0, 1]) < 0.15
