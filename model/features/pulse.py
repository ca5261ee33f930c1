"""Onset curves in, tempo and clearness of the pulse out.

Tempo has no octave: a slow piece with quavers and a fast one without look alike. So what is emitted
is folded to a circle, with the unfolded strength beside it.
"""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from model.features.spectrum import FRAMES_PER_S

SLOWEST_BPM, FASTEST_BPM = 40.0, 240.0
STEPS_PER_OCTAVE = 36
CENTRE_BPM, CENTRE_WIDTH_OCT = 120.0, 0.9  # where people tap (Moelants 2002); shape of Ellis 2007
BLUR_FRAMES = 1.5  # 30 ms: how exactly people play together
TINY_DB2 = 0.01  # variance of an onset curve below which there is nothing to follow
LEAST_OVERLAP = 1 / 3  # of the window that a lag must leave to compare
REGISTERS = 5  # half octaves of tempo from 43 to 240 bpm, slowest first
HARMONICS = 2  # of the circle


def tempo_grid() -> NDArray[np.float64]:
    """(g,) tempi from 40 to 240 bpm, evenly spaced in log2."""
    steps = int(STEPS_PER_OCTAVE * np.log2(FASTEST_BPM / SLOWEST_BPM)) + 1
    return SLOWEST_BPM * 2 ** (np.arange(steps) / STEPS_PER_OCTAVE)


@dataclass(frozen=True, slots=True)
class Pulse:
    """How some stretches of music pulse; in shapes, n stretches and g tempi."""

    profile: NDArray[np.float64]  # (n, g) autocorrelation at the beat of each tempo, 0 to about 1

    @property
    def clarity(self) -> NDArray[np.float64]:
        """(n,) greatest autocorrelation, 0..1: after Lartillot et al. 2008."""
        found: NDArray[np.float64] = np.clip(self.profile.max(axis=1), 0.0, 1.0)
        return found

    @property
    def bpm(self) -> NDArray[np.float64]:
        """(n,) the likeliest tempo; 120 without a pulse."""
        salience = self._salience
        return np.where(salience.max(axis=1) > 0, tempo_grid()[salience.argmax(axis=1)], CENTRE_BPM)

    def mean(self) -> "Pulse":
        """The mean profile of all stretches, as one stretch."""
        return Pulse(self.profile.mean(axis=0, keepdims=True))

    @property
    def _salience(self) -> NDArray[np.float64]:
        """(n, g) profile weighed by where people tap."""
        distance = np.log2(tempo_grid() / CENTRE_BPM) / CENTRE_WIDTH_OCT
        return self.profile * np.exp(-0.5 * distance**2)

    @property
    def circle(self) -> NDArray[np.float64]:
        """(n, 4) clarity times the mean of cos, sin of 2 pi k log2(tempo), k = 1, 2: tempo without octave."""
        weights = self._salience**2
        angle = 2 * np.pi * np.log2(tempo_grid() / 120)
        waves = np.stack([f(k * angle) for k in range(1, HARMONICS + 1) for f in (np.cos, np.sin)], axis=1)
        total = weights.sum(axis=1, keepdims=True)
        found: NDArray[np.float64] = (
            self.clarity[:, None] * (weights @ waves) / np.where(total > 0, total, 1.0)
        )
        return found

    @property
    def registers(self) -> NDArray[np.float64]:
        """(n, 5) greatest autocorrelation in each half octave of tempo, slowest first, 0..1."""
        step = STEPS_PER_OCTAVE // 2
        by_octave = self.profile[:, -REGISTERS * step :].reshape(len(self.profile), REGISTERS, step)
        found: NDArray[np.float64] = np.clip(by_octave.max(axis=2), 0.0, 1.0)
        return found


def blurred(rise_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """(f,) onset curve as wide as people's timing, so that slow tempi are judged no harder."""
    smooth: NDArray[np.float64] = gaussian_filter1d(rise_db, BLUR_FRAMES, mode="nearest", truncate=3.0)
    return smooth


def autocorrelation(curves: NDArray[np.float64], inside: NDArray[np.bool_], lags: int) -> NDArray[np.float64]:
    """Autocorrelation of stretches of an onset curve, free of the bias towards short lags.

    Args:
        curves: (n, l) blurred onset curves.
        inside: (n, l) where they are real: one run in each row.
        lags: how many, from 0; those that leave less than a third of the run to compare are 0.

    Returns:
        (n, lags), 1 at lag 0 where there is anything to follow.
    """
    runs = inside.sum(axis=1, keepdims=True)
    mean = np.where(inside, curves, 0.0).sum(axis=1, keepdims=True) / np.maximum(runs, 1)
    centred = np.where(inside, curves - mean, 0.0)
    size = scipy.fft.next_fast_len(curves.shape[1] + lags, real=True)
    found = scipy.fft.irfft(np.abs(scipy.fft.rfft(centred, size, axis=1)) ** 2, size, axis=1)[:, :lags]
    overlap = (runs - np.arange(lags)) / np.maximum(runs, 1)
    enough = overlap >= LEAST_OVERLAP
    variance = found[:, :1] + TINY_DB2 * runs
    return np.where(enough, found / np.where(enough, overlap, 1.0) / np.maximum(variance, 1e-12), 0.0)


def pulse_of(curves: NDArray[np.float64], inside: NDArray[np.bool_]) -> Pulse:
    """Pulse of stretches (n, l) of a blurred onset curve, `inside` (n, l) where they are real.

    A tempo counts by the geometric mean of the autocorrelation at its beat and at two beats: one
    beat alone would also find three against two, two beats alone a tempo that nobody plays.
    """
    period = 60 * FRAMES_PER_S / tempo_grid()
    lags = int(np.ceil(2 * period[0])) + 2
    found = autocorrelation(curves, inside, lags)
    return Pulse(np.sqrt(np.maximum(_at(found, period), 0.0) * np.maximum(_at(found, 2 * period), 0.0)))


def _at(found: NDArray[np.float64], lag: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, g) values between whole lags, on a straight line."""
    below = np.floor(lag).astype(np.intp)
    part = lag - below
    between: NDArray[np.float64] = found[:, below] * (1 - part) + found[:, below + 1] * part
    return between
