"""Music of our own renderer with somebody talking over it: sounds whose contents are known."""

from collections.abc import Callable

import numpy as np
import pytest

from model.datasets.synth.music import render_track
from model.datasets.synth.pool import draw_pool
from model.datasets.synth.voice import babble
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ

TRACK_S = 16.0
STYLES = ("ambient", "folk", "house", "rock", "jazz", "trap")


@pytest.fixture(scope="session")
def tracks() -> dict[str, np.ndarray]:
    """Style -> (16 s,) samples at 22,050 Hz, -16 LUFS."""
    drawn = {track.factors.style: track.factors for track in draw_pool(12, seed=7, longest_s=TRACK_S)}
    whole = round(TRACK_S * RATE_HZ)
    return {style: render_track(drawn[style], RATE_HZ, stereo=False)[:whole] for style in STYLES}


@pytest.fixture(scope="session")
def talk() -> np.ndarray:
    """(16 s,) of babble."""
    return babble(TRACK_S, RATE_HZ, np.random.default_rng(11))


@pytest.fixture(scope="session")
def over() -> Callable[[np.ndarray, np.ndarray, float], np.ndarray]:
    """`over(music, voice, snr_db)`: the mixture and nothing else, of the shorter one's length."""

    def mixed(music: np.ndarray, voice: np.ndarray, snr_db: float) -> np.ndarray:
        n = min(len(music), len(voice))
        music, voice = (x[:n] / np.sqrt(np.mean(np.square(x[:n], dtype=np.float64))) for x in (music, voice))
        return (0.1 * (voice + music * 10 ** (-snr_db / 20))).astype(np.float32)

    return mixed


@pytest.fixture(scope="session")
def sound() -> Callable[[np.ndarray], Sound]:
    """Samples at 22,050 Hz as a `Sound`."""
    return lambda samples: Sound(np.asarray(samples, np.float32), RATE_HZ)
