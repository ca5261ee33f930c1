"""The voice branch's input: the voice alone, and silence where there is none."""

import numpy as np
import pytest

from model.features.audio import LiteAudio
from model.features.spectrum import RATE_HZ
from model.features.stems import FluctuationSeparator
from model.features.voice import FluctuationVoice
from model.features.voiceover import VoiceOver


@pytest.fixture
def voice_over():
    return VoiceOver(FluctuationVoice(), FluctuationSeparator(), LiteAudio())


@pytest.mark.parametrize("style", ["ambient", "folk", "rock", "jazz"])
def test_an_ad_without_a_voice_sounds_like_silence(sound, tracks, voice_over, style):
    of_music, of_silence = voice_over(sound(tracks[style])), voice_over(sound(np.zeros(16 * RATE_HZ)))
    np.testing.assert_array_equal(of_music.values, of_silence.values)
    np.testing.assert_array_equal(of_music.times_s, of_silence.times_s)


def test_the_stem_is_the_voice_where_it_is_and_nothing_elsewhere(sound, tracks, talk, over, voice_over):
    half = 8 * RATE_HZ
    x = np.concatenate([0.3 * tracks["folk"][:half], over(tracks["folk"][half:], talk, 6)])
    stem = voice_over.stem(sound(x)).samples
    assert len(stem) == len(x)
    assert not stem[: 6 * RATE_HZ].any()
    inside = slice(half + RATE_HZ, half + 7 * RATE_HZ)
    found, true = stem[inside], talk[RATE_HZ : 7 * RATE_HZ]
    assert np.corrcoef(found, true)[0, 1] > 0.8


def test_rows_are_those_of_the_audio_extractor(sound, talk, voice_over):
    found = voice_over(sound(talk))
    assert found.values.shape == (16, len(LiteAudio().features))
    assert voice_over.features == LiteAudio().features
    assert voice_over.name == "lite-audio@1+fluctuation-stems@1+fluctuation-voice@1"


@pytest.mark.parametrize("samples", [0, 1, 3000])
def test_any_length_has_a_row(sound, voice_over, samples):
    assert len(voice_over(sound(np.zeros(samples))).values) == 1
