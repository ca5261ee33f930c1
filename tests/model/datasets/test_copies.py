import numpy as np
import pytest

from model.datasets import copies
from model.datasets.copies import same_music, share_music
from model.datasets.synth.music import render_track
from model.datasets.synth.pool import draw_pool
from model.datasets.synth.voice import babble
from model.features.landmarks import Landmarks, find_landmarks
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ

RNG = np.random.default_rng(3)
LENGTH_S = 12


def marks(samples):
    return find_landmarks(Sound(np.asarray(samples, np.float32), RATE_HZ))


@pytest.fixture(scope="module")
def ads():
    """(landmarks, number of the track) of 8 tracks, each cut, softened and talked over in four ways."""
    made = []
    for number, track in enumerate(draw_pool(8, seed=21, longest_s=LENGTH_S + 4.0)):
        x = render_track(track.factors, RATE_HZ, stereo=False)
        for start_s, gain, snr_db in ((0.0, 1.0, None), (2.013, 0.2, None), (1.0, 1.0, 6.0), (3.0, 0.5, 6.0)):
            clip = x[round(start_s * RATE_HZ) :][: LENGTH_S * RATE_HZ] * gain
            if snr_db is not None:
                voice = babble(LENGTH_S, RATE_HZ, RNG)[: len(clip)]
                clip = clip + voice * np.sqrt(np.mean(clip**2) / np.mean(voice**2)) * 10 ** (snr_db / 20)
            made.append((marks(clip), number))
    order = RNG.permutation(len(made))
    return [made[i][0] for i in order], np.array([made[i][1] for i in order])


def test_ads_with_one_music_are_one_track_and_others_are_not(ads):
    landmarks, track = ads
    found = same_music(landmarks)
    np.testing.assert_array_equal(found[:, None] == found, track[:, None] == track)
    assert (found <= np.arange(len(found))).all()  # each is named by its first
    assert (found[found] == found).all()


def test_blocks_do_not_matter(ads, monkeypatch):
    whole = same_music(ads[0])
    monkeypatch.setattr(copies, "BLOCK_ADS", 5)
    np.testing.assert_array_equal(same_music(ads[0]), whole)


def test_no_candidate_is_missed(ads):
    """Against comparing every two ads in full."""
    landmarks, _ = ads
    found = same_music(landmarks)
    for i in range(len(landmarks)):
        for j in range(i):
            if share_music(landmarks[i], landmarks[j]):
                assert found[i] == found[j]


def test_a_jingle_does_not_join_ads():
    one, two, jingle = (
        render_track(track.factors, RATE_HZ, stereo=False)[: LENGTH_S * RATE_HZ]
        for track in draw_pool(3, seed=5, longest_s=20.0)
    )
    brand = jingle[: 2 * RATE_HZ]
    assert same_music([marks(np.concatenate([x, brand])) for x in (one, two)]).tolist() == [0, 1]


def test_landmarks_that_others_have_too_find_copies():
    """Two copies, and between them eight ads that have the same landmarks at other times."""
    hashes = np.arange(0, 2400, 4, dtype=np.uint32)
    frames = np.sort(RNG.integers(0, 600, len(hashes))).astype(np.int32)
    others = [Landmarks(hashes, RNG.permutation(frames)) for _ in range(8)]
    found = same_music([Landmarks(hashes, frames), *others, Landmarks(hashes, frames + 7)])
    assert found.tolist() == [*range(9), 0]


@pytest.mark.parametrize("number", [0, 1, 3])
def test_few_and_silent_ads(number):
    assert same_music([Landmarks.none()] * number).tolist() == list(range(number))
