"""Short spectra in, where notes and beats begin out, and what is steady against what is struck.

A row of 20 ms looks at most 2.6 s around it: 2 s for what is loud here, 0.5 s for the threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, maximum_filter1d

from model.features.spectrum import FRAMES_PER_S, MEL_BANDS, SILENCE, Spectrum, decibel

AROUND = 2 * FRAMES_PER_S  # frames either way in which the loudest moment sets what counts as soft
BAND_FLOOR = 10**-3.5  # of the band's own loudest moment
TOTAL_FLOOR = 1e-5 / MEL_BANDS  # of the loudest moment of all bands
LAG = 2  # frames, 40 ms: the time a spectrum of 46 ms needs to become another one
APART = 3  # frames, 60 ms: nearer onsets are heard as one (Boeck and Widmer 2013 use 30 ms)
THRESHOLD_DB = 0.75  # over the mean of the second around; best F measure on composed music
ATTACK = 5  # frames, 0.1 s around an onset in which its attack is looked for
BANDS = (("low", 0, 3), ("mid", 3, 16), ("high", 16, MEL_BANDS))  # to 240 Hz, to 2.3 kHz, above


@dataclass(frozen=True, slots=True)
class Onsets:
    """Rises of the spectrum; in shapes, f frames of 20 ms."""

    rise_db: NDArray[np.float64]  # (f,) mean rise over all mel bands, >= 0
    band_rise_db: NDArray[np.float64]  # (f, 3) the same below 240 Hz, to 2.3 kHz, above
    picked: NDArray[np.bool_]  # (f,) an onset begins here
    attack_db: NDArray[np.float64]  # (f,) steepest rise in 20 ms within 0.1 s of a picked frame, else 0
    loudness_db: NDArray[np.float64]  # (f,) K-weighted, floor 60 dB below the loudest within 2 s


def _local_max(values: NDArray[np.floating], around: int) -> NDArray[np.floating]:
    found: NDArray[np.floating] = maximum_filter1d(values, 2 * around + 1, axis=0, mode="nearest")
    return found


def floor(spectrum: Spectrum) -> NDArray[np.float64]:
    """(f, 32) power below which a band counts as silent: it follows the band's own loudest moment.

    Adaptive whitening of Stowell and Plumbley 2007, with a window that looks both ways in place of
    a decaying memory: a row must not depend on what happened long ago.
    """
    total = _local_max(spectrum.power, AROUND)[:, None] * TOTAL_FLOOR + SILENCE / MEL_BANDS
    return np.asarray(BAND_FLOOR * _local_max(spectrum.mel, AROUND) + total, np.float64)


def change_db(spectrum: Spectrum, lag: int, neighbours: int = 0) -> NDArray[np.float64]:
    """(f, 32) level of each band over its level `lag` frames ago.

    Both are judged over the floor of now: a floor that moves is no change of the sound. With
    `neighbours`, the level of then is the highest of so many bands either side, which ignores
    vibrato: SuperFlux, Boeck and Widmer 2013.
    """
    lowest = floor(spectrum)
    wide = maximum_filter1d(spectrum.mel, 2 * neighbours + 1, axis=1, mode="nearest")
    before = np.concatenate([np.repeat(wide[:1], lag, axis=0), wide[:-lag]])[: len(wide)]
    return decibel((spectrum.mel + lowest) / (before + lowest))


def _pick(rise_db: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Local maxima well above their surroundings: after Boeck, Krebs and Schedl 2012."""
    width = FRAMES_PER_S + 1
    around = correlate1d(rise_db, np.full(width, 1 / width), mode="nearest")
    highest = maximum_filter1d(rise_db, 2 * APART + 1, mode="nearest")
    return (rise_db >= highest) & (rise_db > around + THRESHOLD_DB)


def find_onsets(spectrum: Spectrum) -> Onsets:
    """Onsets of a whole track."""
    rises = np.maximum(change_db(spectrum, LAG, neighbours=1), 0.0)
    rise_db = rises.mean(axis=1)
    picked = _pick(rise_db)
    loudest = _local_max(spectrum.weighted_power, AROUND)
    loudness_db = decibel(spectrum.weighted_power + 1e-6 * loudest + SILENCE)
    steepest = _local_max(np.maximum(np.diff(loudness_db, prepend=loudness_db[:1]), 0.0), ATTACK)
    bands = np.stack([rises[:, low:high].mean(axis=1) for _, low, high in BANDS], axis=1)
    return Onsets(rise_db, bands, picked, np.where(picked, steepest, 0.0), loudness_db)


def articulation_db(onsets: Onsets) -> NDArray[np.float64]:
    """(f,) how far below its maximum within 0.3 s either way loudness lies, at most 40 dB.

    Small for legato and drones, great for staccato: our reading of the duty factor of Friberg et al.
    2014 that needs no notes.
    """
    around = int(0.3 * FRAMES_PER_S)
    return np.minimum(_local_max(onsets.loudness_db, around) - onsets.loudness_db, 40.0)


def percussive_power(spectrum: Spectrum) -> NDArray[np.float64]:
    """(f,) power that is struck rather than held: FitzGerald 2010, on mel bands.

    The median over 9 frames (0.18 s) keeps what is held, the median over 7 bands what is broad; a
    soft mask of their powers splits each band.
    """
    mel = np.sqrt(spectrum.mel)
    held, broad = _median(mel, 9, axis=0), _median(mel, 7, axis=1)
    mask = broad**2 / (broad**2 + held**2 + np.float32(1e-20))
    return np.asarray((mask * spectrum.mel).sum(axis=1), np.float64)


def _median(values: NDArray[np.float32], size: int, axis: int) -> NDArray[np.float32]:
    half = size // 2
    padding = [(half, half) if k == axis else (0, 0) for k in range(2)]
    padded = np.pad(values, padding, mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, size, axis=axis)
    found: NDArray[np.float32] = np.partition(views, half, axis=-1)[..., half]
    return found
