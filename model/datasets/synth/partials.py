"""Damped sinusoids, envelopes and spectral shapes: the arithmetic every instrument and drum is made of."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Samples = NDArray[np.float32]
Numbers = NDArray[np.float64]

BLAS_ALONE = 2**18  # multiplications up to which OpenBLAS uses one thread: many processes render at once


def sum_of_partials(
    frequencies_hz: Numbers, amplitudes: Numbers, decays_per_s: Numbers, phases: Numbers, n: int, rate_hz: int
) -> Samples:
    """Sum of k exponentially damped sinusoids, (n,) float32.

    A sample index is written as i = row * width + column, so that exp(s i) = exp(s row width) exp(s column)
    and the sum over partials is one matrix product of (n / width, 2k) and (2k, width): sqrt(n) exponentials
    a partial instead of n, which is what makes hundreds of notes a second possible without a wavetable.

    Args:
        frequencies_hz: (k,), those at or above half the rate must have been left out.
        amplitudes: (k,) peak amplitudes.
        decays_per_s: (k,) >= 0, nepers a second.
        phases: (k,) radians at the first sample, of a sine.
        n: how many samples.
        rate_hz: of the result.
    """
    if len(frequencies_hz) == 0:
        return np.zeros(n, np.float32)
    width = max(16, int(np.sqrt(n)))
    together = max(1, BLAS_ALONE // (2 * width * len(frequencies_hz)))  # rows of one small product
    rows = together * -(-n // (width * together))
    exponents = (2j * np.pi * frequencies_hz - decays_per_s) / rate_hz  # (k,)
    left = np.exp(np.multiply.outer(np.arange(rows) * float(width), exponents))  # (rows, k)
    left *= amplitudes * np.exp(1j * (phases - np.pi / 2))
    right = np.exp(np.multiply.outer(exponents, np.arange(width, dtype=np.float64)))  # (k, width)
    over_rows = np.concatenate([left.real, -left.imag], axis=1).astype(np.float32)
    over_columns = np.concatenate([right.real, right.imag]).astype(np.float32)
    wave = over_rows.reshape(-1, together, over_rows.shape[1]) @ over_columns
    return wave.reshape(-1)[:n]


def hit_envelope(n: int, rate_hz: int, attack_s: float, decay_s: float) -> Samples:
    """A short rise, then exponential decay to -60 dB at `decay_s`, zero at the very end: (n,) float32."""
    t = np.arange(n, dtype=np.float32) / np.float32(rate_hz)
    envelope = np.exp(t * np.float32(-6.9 / decay_s))
    rise = min(n, int(attack_s * rate_hz))
    envelope[:rise] *= np.linspace(0, 1, rise, endpoint=False, dtype=np.float32)
    return close_end(envelope, max(1, n // 8))


def close_end(samples: Samples, fade: int) -> Samples:
    """Fade the last `fade` samples to zero by a raised cosine, in place."""
    fade = min(fade, len(samples))
    samples[len(samples) - fade :] *= (0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fade))).astype(np.float32)
    return samples


def band(samples: Samples, rate_hz: int, low_hz: float, high_hz: float) -> Samples:
    """Zero-phase band of second-order slopes between two corner frequencies; for one-shots, not for mixes."""
    size = int(fft.next_fast_len(len(samples) + rate_hz // 50, real=True))
    f = np.maximum(fft.rfftfreq(size, 1 / rate_hz), 1.0)
    gain = 1 / np.sqrt((1 + (low_hz / f) ** 4) * (1 + (f / high_hz) ** 4))
    spectrum: Any = fft.rfft(samples, size)
    filtered: Samples = np.asarray(fft.irfft(spectrum * gain.astype(np.float32), size), np.float32)
    return filtered[: len(samples)]


@lru_cache(maxsize=8)
def white_noise(n: int, seed: int) -> Samples:
    """Gaussian noise of unit variance, (n,) float32, read-only."""
    noise = np.random.default_rng(seed).standard_normal(n, dtype=np.float32)
    noise.flags.writeable = False
    return noise
