"""A decoded track and its segments in, openSMILE's 988 emobase functionals of each segment out.

openSMILE is free for research and personal use; commercial use has to be paid for. 16 kHz is AST's rate, so
one decode serves both, and suits the set: its mel bands end at 8 kHz and its pitch at 500 Hz, and at a higher
rate the linear prediction behind its line spectra would model a codec's low-pass. Levels are left alone, as
loudness is one of the descriptors.
"""

import numpy as np
from numpy.typing import NDArray

from model.errors import Mismatch, NotInstalled
from model.features.sequence import Sequence
from model.features.sound import Sound

RATE_HZ = 16_000
SHORTEST = 640  # samples: one 40 ms frame of its pitch; of less it has nothing to say
LOUDEST = np.float32(1 - 2**-15)  # it rounds to 16 bits, and there full scale would wrap around
TERMS = "free for research and personal use, commercial use needs audEERING's licence"

DESCRIPTORS = (
    "pcm_intensity_sma",
    "pcm_loudness_sma",
    *(f"mfcc_sma[{i}]" for i in range(1, 13)),
    *(f"lspFreq_sma[{i}]" for i in range(8)),
    "pcm_zcr_sma",
    "voiceProb_sma",
    "F0_sma",
    "F0env_sma",
)
FUNCTIONALS = (
    *("max", "min", "range", "maxPos", "minPos", "amean"),
    *("linregc1", "linregc2", "linregerrA", "linregerrQ"),
    *("stddev", "skewness", "kurtosis"),
    *("quartile1", "quartile2", "quartile3", "iqr1-2", "iqr2-3", "iqr1-3"),
)
NAMES = tuple(
    f"{descriptor.replace('_sma', f'_sma{change}')}_{functional}"
    for change in ("", "_de")
    for descriptor in DESCRIPTORS
    for functional in FUNCTIONALS
)


class Emobase:
    """The emobase set of openSMILE (Eyben et al. 2010): 26 descriptors and their changes, 19 functionals."""

    name = "opensmile-emobase"
    version = 1
    rate_hz = RATE_HZ
    licence_note = f"emotion features are openSMILE's: {TERMS}"

    @property
    def features(self) -> tuple[str, ...]:
        """(988,) the name of every column, as openSMILE calls it."""
        return NAMES

    def __call__(self, sound: Sound, segments_s: NDArray[np.float64]) -> Sequence:
        """One row for each segment (n, 2) of start and end; the times are the segments' middles.

        A segment of less than 40 ms gives NaN, which towers take for the training mean.

        Raises:
            NotInstalled: without the package.
            Mismatch: unless the sound is mono at 16 kHz, or if openSMILE's columns are others.
        """
        try:
            from opensmile import FeatureLevel, FeatureSet, Smile
        except ModuleNotFoundError as error:
            raise NotInstalled(
                f"emobase features need openSMILE: `pip install 'yuyin[emobase]'`; it is {TERMS}"
            ) from error
        samples = np.clip(sound.at(self.rate_hz), -LOUDEST, LOUDEST)
        segments_s = np.asarray(segments_s, np.float64).reshape(-1, 2)
        smile = Smile(FeatureSet.emobase, FeatureLevel.Functionals)  # cheap, and threads may not share one
        if tuple(smile.feature_names) != NAMES:
            raise Mismatch("openSMILE's emobase has other columns than 2.6's: install opensmile>=2.6,<3")
        rows = np.full((len(segments_s), len(NAMES)), np.nan, np.float32)
        for row, (start, end) in zip(rows, np.rint(segments_s * RATE_HZ).astype(np.intp), strict=True):
            segment = samples[start:end]
            if len(segment) >= SHORTEST:
                row[:] = smile(segment, RATE_HZ)[0, :, 0]
        return Sequence(rows, segments_s.mean(axis=1))
