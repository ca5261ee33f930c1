"""The sound of a finished ad in, its voice-over and its music apart out.

A `Separator` is one class with a name and a version. Ours needs no weights; a trained network (MRCMV uses
Spleeter, docs/models.md 4.2) is one more class.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.signal import istft, stft

from model.features.sound import LOUDEST, Sound

WINDOW, HOP = 4096, 1024  # samples at 22,050 Hz: 0.19 s, long enough to see that a voice glides
HELD_FRAMES, BROAD_BINS = 17, 17  # 0.8 s and 91 Hz
STEADY_FRAMES = 33  # 1.5 s
LOWEST_HZ = 80.0  # of a voice
TINY = 1e-12

Levels = NDArray[np.float32]  # (b, f) magnitude of each bin and frame


@dataclass(frozen=True, slots=True)
class Stems:
    """Two sounds that add up to the one they were made from."""

    voice: NDArray[np.float32]  # (n,)
    music: NDArray[np.float32]  # (n,)


class Separator(Protocol):
    """What takes a mixture apart."""

    @property
    def name(self) -> str:
        """Part of the recipe of every feature made from its stems."""

    @property
    def version(self) -> int:
        """Raised when the same mixture gives other stems."""

    def __call__(self, sound: Sound) -> Stems:
        """The stems of a whole sound, as long as it is."""


@dataclass(frozen=True, slots=True)
class LongSpectrum:
    """Overlapping long spectra of a sound; b bins and f frames."""

    bins: NDArray[np.complex64]  # (b, f)
    hz: NDArray[np.float64]  # (b,)

    @classmethod
    def of(cls, sound: Sound) -> "LongSpectrum":
        """At least one frame; what is no number counts as silence."""
        samples = np.nan_to_num(sound.samples, nan=0.0, posinf=0.0, neginf=0.0).clip(-LOUDEST, LOUDEST)
        padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
        hz, _, bins = stft(padded, sound.rate_hz, nperseg=WINDOW, noverlap=WINDOW - HOP)
        return cls(bins, hz)


def along_time(levels: Levels, frames: int) -> Levels:
    """Median of each bin over so many frames: what stays at one pitch."""
    found: Levels = median_filter(levels, (1, frames), mode="nearest")
    return found


def along_pitch(levels: Levels, bins: int) -> Levels:
    """Median of each frame over so many bins: what is struck, or glides while the window lasts."""
    found: Levels = median_filter(levels, (bins, 1), mode="nearest")
    return found


class FluctuationSeparator:
    """A voice by what it does not do: hold a pitch or a level.

    The geometric mean of two soft masks. What changes its pitch: median filtering with a window so long that
    a voice comes out as percussive, FitzGerald and Gainza 2010, "Single Channel Vocal Separation using Median
    Filtering and Factorisation Techniques", first stage. What lies above its usual level: the median over
    1.5 s is taken for the accompaniment, the idea of REPET-SIM (Rafii and Pardo 2012) with neighbours in time
    in the place of similar frames. To join the two is our choice: it did better than either, than REPET-SIM
    and than the second stage of FitzGerald and Gainza (docs/log.md).

    Good for somebody speaking over held chords, pads and loops. Not good for drums, which stay with the
    voice, nor for somebody who sings, who stays with the music. Real ads are stereo with the voice in the
    middle; that is not used, since bass, drums and singers are there too.
    """

    name = "fluctuation-stems"
    version = 1

    def __call__(self, sound: Sound) -> Stems:
        """The stems of a whole sound."""
        spectrum = LongSpectrum.of(sound)
        levels = np.abs(spectrum.bins).astype(np.float32)
        broad, held = along_pitch(levels, BROAD_BINS), along_time(levels, HELD_FRAMES)
        gliding = broad / (broad + held + TINY)
        above = np.maximum(levels - along_time(levels, STEADY_FRAMES), 0) / (levels + TINY)
        mask = np.sqrt(gliding * above) * (spectrum.hz >= LOWEST_HZ)[:, None]
        _, voice = istft(spectrum.bins * mask, sound.rate_hz, nperseg=WINDOW, noverlap=WINDOW - HOP)
        stem = np.asarray(voice[: len(sound.samples)], np.float32)
        return Stems(stem, sound.samples - stem)
