"""A track and windows of its time in, its beats out: how many in each window, how strong, how far apart.

Tracked by dynamic programming: Ellis 2007, "Beat Tracking by Dynamic Programming", the algorithm behind the
rhythm features of UT-CMVMR (docs/models.md 4.3), which runs librosa's version of it on every 4 s by itself.
Ours (our choice) tracks the whole track once and counts by windows: 4 s hold too few beats to tell a tempo.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from model.features.measures import tempo_bpm
from model.features.pulse import blurred
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.features.spectrum import FRAMES_PER_S, RATE_HZ

TIGHTNESS = (
    100.0  # price of an interval e times too long or short, in deviations of the onset curve (librosa)
)
WEAKEST = (
    0.5  # of the beats' root mean square: weaker ones at either end are before or after the music (Ellis)
)
DEAD_DB = 1e-3  # deviation of an onset curve in which nothing begins


@dataclass(frozen=True, slots=True)
class Beats:
    """Where people would tap along; b beats, none where there is no pulse."""

    times_s: NDArray[np.float64]  # (b,) ascending
    strengths_db: NDArray[np.float64]  # (b,) mean rise of the mel bands there


def find_beats(sound: Sound) -> Beats:
    """The beats of a whole track at its one tempo; they may drift by a little, as people do."""
    bpm = tempo_bpm(sound)
    rise_db = sound.onsets.rise_db
    curve = blurred(rise_db)
    spread = float(curve.std())
    if bpm == 0 or spread < DEAD_DB:
        return Beats(np.zeros(0), np.zeros(0))
    frames = _best_chain(curve / spread, 60 * FRAMES_PER_S / bpm)
    strengths = maximum_filter1d(rise_db, 3)[frames]
    strong = np.flatnonzero(strengths >= WEAKEST * np.sqrt(np.mean(strengths**2)))
    kept = slice(strong[0], strong[-1] + 1)
    return Beats((frames[kept] + 0.5) / FRAMES_PER_S, strengths[kept].astype(np.float64))


def _best_chain(curve: NDArray[np.float64], period: float) -> NDArray[np.intp]:
    """(b,) frames that collect most of the curve (f,), each about `period` frames after the one before.

    Ellis 2007, equations 1 to 5, with a chain that may begin anywhere. No interval is shorter than half a
    period, so that many frames do not depend on each other and are scored at once.
    """
    lags = np.arange(max(1, int(np.ceil(period / 2))), max(2, int(2 * period) + 1))
    price = TIGHTNESS * np.log(lags / period) ** 2
    before = int(lags[-1])
    score = np.concatenate([np.full(before, -np.inf), curve])
    came_from = np.full(len(score), -1, np.intp)
    for first in range(before, len(score), int(lags[0])):
        at = np.arange(first, min(first + int(lags[0]), len(score)))
        found = score[at[:, None] - lags] - price
        best = found.argmax(axis=1)
        gain = found[np.arange(len(at)), best]
        score[at] += np.maximum(gain, 0.0)
        came_from[at] = np.where(gain > 0, at - lags[best], -1)
    last = len(score) - min(len(curve), int(np.ceil(1.5 * period)))
    chain = [last + int(score[last:].argmax())]
    while (previous := int(came_from[chain[-1]])) >= 0:
        chain.append(previous)
    return np.array(chain[::-1], np.intp) - before


class LiteRhythm:
    """Beats of each window: the music side's input `rhythm`.

    A functional: one row for each of the windows that are asked for, whatever their length. Where there are
    fewer than two beats there is no interval, which 0 s says (UT-CMVMR has a class of its own for that).
    """

    name = "lite-rhythm"
    version = 1
    rate_hz = RATE_HZ
    features = ("beats", "strength_db", "interval_s")

    def __call__(self, sound: Sound, segments_s: NDArray[np.float64]) -> Sequence:
        """(n, 3) for windows (n, 2): how many beats, their mean strength, the mean time between them."""
        beats = find_beats(sound)
        rows = np.zeros((len(segments_s), 3), np.float32)
        for row, (start_s, end_s) in zip(rows, segments_s.tolist(), strict=True):
            inside = (beats.times_s >= start_s) & (beats.times_s < end_s)
            times_s = beats.times_s[inside]
            if len(times_s):
                row[:2] = len(times_s), beats.strengths_db[inside].mean()
            if len(times_s) > 1:
                row[2] = np.diff(times_s).mean()
        return Sequence(rows, segments_s.mean(axis=1))
