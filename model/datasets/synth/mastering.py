"""A mix in, a finished track out: tone, warmth, -16 LUFS, no sample above the ceiling, a quiet end."""

import numpy as np
import pyloudnorm
from numpy.typing import NDArray
from scipy import ndimage, signal

from model.datasets.synth.factors import Character
from model.datasets.synth.partials import Samples

LOUDNESS_LUFS = -16.0
CEILING_DBFS = -1.5  # on samples; leaves room for the true peak between them
LIMITER_BLOCK = 32
LOOK_AHEAD_BLOCKS = 9
RING_DB = 40.0  # how far the last chord falls before the fade takes it
RIDE_MOST_DB = 4.0
RIDE_CALM, RIDE_WARM = 0.25, 0.2  # share of level differences taken out: lively tracks are denser
SHORTEST_MEASURED_S = 0.4  # one gating block of BS.1770


def _shelf(gain_db: float, corner_hz: float, rate_hz: int, *, high: bool) -> NDArray[np.float64]:
    """One second-order shelf, slope 1 (R. Bristow-Johnson, Audio EQ Cookbook): (6,) sos row."""
    a = 10 ** (gain_db / 40)
    w = 2 * np.pi * corner_hz / rate_hz
    cos, alpha = np.cos(w), np.sin(w) / 2 * np.sqrt(2)
    sign = -1.0 if high else 1.0
    root = 2 * np.sqrt(a) * alpha
    more, less = a + 1, sign * (a - 1)
    top, bottom = more - less * cos, more + less * cos
    turn = 2 * sign * (a - 1 - sign * more * cos)
    back = -2 * sign * (a - 1 + sign * more * cos)
    row = [a * (top + root), a * turn, a * (top - root), bottom + root, back, bottom - root]
    return np.asarray(np.array(row) / (bottom + root), np.float64)


def tone(channel: Samples, character: Character, rate_hz: int) -> Samples:
    """High-pass at 28 Hz, bass and treble shelves as the genre vector wants them."""
    rows = [
        signal.butter(2, 28, "highpass", fs=rate_hz, output="sos")[0],
        _shelf(3.0 * character.bass, 130, rate_hz, high=False),
        _shelf(4.0 * character.bright, 3000, rate_hz, high=True),
    ]
    return np.asarray(signal.sosfilt(np.stack(rows).astype(np.float32), channel), np.float32)


def limit(samples: NDArray[np.float32], ceiling: float) -> NDArray[np.float32]:
    """Turn loud moments down smoothly so that no sample exceeds `ceiling`.

    The gain wanted by each block of 32 samples is held over a look-ahead, averaged over the same span (so it
    is nowhere above what is wanted) and drawn as straight lines between block centres.

    Args:
        samples: (n,) or (n, channels); channels share one gain, so the image stands still.
        ceiling: largest magnitude allowed.
    """
    peaks = np.abs(samples) if samples.ndim == 1 else np.max(np.abs(samples), axis=1)
    n = len(peaks)
    blocks = -(-n // LIMITER_BLOCK)
    peaks = np.pad(peaks, (0, blocks * LIMITER_BLOCK - n)).reshape(blocks, LIMITER_BLOCK).max(axis=1)
    if not len(peaks) or peaks.max() <= ceiling:
        return samples
    wanted = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9)).astype(np.float64)
    held = ndimage.minimum_filter1d(wanted, 2 * LOOK_AHEAD_BLOCKS + 3, mode="nearest")  # + a block each side
    smooth = ndimage.uniform_filter1d(held, 2 * LOOK_AHEAD_BLOCKS + 1, mode="nearest")
    centres = (np.arange(blocks) + 0.5) * LIMITER_BLOCK
    gain = np.interp(np.arange(n), centres, smooth).astype(np.float32)
    limited: NDArray[np.float32] = samples * (gain if samples.ndim == 1 else gain[:, None])
    return limited


def ride(samples: NDArray[np.float32], rate_hz: int, amount: float) -> NDArray[np.float32]:
    """Even out quiet and loud sections as an engineer's hand on the fader would: over seconds, not beats.

    The level of each half second, smoothed over three, is brought towards the track's own by the share
    `amount` of the difference in dB, at most `RIDE_MOST_DB` either way.
    """
    block = rate_hz // 2
    power = samples**2 if samples.ndim == 1 else np.mean(samples**2, axis=1)
    n = len(power)
    blocks = -(-n // block)
    power = np.pad(power, (0, blocks * block - n)).reshape(blocks, block).mean(axis=1)
    level_db = 10 * np.log10(ndimage.uniform_filter1d(power, 6, mode="nearest") + 1e-9)
    move_db = np.clip(amount * (10 * np.log10(power.mean() + 1e-9) - level_db), -RIDE_MOST_DB, RIDE_MOST_DB)
    centres = (np.arange(blocks) + 0.5) * block
    gain = 10 ** (np.interp(np.arange(n), centres, move_db).astype(np.float32) / 20)
    ridden: NDArray[np.float32] = samples * (gain if samples.ndim == 1 else gain[:, None])
    return ridden


def _loudness_lufs(samples: NDArray[np.float32], meter: pyloudnorm.Meter) -> float:
    return float(meter.integrated_loudness(samples))


def finish(samples: NDArray[np.float32], rate_hz: int, warmth: float, ring_s: float) -> NDArray[np.float32]:
    """Saturate gently, bring to -16 LUFS under the ceiling, let the last chord die away.

    Args:
        samples: (n,) or (n, 2), any level.
        rate_hz: of the samples.
        warmth: 0..1, how much soft clipping glues the mix.
        ring_s: how long the last chord rings; it falls evenly in dB, then to nothing.
    """
    if not samples.any():
        return samples
    samples = ride(samples, rate_hz, RIDE_CALM + RIDE_WARM * warmth)
    ring = min(len(samples), int(ring_s * rate_hz))
    x = np.linspace(0, 1, ring)
    decay = 10 ** (-RING_DB / 20 * x) * (0.5 + 0.5 * np.cos(np.pi * np.clip(x / 0.3 - 0.7 / 0.3, 0, 1)))
    slope = decay.astype(np.float32)
    samples[len(samples) - ring :] *= slope if samples.ndim == 1 else slope[:, None]
    if len(samples) < SHORTEST_MEASURED_S * rate_hz:
        return samples
    knee = np.float32((1.6 - warmth) * 4 * np.sqrt(np.mean(samples**2)))
    samples = knee * np.tanh(samples / knee)
    meter = pyloudnorm.Meter(rate_hz)
    ceiling = 10 ** (CEILING_DBFS / 20)
    for _ in range(3):  # limiting takes loudness away; two more rounds give it back to 0.1 LU
        gain_db = LOUDNESS_LUFS - _loudness_lufs(samples, meter)
        if abs(gain_db) < 0.1:
            break
        samples = limit(samples * np.float32(10 ** (gain_db / 20)), ceiling)
    return samples
