import numpy as np
import pytest

from model.datasets.synth.voice import babble


@pytest.mark.parametrize("seconds", [0, 1e-4, 0.3, 3.7])
def test_length_and_peak(seconds):
    voice = babble(seconds, 22_050, np.random.default_rng(0))
    assert voice.shape == (round(seconds * 22_050),)
    assert voice.dtype == np.float32
    assert np.isfinite(voice).all()
    assert np.abs(voice).max(initial=0) in (0, 1)


def test_it_is_voiced_and_pauses():
    voice = babble(20, 16_000, np.random.default_rng(1))
    power = np.abs(np.fft.rfft(voice)) ** 2
    hz = np.fft.rfftfreq(len(voice), 1 / 16_000)
    assert power[(hz > 80) & (hz < 4_000)].sum() > 0.9 * power.sum()
    blocks = np.abs(voice[: 200 * 1_600].reshape(200, 1_600)).max(axis=1)
    assert 0.02 < (blocks < 0.01).mean() < 0.5
