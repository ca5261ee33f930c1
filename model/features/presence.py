"""A sound in, when there is music in it out, alone or under a voice: what finished ads are chosen by.

Continuous frequency activation: Seyerlehner, Pohle, Schedl and Widmer 2007, "Automatic Music Detection in
Television Productions". Notes are lines of constant frequency, voices and noises are not; so what stands out
from its spectrum at the same frequency for much of a few seconds is music, however loud somebody talks over
it. Theirs: spectra of 93 ms, what lies above the mean of 21 bins either way, the share of a block's frames in
which each bin does, and the sum of the highest peaks of that. Ours (our choice): levels in dB, blocks of 3 s
for 2.3 s, and the 40 highest peaks for 5, which finds music 12 dB below a voice (docs/log.md).

Not told apart from music: hum and sirens, which are lines too. Not found: drums alone.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from model.features.activity import Activity, logistic
from model.features.sound import Sound
from model.features.spans import Spans
from model.features.spectrum import FRAMES_PER_S, HOP, SILENCE, decibel, power_blocks

WINDOW = 2048  # samples, 93 ms: bins of 10.8 Hz
LOW_BIN, END_BIN = 4, 512  # 43 Hz to 5.5 kHz: fundamentals and overtones of notes
AROUND_BINS = 21
ABOVE_DB = 10.0  # over the mean of the bins around
BLOCK_S, HOP_S = 3.0, 0.5
FOOT_BINS = 5  # the foot of a peak is the lowest within so many either way
PEAKS = 40
REACH_ROWS = 2  # 1 s: how far beyond its ends music shows in the blocks around
LEAST, SLOPE = 3.7, 2.0  # sum of peaks at which music is as likely as not, and how fast it gets likelier
BLOCK_FRAMES = 512


def music_presence(sound: Sound) -> Activity:
    """Music every half second of a whole sound, from the 5 s around."""
    standing = _standing_out(sound.samples)
    rows = max(1, int(np.floor(sound.duration_s / HOP_S + 0.5)))
    centres_s = (np.arange(rows, dtype=np.float64) + 0.5) * HOP_S
    blocks = Spans.between(centres_s - BLOCK_S / 2, centres_s + BLOCK_S / 2, FRAMES_PER_S, len(standing))
    lines = minimum_filter1d(_line_strength(blocks.mean(standing)), 2 * REACH_ROWS + 1, mode="nearest")
    return Activity(logistic(SLOPE * (lines - LEAST)), HOP_S)


def _standing_out(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """(f, 508) 1 in the frames and bins in which the spectrum rises above its surroundings, else 0."""
    finite = np.nan_to_num(samples.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    found = []
    for power in power_blocks(finite, WINDOW, HOP, BLOCK_FRAMES):
        level_db = decibel(power[:, LOW_BIN:END_BIN] + SILENCE / END_BIN)
        around_db = uniform_filter1d(level_db, 2 * AROUND_BINS + 1, axis=1, mode="nearest")
        found.append((level_db > around_db + ABOVE_DB).astype(np.float32))
    return np.concatenate(found)


def _line_strength(activation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) sum of the highest peaks over the bins of (n, bins) shares of time, each over its feet."""
    size = FOOT_BINS + 1
    left = minimum_filter1d(activation, size, axis=1, mode="nearest", origin=FOOT_BINS // 2)
    right = minimum_filter1d(activation, size, axis=1, mode="nearest", origin=-((FOOT_BINS + 1) // 2))
    beside = np.pad(activation, ((0, 0), (1, 1)), mode="edge")
    peak = (activation > beside[:, :-2]) & (activation >= beside[:, 2:])  # of a plateau its first bin alone
    heights = np.where(peak, activation - np.maximum(left, right), 0.0)
    strength: NDArray[np.float64] = np.sort(heights, axis=1)[:, -PEAKS:].sum(axis=1)
    return strength
