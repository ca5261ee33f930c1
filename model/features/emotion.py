"""A decoded track and its segments in, one row a segment out: what in the sound moves listeners.

The acoustic correlates of valence and arousal, after Gabrielsson and Lindstrom 2010, Eerola, Friberg
and Bresin 2013, and Panda, Malheiro and Paiva 2020. A row depends on its segment and on at most 3 s
either side of it, through what an onset is compared with. The sound is mono: width and panning are
not available.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from model.features import harmony, rhythm, timbre
from model.features.column import Column, names, stack
from model.features.onsets import articulation_db, change_db
from model.features.partials import FRAMES_PER_S as SLOW_FRAMES_PER_S
from model.features.partials import lowest, register, roughness
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.features.spans import Spans, slope
from model.features.spectrum import FRAMES_PER_S, MEL_BANDS, RATE_HZ, SILENCE, decibel, mel_centres_hz
from model.features.tonality import harmonic_change, shares

PHRASE_FRAMES = FRAMES_PER_S + 1  # 1 s, over which loudness swells; what is faster is articulation
DYNAMICS_FLOOR = 1e-4  # of the segment's mean power: pauses count as -40 dB

DYNAMICS = (
    Column(
        "loudness_lufs", "level; arousal rises with it", "LUFS", (-70, 25), "ITU-R BS.1770-5; Schubert 2004"
    ),
    Column("loudness_range_db", "loud over soft seconds (95 to 10 %)", "dB", (0, 60), "EBU Tech 3342"),
    Column(
        "loudness_slope_db", "crescendo: change of level in 10 s", "dB / 10 s", (-40, 40), "Olsen et al. 2010"
    ),
    Column("flutter_db", "deviation of level between 20 ms", "dB", (0, 30), "Tzanetakis and Cook 2002"),
    Column(
        "low_energy_share",
        "share of 20 ms below the mean amplitude",
        "1",
        (0, 1),
        "Tzanetakis and Cook 2002",
    ),
    Column("crest_db", "greatest sample over root mean square", "dB", (-1, 50), "own; crest factor"),
)
COLOUR = (
    Column("centroid_std_oct", "deviation of the centroid", "octave", (0, 4), "Eerola et al. 2013"),
    Column("tilt_db_oct", "fall of the spectrum per octave", "dB / octave", (-30, 15), "Panda et al. 2020"),
    Column("air_db", "share of power above 5 kHz", "dB", (-50, 0.1), "Juslin 2000"),
    Column("roughness_std", "deviation of roughness between 0.1 s", "1", (0, 1), "Panda et al. 2020"),
    Column("flux_root", "root of the mean change of the spectrum", "dB^0.5", (0, 6), "Eerola et al. 2013"),
)
PITCH = (
    Column("harmonic_change_std", "deviation of the tonal centroid's way", "1", (0, 2), "Harte et al. 2006"),
    Column("chroma_entropy", "entropy of pitch classes over log 12", "1", (0, 1), "Panda et al. 2020"),
    Column("pitch_spread_oct", "deviation of the pitch of partials", "octave", (0, 4), "Friberg et al. 2014"),
    Column(
        "lowest_oct",
        "lowest strong partial over middle C",
        "octave",
        (-3, 5),
        "Gabrielsson and Lindstrom 2010",
    ),
)
GESTURE = (
    Column("rise_std_db", "deviation of the rise of the spectrum", "dB", (0, 20), "Eerola et al. 2013"),
    Column("attack_db", "steepest rise of level in 20 ms at onsets", "dB", (0, 60), "Lartillot et al. 2008"),
    Column(
        "articulation_db",
        "level below the maximum within 0.3 s: staccato",
        "dB",
        (0, 40),
        "Friberg et al. 2014",
    ),
)
COLUMNS = (
    *DYNAMICS,
    *timbre.COLUMNS,
    *COLOUR,
    *harmony.COLUMNS,
    *PITCH,
    *rhythm.COLUMNS,
    *GESTURE,
)


def _dynamics(sound: Sound, fast: Spans) -> dict[str, NDArray[np.float64]]:
    spectrum = sound.spectrum
    mean = fast.mean(spectrum.weighted_power)
    floor = DYNAMICS_FLOOR * mean + 1e-12  # relative to the segment: playback volume must not matter
    phrase = correlate1d(
        spectrum.weighted_power.astype(np.float64), np.full(PHRASE_FRAMES, 1 / PHRASE_FRAMES)
    )
    swell, inside = fast.gather(phrase)
    amplitude, _ = fast.gather(np.sqrt(spectrum.power))
    soft = inside & (amplitude < fast.mean(np.sqrt(spectrum.power))[:, None])
    crest = (fast.max(spectrum.peak) ** 2 + SILENCE) / (fast.mean(spectrum.power) + SILENCE)
    return {
        "loudness_lufs": decibel(mean + 1e-8) - 0.691,
        "loudness_range_db": decibel(
            (fast.quantile(phrase, 0.95) + floor) / (fast.quantile(phrase, 0.1) + floor)
        ),
        "loudness_slope_db": slope(decibel(swell + floor[:, None]), inside) * 10 * FRAMES_PER_S,
        "flutter_db": fast.std(sound.onsets.loudness_db),
        "low_energy_share": soft.sum(axis=1) / fast.lengths,
        "crest_db": decibel(crest),
    }


def _colour(sound: Sound, fast: Spans, slow: Spans) -> dict[str, NDArray[np.float64]]:
    spectrum = sound.spectrum
    mel = timbre.mel_shares_db(sound, fast)
    centres = mel_centres_hz()
    density = mel - decibel(centres + 700)  # mel bands widen in proportion to f + 700 Hz
    octaves = np.log2(centres / 1000)
    air = (10 ** (mel[:, centres > 5000] / 10)).sum(axis=1)
    change = np.abs(change_db(spectrum, 1)).mean(axis=1)
    heard = np.sqrt(spectrum.power)
    centroid = fast.weighted(spectrum.centroid_oct, heard)
    square = fast.weighted(spectrum.centroid_oct.astype(np.float64) ** 2, heard)
    return {
        "centroid_std_oct": np.sqrt(np.maximum(square - centroid**2, 0.0)),
        "tilt_db_oct": (density - density.mean(axis=1, keepdims=True))
        @ (octaves - octaves.mean())
        / (MEL_BANDS * octaves.var()),
        "air_db": decibel(air),
        "roughness_std": slow.std(np.sqrt(roughness(sound.partials))),
        "flux_root": np.sqrt(fast.mean(change)),
    }


def _pitch(sound: Sound, slow: Spans) -> dict[str, NDArray[np.float64]]:
    chroma = shares(slow.mean(sound.chroma))
    heard = np.sqrt(sound.partials.power)
    return {
        "harmonic_change_std": slow.std(harmonic_change(sound.chroma)),
        "chroma_entropy": -(chroma * np.log(chroma)).sum(axis=1) / np.log(12),
        "pitch_spread_oct": slow.weighted(register(sound.partials)[:, 1], heard),
        "lowest_oct": slow.weighted(lowest(sound.partials), heard),
    }


def _gesture(sound: Sound, fast: Spans) -> dict[str, NDArray[np.float64]]:
    onsets = sound.onsets
    return {
        "rise_std_db": fast.std(onsets.rise_db),
        "attack_db": fast.weighted(onsets.attack_db, onsets.picked.astype(np.float64)),
        "articulation_db": fast.mean(articulation_db(onsets)),
    }


class LiteMood:
    """Acoustic correlates of valence and arousal, one row a segment."""

    name = "lite-mood"
    version = 1
    rate_hz = RATE_HZ

    @property
    def features(self) -> tuple[str, ...]:
        """(48,) the name of every column."""
        return names(COLUMNS)

    def __call__(self, sound: Sound, segments_s: NDArray[np.float64]) -> Sequence:
        """One row for each segment (n, 2) of start and end; the times are the segments' middles."""
        starts, ends = np.asarray(segments_s, np.float64).reshape(-1, 2).T
        fast = Spans.between(starts, ends, FRAMES_PER_S, len(sound.spectrum.power))
        slow = Spans.between(starts, ends, SLOW_FRAMES_PER_S, len(sound.chroma))
        found = (
            _dynamics(sound, fast) | _colour(sound, fast, slow) | _pitch(sound, slow) | _gesture(sound, fast)
        )
        found |= timbre.timbre(sound, fast, slow) | harmony.harmony(sound, slow, slow)
        found |= rhythm.rhythm(sound, fast, fast, fast)
        return Sequence(stack(COLUMNS, found), (starts + ends) / 2)
