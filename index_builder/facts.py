"""A decoded track in, the facts that its catalogue row may lack out, as a row for the feature store."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features.measures import energy, key_of, tempo_bpm
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.features.tonality import PITCH_CLASSES

EXTRACTOR = "track-facts@1"  # a changed measurement means a raised version
KEYS = tuple(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in PITCH_CLASSES)
GATING_BLOCK_S = 0.4  # ITU-R BS.1770-5: nothing shorter has a loudness
SILENCE_LUFS = -70.0  # its absolute gate


@dataclass(frozen=True, slots=True)
class MeasuredFacts:
    """What we found in the sound; None where there is no such thing."""

    duration_s: float
    bpm: float | None
    key: str | None
    loudness_lufs: float | None
    energy: float


def measure(sound: Sound, stereo: NDArray[np.float32], rate_hz: int) -> Sequence:
    """Facts of a track as one row (1, 4): bpm, key as a number, loudness, energy; NaN where there is none.

    The row's time is the track's middle, so that its length is kept in double precision.

    Args:
        sound: the track as the features want it.
        stereo: (n, 2) the same track as it is heard.
        rate_hz: of `stereo`.
    """
    bpm = tempo_bpm(sound)
    key, _ = key_of(sound)
    row = [
        bpm if bpm > 0 else np.nan,
        KEYS.index(key) if key else np.nan,
        _loudness_lufs(stereo, rate_hz),
        energy(sound),
    ]
    return Sequence(np.array([row], np.float32), np.array([sound.duration_s / 2]))


def read(row: Sequence) -> MeasuredFacts:
    """The facts in a row that `measure` made."""
    bpm, key, loudness_lufs, energy_level = (float(value) for value in row.values[0])
    return MeasuredFacts(
        duration_s=float(row.times_s[0]) * 2,
        bpm=_known(bpm, 2),
        key=None if np.isnan(key) else KEYS[int(key)],
        loudness_lufs=_known(loudness_lufs, 2),
        energy=round(energy_level, 3),
    )


def _known(value: float, decimals: int) -> float | None:
    return None if np.isnan(value) else round(value, decimals)


def _loudness_lufs(stereo: NDArray[np.float32], rate_hz: int) -> float:
    """Integrated loudness by ITU-R BS.1770-5; NaN for silence and for less than one gating block."""
    if len(stereo) <= GATING_BLOCK_S * rate_hz:
        return np.nan
    import pyloudnorm  # 2 s of imports (scipy.signal) that a build from stored features does not need

    loudness_lufs = float(pyloudnorm.Meter(rate_hz).integrated_loudness(stereo.astype(np.float64)))
    return loudness_lufs if loudness_lufs > SILENCE_LUFS else np.nan
