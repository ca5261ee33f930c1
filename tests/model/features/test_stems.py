"""A voice and music mixed by us, taken apart again."""

import numpy as np
import pytest

from model.features.spectrum import RATE_HZ
from model.features.stems import FluctuationSeparator
from model.media.audio import read_audio


def si_sdr_db(found, true):
    """Scale-invariant signal-to-distortion ratio: Le Roux et al. 2019."""
    found, true = (np.asarray(x, np.float64) - np.mean(x) for x in (found, true))
    target = (found @ true) / (true @ true) * true
    return 10 * np.log10((target @ target) / ((found - target) @ (found - target)))


@pytest.mark.parametrize("samples", [0, 1, 1023, 4096, 50_001])
def test_stems_add_up_to_the_mixture(sound, tracks, samples):
    mixture = sound(tracks["rock"][:samples])
    stems = FluctuationSeparator()(mixture)
    assert len(stems.voice) == len(stems.music) == samples
    np.testing.assert_allclose(stems.voice + stems.music, mixture.samples, atol=1e-6)


def test_a_held_chord_is_music_and_a_glide_is_a_voice(sound):
    t = np.arange(6 * RATE_HZ) / RATE_HZ
    chord = 0.1 * sum(np.sin(2 * np.pi * f * t) for f in (220, 277.2, 329.6))
    sweep = 0.1 * np.sin(2 * np.pi * np.cumsum(600 + 250 * np.sin(2 * np.pi * 1.5 * t)) / RATE_HZ)
    inside = slice(RATE_HZ, -RATE_HZ)
    for x, least, most in ((chord, 0.0, 0.01), (sweep, 0.3, 1.0)):
        voice = FluctuationSeparator()(sound(x)).voice
        assert least <= np.square(voice[inside]).sum() / np.square(x[inside]).sum() <= most


def test_what_is_no_number_is_silence(sound):
    x = np.full(8000, 0.1, np.float32)
    x[100], x[200] = np.nan, np.inf
    assert np.isfinite(FluctuationSeparator()(sound(x)).voice).all()


def test_real_speech_over_real_music_gets_cleaner(sound, shared_data, over):
    music = sorted((shared_data / "music" / "kevin_macleod").iterdir())[:3]
    speech = sorted((shared_data / "music" / "librosa").glob("[0-9]*-*-0000.ogg"))
    gains = []
    for i, path in enumerate(music):
        voice = read_audio(speech[i % len(speech)], RATE_HZ, duration_s=6)
        mixture = over(read_audio(path, RATE_HZ, start_s=10, duration_s=6), voice, 0)
        gains.append(si_sdr_db(FluctuationSeparator()(sound(mixture)).voice, voice[: len(mixture)]))
    assert len(gains) == 3
    assert min(gains) > 1  # the mixtures have 0
    assert np.mean(gains) > 2
