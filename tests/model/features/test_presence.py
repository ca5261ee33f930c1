"""Music that is there, is not there, or is there for half of the time."""

import numpy as np
import pytest

from model.features.activity import Activity
from model.features.presence import _line_strength, music_presence
from model.features.spectrum import RATE_HZ
from model.media.audio import read_audio

RNG = np.random.default_rng(9)


@pytest.mark.parametrize("style", ["ambient", "folk", "house", "rock", "jazz", "trap"])
def test_rendered_music_is_music_at_any_volume(sound, tracks, style):
    loud, soft = (music_presence(sound(gain * tracks[style])).share for gain in (1.0, 0.1))
    assert loud == pytest.approx(soft, abs=0.1)
    assert min(loud, soft) > 0.8


@pytest.mark.parametrize("style", ["ambient", "folk", "house", "rock", "jazz", "trap"])
def test_music_is_heard_under_a_voice_nine_decibels_louder(sound, tracks, talk, over, style):
    assert music_presence(sound(over(tracks[style], talk, 9))).share > 0.75


def test_voices_noises_and_tones_are_no_music(sound, talk):
    t = np.arange(10 * RATE_HZ) / RATE_HZ
    noise = RNG.standard_normal(10 * RATE_HZ)
    for x in (talk, 0.1 * noise, 1e-3 * np.cumsum(noise), 0.1 * np.sin(2 * np.pi * 1000 * t), 0 * t):
        assert music_presence(sound(x)).share < 0.1


@pytest.mark.parametrize("style", ["folk", "rock"])
@pytest.mark.parametrize("music_s", [4.0, 8.0, 12.0])
def test_the_share_is_that_of_the_time(sound, tracks, talk, style, music_s):
    cut = round(music_s * RATE_HZ)
    for x in (
        np.concatenate([tracks[style][:cut], 0.3 * talk[cut:]]),
        np.concatenate([0.3 * talk[cut:], tracks[style][:cut]]),
    ):
        assert music_presence(sound(x)).share == pytest.approx(music_s / 16, abs=0.1)


@pytest.mark.parametrize("samples", [0, 1, 100, 5000, 12_345])
def test_short_sounds_have_rows(sound, samples):
    found = music_presence(sound(RNG.normal(0, 0.1, samples)))
    assert len(found.probability) >= 1
    assert found.share == 0


def slow_line_strength(activation):
    """By loops: peaks over the higher of their feet, the 40 highest added."""
    heights = []
    for i, value in enumerate(activation):
        before, after = activation[max(0, i - 1)], activation[min(len(activation) - 1, i + 1)]
        if value > before and value >= after:
            left = activation[max(0, i - 5) : i + 1].min()
            right = activation[i : i + 6].min()
            heights.append(value - max(left, right))
    return sum(sorted(heights)[-40:])


@pytest.mark.parametrize("bins", [1, 2, 7, 508])
def test_line_strength_is_its_definition(bins):
    rows = np.round(RNG.uniform(0, 1, (4, bins)), 1)  # with plateaus
    np.testing.assert_allclose(_line_strength(rows), [slow_line_strength(row) for row in rows])


def test_activity_is_read_by_time():
    activity = Activity(np.array([0.1, 0.9, 0.5]), 0.5)
    assert activity.share == pytest.approx(2 / 3)
    np.testing.assert_allclose(activity.at(np.array([-1.0, 0.49, 0.5, 1.2, 9.0])), [0.1, 0.1, 0.9, 0.5, 0.5])
    nothing = Activity(np.zeros(0), 0.5)
    assert nothing.share == 0
    np.testing.assert_array_equal(nothing.at(np.array([1.0])), [0])


def test_real_music_is_told_from_speech_and_animals(sound, shared_data):
    no_music = ("198-209", "3436-172162", "5703-47212", "456440", "glacier-bay")
    for path in sorted((shared_data / "music").glob("*/*")):
        share = music_presence(sound(read_audio(path, RATE_HZ, duration_s=30))).share
        assert share < 0.05 if path.name.startswith(no_music) else share > 0.7, (path.name, share)
