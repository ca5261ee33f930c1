"""Samples of a track in, what its short spectra say every 20 ms out: the STFT all music features share.

A row describes 20 ms and looks at the 46 ms around them; rows know nothing of one another.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

RATE_HZ = 22_050
FRAMES_PER_S = 50
HOP = RATE_HZ // FRAMES_PER_S  # 441 samples: exactly 20 ms, so that frames add up to whole seconds
WINDOW = 1024  # samples, 46 ms: short enough for attacks, long enough for the lowest mel band
BLOCK = 512  # frames transformed at a time: 2 MB, stays in the cache and keeps memory flat

LOW_HZ, HIGH_HZ = 30.0, 10_000.0  # resamplers and lossy codecs differ above; rumble is below
MEL_BANDS = 32
BRIGHT_HZ, BASS_HZ = 1500.0, 200.0
SILENCE = 1e-9  # mean square, -90 dB: 16-bit rounding (-101 dB) is silence, the softest music is not
FLATNESS_FLOOR = 1e-6  # of the frame's mean power: holes that a codec cut count as -60 dB
ROLL_OFF = 0.85


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Short-time descriptions; in shapes, f frames of 20 ms. Powers are mean squares, full scale 1."""

    mel: NDArray[np.float32]  # (f, 32) power in each mel band
    power: NDArray[np.float32]  # (f,) power between 30 Hz and 10 kHz
    weighted_power: NDArray[np.float32]  # (f,) K-weighted, as loudness wants it
    bright_power: NDArray[np.float32]  # (f,) above 1500 Hz
    bass_power: NDArray[np.float32]  # (f,) below 200 Hz
    centroid_oct: NDArray[np.float32]  # (f,) power-weighted mean of log2(f / 1 kHz)
    spread_oct: NDArray[np.float32]  # (f,) standard deviation of the same
    roll_off_oct: NDArray[np.float32]  # (f,) log2 of the frequency / 1 kHz below which 85 % of the power lies
    flatness_db: NDArray[np.float32]  # (f,) geometric over arithmetic mean of power, <= 0
    peak: NDArray[np.float32]  # (f,) greatest absolute sample of the 20 ms


def decibel(power: NDArray[np.floating]) -> NDArray[np.float64]:
    """10 log10 of a power that is > 0."""
    return 10.0 * np.log10(np.asarray(power, np.float64))


def hann(size: int) -> NDArray[np.float32]:
    """Periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)


def frame_count(samples: int, hop: int) -> int:
    """Frames of `hop` samples that cover a track; at least one, and the last may be partial."""
    return max(1, -(-samples // hop))


def power_blocks(
    samples: NDArray[np.float32], window: int, hop: int, block: int
) -> Iterator[NDArray[np.float32]]:
    """Power spectra (<= block, window // 2 + 1), scaled so that a row sums to the mean square there.

    The window of frame k is centred on samples [k hop, (k + 1) hop); zeros lie beyond both ends.
    """
    frames = frame_count(len(samples), hop)
    before = window // 2 - hop // 2
    after = (frames - 1) * hop + window - before - len(samples)
    padded = np.pad(samples, (before, max(0, after)))
    views = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][:frames]
    shape = hann(window)
    scale = np.float32(2.0 / (window * np.sum(shape.astype(np.float64) ** 2)))
    for at in range(0, frames, block):
        bins = scipy.fft.rfft(views[at : at + block] * shape, axis=1)
        yield scale * (bins.real**2 + bins.imag**2)


def bin_hz(window: int) -> NDArray[np.float64]:
    """(window // 2 + 1,) frequency of each bin."""
    return np.arange(window // 2 + 1, dtype=np.float64) * (RATE_HZ / window)


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + hz / 700), np.float64)  # O'Shaughnessy 1987


def mel_centres_hz() -> NDArray[np.float64]:
    """(32,) centre of each band, evenly spaced in mel between 30 Hz and 10 kHz."""
    low, high = _mel(np.array([LOW_HZ, HIGH_HZ]))
    mel = low + (np.arange(MEL_BANDS) + 0.5) * (high - low) / MEL_BANDS
    return np.asarray(700 * (10 ** (mel / 2595) - 1), np.float64)


def mel_weights(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangles that split the power between 30 Hz and 10 kHz over 32 bands: (bins, 32).

    Neighbours overlap by half, and the weights of a bin sum to 1: no power is lost or counted twice.
    """
    centres = _mel(mel_centres_hz())
    triangles = np.maximum(0.0, 1.0 - np.abs(_mel(hz)[:, None] - centres) / (centres[1] - centres[0]))
    inside = (hz >= LOW_HZ) & (hz <= HIGH_HZ)
    total = triangles.sum(axis=1)
    weights: NDArray[np.float64] = triangles / np.where(total > 0, total, 1.0)[:, None]
    return np.where(inside[:, None], weights, 0.0)


def k_weights(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """(bins,) squared magnitude of the K-weighting filter: ITU-R BS.1770-5, annex 1, tables 1 and 2."""
    z = np.exp(-2j * np.pi * hz / 48_000)
    shelf = np.polyval([1.19839281085285, -2.69169618940638, 1.53512485958697], z)
    shelf = shelf / np.polyval([0.73248077421585, -1.69065929318241, 1.0], z)
    high_pass = np.polyval([1.0, -2.0, 1.0], z) / np.polyval([0.99007225036621, -1.99004745483398, 1.0], z)
    found: NDArray[np.float64] = np.abs(shelf * high_pass) ** 2
    return found


def _projection(hz: NDArray[np.float64]) -> NDArray[np.float32]:
    """(bins, 32 + 6): everything that is linear in the power spectrum, as one matrix."""
    inside = ((hz >= LOW_HZ) & (hz <= HIGH_HZ)).astype(np.float64)
    octaves = np.log2(np.maximum(hz, LOW_HZ) / 1000)
    rows = [k_weights(hz), inside, inside * octaves, inside * octaves**2]
    rows += [inside * (hz > BRIGHT_HZ), inside * (hz < BASS_HZ)]
    return np.concatenate([mel_weights(hz), np.stack(rows, axis=1)], axis=1).astype(np.float32)


def _roll_off(power: NDArray[np.float32], hz: NDArray[np.float64]) -> NDArray[np.float32]:
    cumulated = np.cumsum(power, axis=1)
    below = (cumulated < ROLL_OFF * cumulated[:, -1:]).sum(axis=1)
    found: NDArray[np.float32] = np.log2(hz[np.minimum(below, len(hz) - 1)] / 1000).astype(np.float32)
    return found


def _flatness(power: NDArray[np.float32]) -> NDArray[np.float32]:
    mean = power.mean(axis=1, keepdims=True) + np.float32(SILENCE / WINDOW)
    logs = np.log(power / mean + np.float32(FLATNESS_FLOOR)).mean(axis=1)
    found: NDArray[np.float32] = np.minimum(logs * np.float32(10 / np.log(10)), np.float32(0))
    return found


def _describe(
    power: NDArray[np.float32], hz: NDArray[np.float64], matrix: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    inside = slice(int(np.searchsorted(hz, LOW_HZ)), int(np.searchsorted(hz, HIGH_HZ, side="right")))
    linear = power @ matrix
    mel, (weighted, total, first, second, bright, bass) = linear[:, :MEL_BANDS], linear[:, MEL_BANDS:].T
    level = total + np.float32(SILENCE)  # pulls the descriptions of silence to those of 1 kHz
    centroid = first / level
    spread = np.sqrt(np.maximum(second / level - centroid**2, 0.0))
    band = power[:, inside]
    roll_off, flatness = _roll_off(band, hz[inside]), _flatness(band)
    return [mel, total, weighted, bright, bass, centroid, spread, roll_off, flatness]


def analyse(samples: NDArray[np.float32]) -> Spectrum:
    """Describe (n,) finite samples at 22,050 Hz; n may be 0, which reads as silence."""
    hz = bin_hz(WINDOW)
    matrix = _projection(hz)
    blocks = [_describe(power, hz, matrix) for power in power_blocks(samples, WINDOW, HOP, BLOCK)]
    found = [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
    slots = np.pad(np.abs(samples), (0, frame_count(len(samples), HOP) * HOP - len(samples)))
    found.append(slots.reshape(-1, HOP).max(axis=1))
    return Spectrum(*found)
