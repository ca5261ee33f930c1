"""A track and spans of its time in, the timbre of each span out: what both music extractors say of it."""

import numpy as np
from numpy.typing import NDArray

from model.features.column import Column
from model.features.partials import roughness, tonal_share
from model.features.sound import Sound
from model.features.spans import Spans
from model.features.spectrum import SILENCE, decibel

SHARE_FLOOR = 1e-5  # -50 dB: below lies what codecs and noise leave
PEETERS = "Peeters et al. 2011, The timbre toolbox"

COLUMNS = (
    Column(
        "centroid_oct",
        "mean of log2(f / 1 kHz), by power",
        "octave",
        (-5.1, 3.4),
        "MPEG-7 AudioSpectrumCentroid",
    ),
    Column(
        "spread_oct",
        "standard deviation of log2 f, by power",
        "octave",
        (0, 4.5),
        "MPEG-7 AudioSpectrumSpread",
    ),
    Column(
        "roll_off_oct", "log2(f / 1 kHz) below which 85 % of the power lies", "octave", (-5.1, 3.4), PEETERS
    ),
    Column(
        "flatness_db",
        "noisiness: geometric over arithmetic mean",
        "dB",
        (-60, 0),
        "MPEG-7 AudioSpectrumFlatness",
    ),
    Column("brightness_db", "share of power above 1.5 kHz", "dB", (-50, 0.1), "Juslin 2000; MIRtoolbox"),
    Column("bass_db", "share of power below 200 Hz", "dB", (-50, 0.1), "as brightness; cut-off own"),
    Column("tonal_root", "root of the share of power in 24 partials", "1", (0, 1), PEETERS),
    Column("roughness_root", "root of the beating of partials", "1", (0, 1), "Sethares 1993"),
)


def timbre(sound: Sound, fast: Spans, slow: Spans) -> dict[str, NDArray[np.float64]]:
    """Column -> (n,) for spans of 20 ms frames and the same spans of 0.1 s frames.

    Frames count by amplitude: what is soft colours a second less than what is loud, but it does.
    """
    spectrum, partials = sound.spectrum, sound.partials
    total = fast.mean(spectrum.power) + SILENCE
    heard, slow_heard = np.sqrt(spectrum.power), np.sqrt(partials.power)
    return {
        "centroid_oct": fast.weighted(spectrum.centroid_oct, heard),
        "spread_oct": fast.weighted(spectrum.spread_oct, heard),
        "roll_off_oct": fast.weighted(spectrum.roll_off_oct, heard),
        "flatness_db": fast.weighted(spectrum.flatness_db, heard),
        "brightness_db": decibel(fast.mean(spectrum.bright_power) / total + SHARE_FLOOR),
        "bass_db": decibel(fast.mean(spectrum.bass_power) / total + SHARE_FLOOR),
        "tonal_root": np.sqrt(slow.weighted(tonal_share(partials), slow_heard)),
        "roughness_root": np.sqrt(slow.weighted(roughness(partials), slow_heard)),
    }


def mel_shares_db(sound: Sound, fast: Spans) -> NDArray[np.float64]:
    """(n, 32) share of each mel band in a span's power, no less than -50 dB."""
    power = fast.mean(sound.spectrum.mel) + SILENCE / sound.spectrum.mel.shape[1]
    return decibel(power / (fast.mean(sound.spectrum.power) + SILENCE)[:, None] + SHARE_FLOOR)
