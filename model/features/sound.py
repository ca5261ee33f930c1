"""A decoded track in, with what several extractors need of it computed once."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.errors import Mismatch
from model.features.onsets import Onsets, find_onsets
from model.features.partials import Partials, find_partials
from model.features.spectrum import RATE_HZ, Spectrum, analyse
from model.features.tonality import chroma

LOUDEST = 16.0  # +24 dB over full scale: float files may exceed 1, garbage must not overflow


@dataclass(frozen=True)
class Sound:
    """Mono samples of a whole track; the analyses kept here want them at 22,050 Hz."""

    samples: NDArray[np.float32]  # (n,), full scale is 1
    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz

    def at(self, rate_hz: int) -> NDArray[np.float32]:
        """(n,) samples, non-finite ones silenced; raises `Mismatch` unless mono at this rate."""
        if self.rate_hz != rate_hz:
            raise Mismatch(f"these features want {rate_hz} Hz, got {self.rate_hz} Hz: decode at that rate")
        if self.samples.ndim != 1:
            raise Mismatch(f"features want mono (n,), got {self.samples.shape}: decode with mono=True")
        return self._clean

    @cached_property
    def _clean(self) -> NDArray[np.float32]:
        finite = np.nan_to_num(self.samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return np.clip(finite, -LOUDEST, LOUDEST)

    @cached_property
    def spectrum(self) -> Spectrum:
        """Short spectra, 50 a second."""
        return analyse(self.at(RATE_HZ))

    @cached_property
    def partials(self) -> Partials:
        """Strongest partials, 10 times a second."""
        return find_partials(self.at(RATE_HZ))

    @cached_property
    def chroma(self) -> NDArray[np.float64]:
        """(f, 12) share of each pitch class, C first, 10 times a second."""
        return chroma(self.partials)

    @cached_property
    def onsets(self) -> Onsets:
        """Where notes and beats begin, 50 frames a second."""
        return find_onsets(self.spectrum)
