from functools import cache

import numpy as np
import pytest

from model.datasets.adsynth.observe import Clips, Senses, hear_audio, hear_emotion, see
from model.datasets.adsynth.pairs import draw_pairs
from model.datasets.adsynth.sequences import Clock, draw_counts
from model.datasets.adsynth.worlds import Dims, knobs_of

TINY = Dims(frames=72, audio=64, emotion=48, text=8)
SEED = 5


@cache
def drawn_pairs(world, n):
    return draw_pairs(knobs_of(world), n, SEED, lambda done: None)


SAME_PAIRS = ("noE", "noT", "clean", "kappa1")  # as the default; test_pairs.py sees to it


@cache
def pooled_features(world, n):
    """(n, d) by name, every clip the mean of its rows."""
    pairs, knobs = drawn_pairs("default" if world in SAME_PAIRS else world, n), knobs_of(world)
    shown, played = (Clock(draw_counts(n, np.random.default_rng([SEED, side]))) for side in (0, 1))
    clips = Clips(knobs, pairs.ads, pairs.tracks.take(pairs.chosen), shown, played, (SEED, 7))
    senses = Senses.draw(knobs, TINY, np.random.default_rng([SEED, 8]))
    return {
        "frames": shown.mean(see(clips, senses)),
        "audio": played.mean(hear_audio(clips, senses)),
        "emotion": played.mean(hear_emotion(clips, senses)),
    }


@pytest.fixture(scope="session")
def pairs_of():
    """A world's name and a number in, its pairs out; drawn once a session."""
    return drawn_pairs


@pytest.fixture(scope="session")
def features_of():
    """A world's name and a number in, its tiny features out."""
    return pooled_features


@pytest.fixture(scope="session")
def tiny():
    return TINY
