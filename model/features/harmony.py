"""A track and spans of its time in, the harmony of each span out: what both music extractors say of it."""

import numpy as np
from numpy.typing import NDArray

from model.features.column import Column
from model.features.partials import register
from model.features.sound import Sound
from model.features.spans import Spans
from model.features.tonality import harmonic_change, intervals, keys_of, shares

INTERVALS = ("chromatic", "tritone", "augmented", "diminished", "diatonic", "whole_tone")

COLUMNS = (
    *(
        Column(
            f"{word}",
            f"magnitude of Fourier coefficient {k} of chroma",
            "1",
            (0, 1),
            "Quinn 2006; Amiot 2016",
        )
        for k, word in enumerate(INTERVALS, start=1)
    ),
    Column(
        "majorness", "best major minus best minor key", "1", (-1, 1), "Lartillot and Toiviainen 2007, mirmode"
    ),
    Column("key_clarity", "correlation with the best key", "1", (0, 1), "Krumhansl 1990"),
    Column("harmonic_change", "way of the tonal centroid in 0.2 s", "1", (0, 2), "Harte et al. 2006"),
    Column("register_oct", "mean pitch of partials over middle C", "octave", (-3, 5), "Friberg et al. 2014"),
)


def harmony(sound: Sound, slow: Spans, slow_key: Spans) -> dict[str, NDArray[np.float64]]:
    """Column -> (n,) for spans of 0.1 s frames; key and mode are judged over `slow_key`."""
    coefficients = intervals(shares(slow.mean(sound.chroma)))
    keys = keys_of(shares(slow_key.mean(sound.chroma)))
    return {word: coefficients[:, k] for k, word in enumerate(INTERVALS)} | {
        "majorness": keys.majorness,
        "key_clarity": keys.clarity,
        "harmonic_change": slow.mean(harmonic_change(sound.chroma)),
        "register_oct": slow.weighted(register(sound.partials)[:, 0], np.sqrt(sound.partials.power)),
    }
