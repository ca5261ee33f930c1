"""Latents of ads and tracks in, `flow` and `rhythm` out: pace in the units that are measured in.

What a tracker of motion and one of beats would say of the clips, with their errors: pixels, beats,
seconds. Not among the systems' usual inputs; UT-CMVMR reads both (docs/models.md 4.3).
"""

import numpy as np
from numpy.typing import NDArray

from model.datasets.adsynth.observe import FLOW, RHYTHM, Clips
from model.datasets.synth.world import TEMPO_BPM_AT_ZERO

WINDOW_S = 4  # of the beat tracker
FLOW_AT_ZERO_PX = 3.0
SLOWEST_BPM, FASTEST_BPM = 30.0, 300.0  # that it can follow
OCTAVE_ERRORS = 0.1  # of clips it hears in half or in double time
INTERVAL_ERROR = 0.05  # octaves, of a window


def flow(clips: Clips) -> NDArray[np.float32]:
    """`flow`: (rows, 1) px, the mean magnitude of motion in each second: livelier and faster cut, more."""
    ads, rng = clips.ads, clips.rng(FLOW)
    of_clip = 0.5 * ads.arousal + 0.35 * ads.log2_cut_rate + 0.5 * rng.standard_normal(len(ads))
    rows = clips.shown.spread(of_clip[:, None])
    rows = rows + 0.3 * rng.standard_normal(rows.shape)
    return (FLOW_AT_ZERO_PX * np.exp(rows)).astype(np.float32)


def rhythm(clips: Clips) -> NDArray[np.float32]:
    """`rhythm`: (rows, 3) beats in the 4 s about each second, their onset strength, seconds between them."""
    music, rng = clips.heard, clips.rng(RHYTHM)
    n, clock = len(music), clips.played
    wrong = np.where(rng.random(n) < OCTAVE_ERRORS, rng.choice([-1.0, 1.0], n), 0.0)
    bpm = np.clip(TEMPO_BPM_AT_ZERO * 2 ** (music.log2_tempo + wrong), SLOWEST_BPM, FASTEST_BPM)
    interval_s = clock.spread(60 / bpm[:, None])
    interval_s = interval_s * 2 ** (INTERVAL_ERROR * rng.standard_normal(interval_s.shape))
    beats = np.floor(WINDOW_S / interval_s + rng.random(interval_s.shape))  # the first may come at any time
    strength = clock.spread((0.4 * music.arousal + 0.3 * rng.standard_normal(n))[:, None])
    strength = np.exp(strength + 0.2 * rng.standard_normal(strength.shape))
    return np.column_stack([beats, strength, interval_s]).astype(np.float32)
