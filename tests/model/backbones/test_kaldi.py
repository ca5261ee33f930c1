"""The filter bank of many sounds at once against torchaudio's of each."""

import importlib.util
import sys

import pytest
import torch
from torch import Tensor

from model.backbones.kaldi import fbank_batch, kaldi

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
