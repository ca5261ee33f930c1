"""Music of our own renderer with somebody talking over it: sounds whose contents are known.

And what tests of pretrained extractors share: a small network in numpy, torchaudio's filter bank.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

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


class Projection:
    """A network: 60 means of each item, through a fixed random matrix and tanh; knows what it was given."""

    def __init__(self, width: int) -> None:
        self.matrix = np.random.default_rng(width).standard_normal((60, width))
        self.batches: list[np.ndarray] = []

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.batches.append(x)
        rows = [np.tanh(self.means(item) @ self.matrix) for item in x]
        return np.array(rows, np.float32).reshape(len(x), self.matrix.shape[1])

    @staticmethod
    def means(item: np.ndarray) -> np.ndarray:
        """(60,) of any item, those of fewer than 60 numbers with zeros behind."""
        flat = np.asarray(item, np.float64).ravel()
        return np.pad(flat, (0, -len(flat) % 60)).reshape(60, -1).mean(axis=1)

    @property
    def items(self) -> int:
        """How often it ran."""
        return sum(map(len, self.batches))


@pytest.fixture(scope="session")
def projection() -> type[Projection]:
    return Projection


def torchaudio_kaldi() -> Any:
    """torchaudio's module of that name: its compiled part needs CUDA, this part of it does not."""
    extension = ModuleType("torchaudio._extension")
    extension.fail_if_no_align = lambda function: function
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = extension._IS_ALIGN_AVAILABLE = False
    sys.modules.setdefault("torchaudio._extension", extension)
    return import_module("torchaudio.compliance.kaldi")


@pytest.fixture(scope="session")
def kaldi() -> Any:
    if find_spec("torch") is None or find_spec("torchaudio") is None:
        pytest.skip("no torchaudio here: the stored reference is checked alone")
    return torchaudio_kaldi()


@pytest.fixture(scope="session")
def transformers() -> Any:
    """It imports torchaudio wherever that lies, and uses its own filter bank where it does not."""
    if find_spec("transformers") is None:
        pytest.skip("no transformers here")
    if find_spec("torchaudio") is not None:
        torchaudio_kaldi()
    return import_module("transformers")
