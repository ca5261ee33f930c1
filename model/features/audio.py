"""A decoded track in, one row a second out: what it sounds like, how loud, in which key and pulse.

Row i describes the second [i, i + 1) and looks at most 7 s beyond its centre: 4 s for key, tempo
and loudness in context, 2.6 s more for what an onset is compared with, and half a window. Nothing
further away can change it, nor how many rows are computed together.
"""

import numpy as np
from numpy.typing import NDArray

from model.features import harmony, rhythm, timbre
from model.features.column import Column, names, stack
from model.features.onsets import floor
from model.features.partials import FRAMES_PER_S as SLOW_FRAMES_PER_S
from model.features.pulse import REGISTERS, blurred, pulse_of
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.features.spans import Spans
from model.features.spectrum import FRAMES_PER_S, MEL_BANDS, RATE_HZ, SILENCE, decibel
from model.features.tonality import PITCH_CLASSES, shares

CONTEXT_S = 4.0  # either way of a row's centre: two bars at 120 bpm
ONSET_CONTEXT_S = 2.0
FADES = 8  # groups of mel bands whose modulation is told apart

COLUMNS = (
    Column("loudness_lufs", "momentary loudness", "LUFS", (-70, 25), "ITU-R BS.1770-5, annex 1"),
    Column("relief_db", "level over the mean of the 8 s around", "dB", (-40, 10), "own"),
    Column("flutter_db", "deviation of level in the second", "dB", (0, 30), "Tzanetakis and Cook 2002"),
    Column("crest_db", "greatest sample over root mean square", "dB", (-1, 50), "own; crest factor"),
    *(
        Column(
            f"mel_{b:02d}_db", f"share of power in mel band {b} of 32", "dB", (-50, 0.1), "O'Shaughnessy 1987"
        )
        for b in range(MEL_BANDS)
    ),
    *(
        Column(
            f"fade_{g}_db", f"deviation of level in mel bands {4 * g} to {4 * g + 3}", "dB", (0, 30), "own"
        )
        for g in range(FADES)
    ),
    *timbre.COLUMNS,
    *(
        Column(
            f"chroma_{p}_root",
            f"root of the share of pitch class {p}",
            "1",
            (0, 1),
            "Gomez 2006",
        )
        for p in PITCH_CLASSES
    ),
    *harmony.COLUMNS,
    *rhythm.COLUMNS,
    Column("rise_max_root", "root of the greatest rise of the spectrum", "dB^0.5", (0, 7), rhythm.SUPERFLUX),
    *(
        Column(
            f"pulse_{r}",
            f"autocorrelation in half octave {r} from 43 bpm",
            "1",
            (0, 1),
            "Lartillot et al. 2008",
        )
        for r in range(REGISTERS)
    ),
)


def _loudness(sound: Sound, rows: Spans, around: Spans) -> dict[str, NDArray[np.float64]]:
    spectrum = sound.spectrum
    here, context = rows.mean(spectrum.weighted_power), around.mean(spectrum.weighted_power)
    crest = (rows.max(spectrum.peak) ** 2 + SILENCE) / (rows.mean(spectrum.power) + SILENCE)
    return {
        "loudness_lufs": decibel(here + 1e-8) - 0.691,
        "relief_db": decibel((here + 1e-4 * context + SILENCE) / (context + SILENCE)),
        "flutter_db": rows.std(sound.onsets.loudness_db),
        "crest_db": decibel(crest),
    }


def _shape(sound: Sound, rows: Spans, slow_rows: Spans, around: Spans) -> dict[str, NDArray[np.float64]]:
    """What only rows have: mel bands and their fading, chroma, the pulse of each tempo."""
    mel = timbre.mel_shares_db(sound, rows)
    level = decibel(sound.spectrum.mel + floor(sound.spectrum))
    fades = rows.std(level.reshape(-1, FADES, MEL_BANDS // FADES).mean(axis=2))
    chroma = np.sqrt(shares(slow_rows.mean(sound.chroma)))
    registers = pulse_of(*around.gather(blurred(sound.onsets.rise_db))).registers
    found = {f"mel_{b:02d}_db": mel[:, b] for b in range(MEL_BANDS)}
    found |= {f"fade_{g}_db": fades[:, g] for g in range(FADES)}
    found |= {f"chroma_{p}_root": chroma[:, k] for k, p in enumerate(PITCH_CLASSES)}
    found |= {f"pulse_{r}": registers[:, r] for r in range(REGISTERS)}
    return found | {"rise_max_root": np.sqrt(rows.max(sound.onsets.rise_db))}


class LiteAudio:
    """Log-mel shape, loudness, chroma, onset and tempo statistics."""

    name = "lite-audio"
    version = 1
    rate_hz = RATE_HZ

    @property
    def features(self) -> tuple[str, ...]:
        """(92,) the name of every column."""
        return names(COLUMNS)

    def __call__(self, sound: Sound, segments_s: NDArray[np.float64]) -> Sequence:
        """One row for each second whose centre lies in the track, at least one; ignores `segments_s`."""
        rows_wanted = max(1, int(np.floor(sound.duration_s + 0.5)))
        centres = np.arange(rows_wanted, dtype=np.float64) + 0.5

        def fast(half_s: float) -> Spans:
            frames = len(sound.spectrum.power)
            return Spans.between(centres - half_s, centres + half_s, FRAMES_PER_S, frames)

        def slow(half_s: float) -> Spans:
            frames = len(sound.chroma)
            return Spans.between(centres - half_s, centres + half_s, SLOW_FRAMES_PER_S, frames)

        rows, slow_rows, around = fast(0.5), slow(0.5), fast(CONTEXT_S)
        found = _loudness(sound, rows, around) | _shape(sound, rows, slow_rows, around)
        found |= timbre.timbre(sound, rows, slow_rows)
        found |= harmony.harmony(sound, slow_rows, slow(CONTEXT_S))
        found |= rhythm.rhythm(sound, rows, fast(ONSET_CONTEXT_S), around)
        return Sequence(stack(COLUMNS, found), centres)
