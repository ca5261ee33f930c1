"""A decoded track in, catalogue facts that nobody wrote down out: tempo, key, energy."""

import numpy as np
from numpy.typing import NDArray

from model.features.onsets import percussive_power
from model.features.pulse import autocorrelation, blurred, pulse_of
from model.features.sound import Sound
from model.features.spans import Spans
from model.features.spectrum import FRAMES_PER_S, SILENCE
from model.features.tonality import keys_of, shares

WINDOW_S, HOP_S = 16.0, 8.0
LEAST_CLARITY = 0.05  # of the pulse, and of the key: below, there is none
BEATS = (1, 2, 4, 8)  # each doubles the precision of the one before
SEARCH_FRAMES = 2


def _refined(period: float, curve: NDArray[np.float64]) -> float:
    """Period in frames, from an autocorrelation (lags,) at ever more beats."""
    for beats in BEATS:
        first = round(beats * period) - SEARCH_FRAMES
        around = curve[max(first, 1) - 1 : first + 2 * SEARCH_FRAMES + 2]
        if len(around) < 2 * SEARCH_FRAMES + 3 or around.max() <= 0:
            break
        k = 1 + int(around[1:-1].argmax())
        left, centre, right = around[k - 1 : k + 2]
        bend = left - 2 * centre + right
        shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
        period = (max(first, 1) - 1 + k + float(np.clip(shift, -1, 1))) / beats
    return period


def tempo_bpm(sound: Sound) -> float:
    """Beats per minute of a track, 40 to 240, as people would most likely tap; 0.0 without a pulse.

    The octave is a convention (Moelants 2002), not a measurement: half or twice of it may be tapped too.
    """
    curve = blurred(sound.onsets.rise_db)
    starts = np.arange(0.0, max(sound.duration_s - WINDOW_S, 0.0) + HOP_S, HOP_S)
    windows = Spans.between(starts, starts + WINDOW_S, FRAMES_PER_S, len(curve))
    curves, inside = windows.gather(curve)
    pulse = pulse_of(curves, inside).mean()
    if pulse.clarity[0] < LEAST_CLARITY:
        return 0.0
    lags = int(WINDOW_S * FRAMES_PER_S * 2 / 3)
    period = _refined(
        60 * FRAMES_PER_S / float(pulse.bpm[0]), autocorrelation(curves, inside, lags).mean(axis=0)
    )
    return 60 * FRAMES_PER_S / period


def key_of(sound: Sound) -> tuple[str, float]:
    """Name of the key such as `F# minor` and how clear it is, 0..1; ("", 0.0) where there is none."""
    keys = keys_of(shares(sound.chroma.mean(axis=0, keepdims=True)))
    clarity = float(keys.clarity[0])
    return (keys.name(0), clarity) if clarity >= LEAST_CLARITY else ("", 0.0)


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def energy(sound: Sound) -> float:
    """How intense a track is at any playback volume, 0 (a drone) to 1 (dense, bright and struck).

    Mean of four ramps over correlates of arousal that mastering level does not move (Gomez and
    Danuser 2007; Schubert 2004): onsets per second 0..8, brightness (share of power above 1.5 kHz)
    -25..-5 dB, mean rise of the spectrum 0..3 dB, share of struck power 0..0.6. A convention of
    ours to sort and filter by, not a scale from the literature. Silence has 0.
    """
    spectrum, onsets = sound.spectrum, sound.onsets
    power = float(spectrum.power.sum(dtype=np.float64))
    if power <= SILENCE * len(spectrum.power):
        return 0.0
    bright_db = 10 * np.log10(float(spectrum.bright_power.sum(dtype=np.float64)) / power + 1e-6)
    ramps = (
        _ramp(float(onsets.picked.mean()) * FRAMES_PER_S, 0.0, 8.0),
        _ramp(bright_db, -25.0, -5.0),
        _ramp(float(onsets.rise_db.mean()), 0.0, 3.0),
        _ramp(float(percussive_power(spectrum).sum()) / power, 0.0, 0.6),
    )
    return float(np.mean(ramps))
