"""Sound on any torch device in, Kaldi's log-mel frames out: many windows at once, for extraction on a GPU.

On a CPU `model.features.fbank` gives the same numbers faster and without torch.
"""

import importlib
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from model.backbones.catalogue import AST
from model.errors import NoAccelerator, NotInstalled

RATE_HZ: int = AST.preprocessing["rate_hz"]
BANDS: int = AST.preprocessing["mel_bands"]
WINDOW = RATE_HZ * AST.preprocessing["frame_ms"] // 1000  # samples
SHIFT = RATE_HZ * AST.preprocessing["shift_ms"] // 1000
FFT = 512
LOWEST_HZ = 20.0
PRE_EMPHASIS = 0.97
_EXTENSION = "torchaudio._extension"


def kaldi() -> ModuleType:
    """`torchaudio.compliance.kaldi`, also where torchaudio was built for another torch than the one here.

    The package index has builds for CUDA only, so that beside a CPU torch, or one of another CUDA, importing
    torchaudio fails while it loads its compiled part. Kaldi's filter bank needs nothing of that part, so it
    is then left out: torchaudio's alignment and such are missing in this process, nothing on disk changes.

    Raises:
        NotInstalled: without torchaudio.
    """
    name = "torchaudio.compliance.kaldi"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise NotInstalled("the package torchaudio is not here: pip install --no-deps torchaudio") from error
    except (ImportError, OSError, RuntimeError):  # what the compiled part fails with
        sys.modules[_EXTENSION] = _no_extension()
        return importlib.import_module(name)


def _no_extension() -> ModuleType:
    stub: Any = ModuleType(_EXTENSION)
    stub.fail_if_no_align = lambda function: function
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
    stand_in: ModuleType = stub
    return stand_in


def fbank_batch(waveforms: Tensor) -> Tensor:
    """Log energies of b sounds of one length: what `torchaudio.compliance.kaldi.fbank` gives for each.

    Gong et al. 2021, section 2, and dataloader.py of the published code: windows of 25 ms that lie wholly
    inside, the mean of each removed, pre-emphasis .97, Hann, 512-point power spectrum, 128 triangles between
    20 Hz and 8 kHz, no dither, no energy.

    Args:
        waveforms: (b, n) float32 at 16 kHz, full scale 1; take each one's mean off first, as training did.

    Returns:
        (b, f, 128) on the same device, f = 1 + (n - 400) // 160, none for n < 400.

    Raises:
        NotInstalled: without torchaudio.
    """
    count = max(0, 1 + (waveforms.shape[1] - WINDOW) // SHIFT)
    if not count or not len(waveforms):
        return waveforms.new_empty((len(waveforms), count, BANDS))
    frames = waveforms.unfold(1, WINDOW, SHIFT)
    frames = frames - frames.mean(dim=2, keepdim=True)
    before = F.pad(frames, (1, 0), mode="replicate")[..., :-1]
    window = torch.hann_window(WINDOW, periodic=False, device=waveforms.device, dtype=waveforms.dtype)
    spectrum = torch.fft.rfft((frames - PRE_EMPHASIS * before) * window, n=FFT)
    triangles, _ = kaldi().get_mel_banks(BANDS, FFT, RATE_HZ, LOWEST_HZ, 0.0, 100.0, -500.0, 1.0)
    bins = spectrum[..., : FFT // 2].abs().square()  # Kaldi's bands leave out Nyquist's
    energy: Tensor = bins @ triangles.T.to(bins)
    return energy.clamp(min=torch.finfo(waveforms.dtype).eps).log()


@dataclass(frozen=True, slots=True)
class TorchFilterBank:
    """`model.features.ast.FilterBank` on a torch device, which is not touched before the first call.

    It can be sent to worker processes: nothing of the device travels with it. On torch's CPU device what AST
    takes (about -1 to 1) differs from `model.features.fbank`'s by 1e-5 on average, at most 1e-3 in music and
    5e-3 beside a pure tone. It was not run on a GPU yet.
    """

    device: str  # such as "cuda:0"

    def __call__(self, sounds: NDArray[np.float32]) -> NDArray[np.float32]:
        """(b, n) to (b, f, 128).

        Raises:
            NotInstalled: without torchaudio.
            NoAccelerator: if the device fails, or has too little memory.
        """
        try:
            found: NDArray[np.float32] = fbank_batch(torch.from_numpy(sounds).to(self.device)).cpu().numpy()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise NoAccelerator(
                f"torch failed on {self.device} while it made AST's spectrograms ({reason}): "
                "set YUYIN_ACCELERATOR=cpu"
            ) from error
        return found
