"""A length in, somebody talking out: formant babble, so that rendered adverts sound like adverts.

Nothing is trained on it; it is there because real cuts come with speech, and the service must not mind.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

# First three formants in Hz of five vowels, after Peterson and Barney 1952, table II (means of men).
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (530, 1840, 2480), (570, 840, 2410), (300, 870, 2240))
BANDWIDTHS_HZ = (70, 100, 140)
SYLLABLES_PER_S = 4.5


def babble(duration_s: float, rate_hz: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Syllables of random vowels with pauses between phrases: (n,) float32, peak 1, or silence for 0 s."""
    n = round(duration_s * rate_hz)
    voice = np.zeros(n)
    pitch_hz = rng.uniform(95, 230)
    at = 0
    while at < n:
        length = round(rate_hz / SYLLABLES_PER_S * float(np.exp(rng.normal(0, 0.25))))
        if rng.random() < 0.82:
            vowel = VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]
            syllable = _syllable(length, rate_hz, pitch_hz * float(np.exp(rng.normal(0, 0.08))), vowel, rng)
            voice[at : at + length] = syllable[: n - at]
        at += length
    peak = float(np.abs(voice).max(initial=0))
    return (voice / peak if peak > 0 else voice).astype(np.float32)


def _syllable(
    length: int, rate_hz: int, pitch_hz: float, vowel_hz: tuple[int, int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    glide = pitch_hz * np.linspace(1.06, 0.94, length)
    phase = np.cumsum(glide / rate_hz)
    sound = np.diff(np.floor(phase), prepend=0.0) + 0.02 * rng.standard_normal(length)
    for centre_hz, width_hz in zip(vowel_hz, BANDWIDTHS_HZ, strict=True):
        radius = np.exp(-np.pi * width_hz / rate_hz)
        poles = [1, -2 * radius * np.cos(2 * np.pi * centre_hz / rate_hz), radius**2]
        sound = lfilter([1 - radius], poles, sound)
    return np.asarray(sound * np.hanning(length), np.float64)
