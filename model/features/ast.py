"""A decoded track in, AST's 768 features of 10.24 s windows every 5 s out."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from model.backbones.catalogue import AST
from model.features import fbank
from model.features.pretrained import Pretrained
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.runtime.network import Network

FilterBank = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (b, samples) to (b, frames, 128)

FRAMES = AST.input_shape[0]
WINDOW = FRAMES * fbank.SHIFT  # samples: 10.24 s
HOP = 5 * fbank.RATE_HZ  # the grid's: two windows or more have their centre in each of its segments
MEAN, STD = np.float32(AST.preprocessing["mean"]), np.float32(AST.preprocessing["std"])
BATCH = 8  # windows: 4 MB; no CPU gains by more


def window_starts(samples: int) -> NDArray[np.intp]:
    """(w,) first sample of each window of a track, ascending, w >= 1.

    Every 5 s where a whole window is left, and one that ends with the track: never more than
    duration / 5 s + 1.
    """
    last = max(0, samples - WINDOW)
    return np.append(np.arange(0, last, HOP), last)


def spectrograms(
    sounds: NDArray[np.float32], filter_bank: FilterBank = fbank.fbank_batch
) -> NDArray[np.float32]:
    """What AST takes of b sounds of one length, at most 10.24 s: (b, n) to (b, 1024, 128).

    As in dataloader.py of the published code: the mean is taken off, what is missing of 1,024 frames (two of
    a whole window) is zeros in the log spectrum, and these are normalised with the rest.
    """
    log_mel = filter_bank(sounds - sounds.sum(axis=1, keepdims=True) / max(1, sounds.shape[1]))
    padded = np.zeros((len(sounds), FRAMES, fbank.MEL_BANDS), np.float32)
    padded[:, : log_mel.shape[1]] = log_mel
    return (padded - MEAN) / (2 * STD)


class AstAudio(Pretrained):
    """What the Audio Spectrogram Transformer (Gong et al. 2021) says of each window."""

    spec = AST
    rate_hz = fbank.RATE_HZ

    def __init__(
        self,
        network: Network | None = None,
        weights: str | None = None,
        filter_bank: FilterBank = fbank.fbank_batch,
    ) -> None:
        """Whatever computes the log-mel frames, the numbers are the same but for float32's noise."""
        super().__init__(network, weights)
        self.filter_bank = filter_bank

    def __call__(self, sound: Sound, segments_s: NDArray[np.float64]) -> Sequence:
        """(w, 768), timed by the centres of what the windows cover; ignores `segments_s`.

        Raises:
            NotInstalled: without a network.
            Mismatch: unless the sound is mono at 16 kHz.
        """
        samples = sound.at(self.rate_hz)
        starts = window_starts(len(samples))
        batches = (
            spectrograms(
                np.stack([samples[start : start + WINDOW] for start in starts[at : at + BATCH]]),
                self.filter_bank,
            )
            for at in range(0, len(starts), BATCH)
        )
        centres = (starts + np.minimum(starts + WINDOW, len(samples))) / 2
        return Sequence(self.vectors(batches), centres / self.rate_hz)
