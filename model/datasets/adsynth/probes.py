"""A dataset's features and its latents in, how much of each latent each feature tells out: the probe card.

docs/models.md 7.2 and 7.5 (a): the worlds' knobs are set by this card and by `oracle` alone. R^2 is on the
test split; a probe is fitted on training pairs, and its penalty chosen on others of them.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.datasets.adsynth.pairs import Pairs
from model.datasets.synth.world import AdLatents, TrackLatents
from model.datasets.table import Ragged

FITTED = 16_000  # training pairs that a probe sees at most
HELD_SHARE = 0.2  # of the training pairs, that it does not
PASSES = 5  # of the network over FITTED pairs; over fewer pairs more, the same number of steps
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # of a ridge, for inputs of variance 1

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parts:
    """The pairs that probes see, as rows of the dataset: fitted ones, then held-out ones, then the test."""

    rows: NDArray[np.int64]
    fitted: slice  # of `rows`: training pairs
    held: slice  # training pairs that no probe is fitted on
    test: slice


def parts_of(pairs: Pairs) -> Parts:
    """Which pairs a probe is fitted on, adjusted on, and judged by."""
    train = pairs.rows("train")  # in random order, as the ads are
    fitted = min(FITTED, round((1 - HELD_SHARE) * len(train)))
    seen = min(len(train), fitted + round(HELD_SHARE * FITTED))
    rows = np.concatenate([train[:seen], pairs.rows("test")])
    return Parts(rows, slice(0, fitted), slice(fitted, seen), slice(seen, None))


def picture_latents(ads: AdLatents) -> dict[str, Array]:
    """What a picture may tell, by name: (n, k) each."""
    numbers = {"valence": ads.valence, "arousal": ads.arousal, "cut rate": ads.log2_cut_rate}
    return {"style": ads.style} | {name: column[:, None] for name, column in numbers.items()}


def music_latents(music: TrackLatents) -> dict[str, Array]:
    """What music may tell, by name: (n, k) each."""
    numbers = {"valence": music.valence, "arousal": music.arousal, "tempo": music.log2_tempo}
    return {"genre": music.genre} | {name: column[:, None] for name, column in numbers.items()}


def pooled(feature: Ragged, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(len(rows), d) the mean over time of the feature of some pairs."""
    starts, counts = feature.offsets[rows], np.diff(feature.offsets)[rows]
    ends = np.cumsum(counts)
    index = np.repeat(starts - ends + counts, counts) + np.arange(ends[-1])
    values = np.asarray(feature.values[index], np.float32)
    return np.asarray(np.add.reduceat(values, ends - counts, axis=0) / counts[:, None], np.float32)


def level(values: NDArray[np.float32], parts: Parts) -> NDArray[np.float32]:
    """(rows, d) -> (rows, d) of mean 0 and variance 1 over the fitted pairs; a constant column stays 0."""
    fitted = values[parts.fitted]
    deviation = fitted.std(axis=0)
    scaled: NDArray[np.float32] = (values - fitted.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    return scaled


def ridge(x: NDArray[np.float32], y: Array, parts: Parts) -> Array:
    """Predict latents (rows, k) linearly from levelled features (rows, d)."""
    fitted, mean = x[parts.fitted], y[parts.fitted].mean(axis=0)
    gram = (fitted.T @ fitted).astype(np.float64) / len(fitted)
    shared = (fitted.T @ (y[parts.fitted] - mean).astype(np.float32)).astype(np.float64) / len(fitted)
    best, least = y, np.inf
    for penalty in PENALTIES:
        found = x @ np.linalg.solve(gram + penalty * np.eye(len(gram)), shared) + mean
        loss = float(np.mean((found[parts.held] - y[parts.held]) ** 2))
        if loss < least:
            best, least = found, loss
    return best


def network(x: NDArray[np.float32], y: Array, parts: Parts) -> Array:
    """The same by a network of one hidden layer: is there more to read than a plane can?"""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    passes = round(PASSES * FITTED / len(x[parts.fitted]))
    model = MLPRegressor(
        hidden_layer_sizes=(128,), alpha=10.0, learning_rate_init=0.003, max_iter=passes, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the passes are a budget
        model.fit(x[parts.fitted], y[parts.fitted])
    return np.asarray(model.predict(x), np.float64).reshape(y.shape)


def explained(found: Array, y: Array) -> float:
    """R^2 of (n, k) predictions, the mean over the k numbers."""
    return float(np.mean(1 - ((found - y) ** 2).mean(axis=0) / y.var(axis=0)))


@dataclass(frozen=True, slots=True)
class Reading:
    """What the probes made of one feature, or of two side by side."""

    linear: dict[str, Array]  # by latent, (rows, k) as the ridge tells it
    card: dict[str, dict[str, float]]  # by probe and latent, R^2 on the test pairs


def read(features: Sequence[Ragged], latents: Mapping[str, Array], parts: Parts) -> Reading:
    """Probe features for latents.

    Args:
        features: of all pairs of the dataset; read side by side.
        latents: (rows, k) by name, of the pairs of `parts`.
        parts: who is fitted and who judged.
    """
    x = np.concatenate([level(pooled(feature, parts.rows), parts) for feature in features], axis=1)
    y = np.concatenate(list(latents.values()), axis=1)
    ends = np.cumsum([column.shape[1] for column in latents.values()])[:-1]
    card, linear = {}, {}
    for name, probe in (("ridge", ridge), ("network", network)):
        told = dict(zip(latents, np.split(probe(x, y, parts), ends, axis=1), strict=True))
        if name == "ridge":
            linear = told
        card[name] = {key: explained(told[key][parts.test], latents[key][parts.test]) for key in latents}
    return Reading(linear, card)
