"""The filter bank of many sounds at once against torchaudio's of each."""

import importlib.util
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model.backbones.kaldi import TorchFilterBank, fbank_batch, kaldi
from model.errors import NoAccelerator
from model.features.ast import WINDOW, spectrograms
from model.media.audio import read_audio

if importlib.util.find_spec("torchaudio") is None:
    pytest.skip("no torchaudio on this machine", allow_module_level=True)


def one_by_one(waveforms: Tensor) -> Tensor:
    """The published code's call, for each sound."""
    return torch.stack(
        [
            kaldi().fbank(
                each[None],
                htk_compat=True,
                sample_frequency=16_000,
                use_energy=False,
                window_type="hanning",
                num_mel_bins=128,
                dither=0.0,
                frame_shift=10,
            )
            for each in waveforms
        ]
    )


@pytest.fixture
def sounds() -> Tensor:
    """Noise, near silence, a chirp over a hum, a click, and silence."""
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(5, 16_000)
    at_s = torch.arange(16_000) / 16_000
    x[0] = 0.3 * torch.randn(16_000, generator=generator)
    x[1] = 1e-5 * torch.randn(16_000, generator=generator)
    x[2] = 0.5 * torch.sin(2 * torch.pi * (200 + 3000 * at_s) * at_s) + 0.2 * torch.sin(314 * at_s) + 0.1
    x[3, 8000] = 0.9
    return x


def test_gives_what_torchaudio_gives_for_each(sounds: Tensor) -> None:
    found = fbank_batch(sounds)
    assert found.shape == (5, 98, 128)
    torch.testing.assert_close(found, one_by_one(sounds), atol=1e-4, rtol=0)
    assert float(found[0].std()) > 1


@pytest.mark.parametrize(("samples", "frames"), [(400, 1), (559, 1), (560, 2), (1333, 6)])
def test_gives_every_window_that_lies_wholly_inside(sounds: Tensor, samples: int, frames: int) -> None:
    found = fbank_batch(sounds[:, :samples])
    assert found.shape == (5, frames, 128)
    torch.testing.assert_close(found, one_by_one(sounds[:, :samples]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("shape", "frames"), [((2, 0), 0), ((2, 399), 0), ((0, 16_000), 98)])
def test_gives_nothing_for_nothing(shape: tuple[int, int], frames: int) -> None:
    assert fbank_batch(torch.zeros(shape)).shape == (shape[0], frames, 128)


def test_agrees_with_the_one_that_needs_no_torch(sounds: Tensor) -> None:
    from model.features.fbank import fbank

    for each, found in zip(sounds, fbank_batch(sounds), strict=True):
        off = (torch.from_numpy(fbank(each.numpy())) - found).abs()
        assert float(off.mean()) < 1e-3
        assert float(off.max()) < 0.05  # bands of next to no energy


def test_imports_torchaudio_once_and_for_all() -> None:
    assert kaldi() is sys.modules["torchaudio.compliance.kaldi"]
    assert kaldi() is kaldi()


# Of what AST takes, about -1 to 1. A tone leaves bands of next to no energy, whose logarithm is loud noise.
WORST, WORST_IN_MUSIC, MEAN = 5e-3, 1e-3, 1e-5
MUSIC = ("fluffing_a_duck.mp3", "spazzmatica_polka.mp3")


def far(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    off = np.abs(found - expected)
    return float(off.max()), float(off.mean())


def test_ast_hears_the_same_by_either_filter_bank(sounds: Tensor) -> None:
    at_s = np.arange(16_000, dtype=np.float32) / 16_000
    whistle = 0.5 * np.sin(2 * np.pi * 440 * at_s, dtype=np.float32)
    all_of_them = np.concatenate([sounds.numpy(), whistle[None], np.full((1, 16_000), 0.5, np.float32)])
    found = spectrograms(all_of_them, TorchFilterBank("cpu"))
    assert found.shape == (7, 1024, 128)
    assert found.dtype == np.float32
    worst, mean = far(found, spectrograms(all_of_them))
    assert worst <= WORST
    assert mean <= MEAN
    assert not np.array_equal(found, spectrograms(all_of_them)), "the same code twice shows nothing"


@pytest.mark.parametrize("name", MUSIC)
def test_ast_hears_the_same_music_by_either(shared_data: Path, name: str) -> None:
    samples = read_audio(shared_data / "music/kevin_macleod" / name, 16_000, duration_s=30.72)
    windows = samples[: 3 * WINDOW].reshape(3, WINDOW)
    worst, mean = far(spectrograms(windows, TorchFilterBank("cpu")), spectrograms(windows))
    assert worst <= WORST_IN_MUSIC
    assert mean <= MEAN


@pytest.mark.parametrize("shape", [(0, 16_000), (2, 0), (2, 399), (1, 400)])
def test_the_torch_one_takes_what_the_other_takes(shape: tuple[int, int]) -> None:
    x = np.zeros(shape, np.float32)
    assert np.array_equal(spectrograms(x, TorchFilterBank("cpu")), spectrograms(x))


def test_a_device_is_not_touched_before_it_is_needed_and_fails_in_one_sentence() -> None:
    bank = pickle.loads(pickle.dumps(TorchFilterBank("nowhere")))
    assert bank == TorchFilterBank("nowhere")
    with pytest.raises(NoAccelerator, match=r"failed on nowhere .* YUYIN_ACCELERATOR=cpu$"):
        bank(np.zeros((1, 400), np.float32))
