"""Mono sound at 16 kHz in, its log-mel spectrum every 10 ms out: Kaldi's filter bank, without torch.

The numbers of `torchaudio.compliance.kaldi.fbank` with the settings of AST (Gong et al. 2021, section 2;
dataloader.py of the published code): windows of 25 ms that lie wholly inside, the mean of each removed,
pre-emphasis .97, Hann, 512-point power spectrum, 128 triangles between 20 Hz and 8 kHz, no dither, no energy.
"""

from functools import cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

RATE_HZ = 16_000
MEL_BANDS = 128
WINDOW = 400  # samples
SHIFT = 160
FFT = 512
LOWEST_HZ = 20.0
PRE_EMPHASIS = np.float32(0.97)
FLOOR = np.finfo(np.float32).eps  # of an energy, before the logarithm
BLOCK = 512  # frames at a time: 1 MB stays in the cache


def fbank(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural logarithm of the energy in each mel band.

    Args:
        samples: (n,) finite float32 at 16 kHz.

    Returns:
        (f, 128) float32, f = 1 + (n - 400) // 160, none for n < 400.
    """
    count = frames_of(len(samples))
    found = np.empty((count, MEL_BANDS), np.float32)
    if count == 0:
        return found
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::SHIFT]
    window, bands = np.hanning(WINDOW).astype(np.float32), _mel_bands()
    padded = np.zeros((min(count, BLOCK), FFT), np.float32)
    for at in range(0, count, BLOCK):
        block = frames[at : at + BLOCK]
        block = block - block.mean(axis=1, keepdims=True)
        shaped = padded[: len(block), 1:WINDOW]  # the window is 0 at sample 0: what comes before it is moot
        np.multiply(block[:, :-1], -PRE_EMPHASIS, out=shaped)
        shaped += block[:, 1:]
        shaped *= window[1:]
        bins = scipy.fft.rfft(padded[: len(block)], axis=1)[:, :-1]  # Kaldi's bands leave out Nyquist's
        energy = (bins.real**2 + bins.imag**2) @ bands
        np.log(np.maximum(energy, FLOOR), out=found[at : at + BLOCK])
    return found


def fbank_batch(sounds: NDArray[np.float32]) -> NDArray[np.float32]:
    """(b, n) sounds of one length to (b, f, 128): `fbank` of each."""
    found = np.empty((len(sounds), frames_of(sounds.shape[1]), MEL_BANDS), np.float32)
    for sound, frames in zip(sounds, found, strict=True):
        frames[:] = fbank(sound)
    return found


def frames_of(samples: int) -> int:
    """How many windows lie wholly inside."""
    return max(0, 1 + (samples - WINDOW) // SHIFT)


@cache
def _mel_bands() -> NDArray[np.float32]:
    """(256, 128) triangles that are even in mel: O'Shaughnessy 1987, as Kaldi has them."""
    mel = 1127.0 * np.log1p(np.arange(FFT // 2) * (RATE_HZ / FFT) / 700.0)
    lowest, highest = 1127.0 * np.log1p(np.array([LOWEST_HZ, RATE_HZ / 2]) / 700.0)
    half = (highest - lowest) / (MEL_BANDS + 1)
    centres = lowest + half * np.arange(1, MEL_BANDS + 1)
    triangles: NDArray[np.float32] = np.maximum(0.0, 1.0 - np.abs(mel[:, None] - centres) / half).astype(
        np.float32
    )
    return triangles
