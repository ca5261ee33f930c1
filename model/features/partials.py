"""Samples of a track in, the strongest partials of its long spectra ten times a second out.

A row describes 0.1 s and looks at the 0.37 s around it, which tells two semitones apart from
about 90 Hz upwards; rows know nothing of one another.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features.spectrum import RATE_HZ, SILENCE, bin_hz, power_blocks

FRAMES_PER_S = 10
HOP = RATE_HZ // FRAMES_PER_S
WINDOW = 8192  # samples, 0.37 s, 2.7 Hz per bin
BLOCK = 64  # frames transformed at a time: 2 MB
STRONGEST = 24  # partials kept: four notes with six each
LOW_HZ, HIGH_HZ = 50.0, 5000.0  # pitch is heard up to about 5 kHz
WEAKEST = 1e-5  # of the frame's strongest partial, in power: -50 dB


@dataclass(frozen=True, slots=True)
class Partials:
    """Peaks of long spectra; in shapes, f frames of 0.1 s with 24 peaks each, missing ones of amplitude 0."""

    hz: NDArray[np.float32]  # (f, 24) between bins, by a parabola through the log power
    amplitude: NDArray[np.float32]  # (f, 24) of a sinusoid, full scale 1
    peak_power: NDArray[np.float32]  # (f,) power within a bin of the peaks
    power: NDArray[np.float32]  # (f,) power between 50 Hz and 5 kHz


def _pick(power: NDArray[np.float32], first_bin: int) -> list[NDArray[np.float32]]:
    """Strongest local maxima of (f, bins) power; the outermost bins only serve as neighbours."""
    centre, left, right = power[:, 1:-1], power[:, :-2], power[:, 2:]
    peaks = np.where((centre > left) & (centre >= right), centre, np.float32(0))
    at = np.argpartition(peaks, -STRONGEST, axis=1)[:, -STRONGEST:]
    at.sort(axis=1)  # by frequency: the order that argpartition leaves is not part of any promise
    height, a, c = (np.take_along_axis(x, at, axis=1) for x in (peaks, left, right))
    strong = height > np.maximum(WEAKEST * height.max(axis=1, keepdims=True), SILENCE / WINDOW)
    tiny = np.float32(1e-30)
    la, lb, lc = (np.log(np.where(strong, x, 1) + tiny) for x in (a, height, c))
    bend = la - 2 * lb + lc
    shift = np.clip(0.5 * (la - lc) / np.where(bend < 0, bend, -1.0), -0.5, 0.5)
    whole = np.where(strong, a + height + c, 0.0)  # the main lobe of a Hann window is 4 bins wide
    hz = (first_bin + 1 + at + shift) * (RATE_HZ / WINDOW)
    found = [hz, np.sqrt(2 * whole), whole.sum(axis=1), power.sum(axis=1)]
    return [x.astype(np.float32) for x in found]


def find_partials(samples: NDArray[np.float32]) -> Partials:
    """Partials of (n,) finite samples at 22,050 Hz; n may be 0, which reads as silence."""
    hz = bin_hz(WINDOW)
    first, end = int(np.searchsorted(hz, LOW_HZ)), int(np.searchsorted(hz, HIGH_HZ))
    blocks = [_pick(power[:, first:end], first) for power in power_blocks(samples, WINDOW, HOP, BLOCK)]
    return Partials(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def roughness(partials: Partials) -> NDArray[np.float64]:
    """(f,) how much a pair of partials beats, in the mean over all pairs, 0..1, whatever their level.

    Dissonance curve of Sethares 1993, scaled to a greatest value of 1; pairs count by the
    product of their amplitudes as in Hutchinson and Knopoff 1978. We divide by the sum over
    pairs, not by the power: more partials are a matter of timbre, and the ratio stays below 1.
    """
    i, j = np.triu_indices(STRONGEST, 1)
    hz, amplitude = partials.hz.astype(np.float64), partials.amplitude.astype(np.float64)
    distance = np.abs(hz[:, i] - hz[:, j]) * (0.24 / (0.021 * np.minimum(hz[:, i], hz[:, j]) + 19))
    curve = (np.exp(-3.5 * distance) - np.exp(-5.75 * distance)) * 5.532
    product = amplitude[:, i] * amplitude[:, j]
    found: NDArray[np.float64] = (product * curve).sum(axis=1) / (product.sum(axis=1) + SILENCE)
    return found


def tonal_share(partials: Partials) -> NDArray[np.float64]:
    """(f,) share of the power between 50 Hz and 5 kHz that its 24 strongest partials hold, 0..1."""
    return np.minimum(partials.peak_power / (partials.power.astype(np.float64) + SILENCE), 1.0)


def register(partials: Partials) -> NDArray[np.float64]:
    """(f, 2) mean and standard deviation of the partials' pitch in octaves from middle C, by amplitude."""
    octaves = np.log2(partials.hz.astype(np.float64) / 261.6256)
    weights = partials.amplitude.astype(np.float64)
    total = weights.sum(axis=1) + np.sqrt(SILENCE)
    mean = (weights * octaves).sum(axis=1) / total
    square = (weights * octaves**2).sum(axis=1) / total
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0.0))], axis=1)


def lowest(partials: Partials) -> NDArray[np.float64]:
    """(f,) octaves from middle C of the lowest partial within 20 dB of the strongest; 0 in silence."""
    strongest = partials.amplitude.max(axis=1, keepdims=True)
    heard = (partials.amplitude >= 0.1 * strongest) & (partials.amplitude > 0)
    hz = np.where(heard, partials.hz, np.inf).min(axis=1)
    return np.log2(np.where(heard.any(axis=1), hz, 261.6256) / 261.6256)
