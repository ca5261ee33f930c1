"""Scores of a split and an encoder of music that the system never read in, how alike its choices sound out.

MRCMV (section 4) gives the distance of the best ranked music from the true one in the space of a VGGish
trained on AudioSet only: a system that misses the clip may still have found one like it. Which encoder
listens is open here, as is which distance: Euclidean, in columns of unit variance, is our choice.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.datasets.layout import read_layout
from model.datasets.table import Dataset
from model.errors import BadOptions
from model.evaluation.intervals import clustered_bootstrap


class AudioEncoder(Protocol):
    """Listens to clips, and is no input of what is measured: else a system would be judged by itself."""

    @property
    def name(self) -> str:
        """For the table."""

    def embed(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, d) of the clips of some pairs of the dataset."""


@dataclass(frozen=True, slots=True)
class AudioDistance:
    """Mean distance of a video's best ranked clip from its own; ties count by their mean."""

    encoder: str
    value: float
    low: float  # 95 %, bootstrap over queries, clustered by track
    high: float
    chance: float  # of a clip drawn at random
    floor: float | None  # of the nearest clip of another track; None in a pool of one track


def audio_distance(
    scores: NDArray[np.float64], vectors: NDArray[np.float64], tracks: NDArray[np.str_], encoder: str
) -> AudioDistance:
    """Compare what is ranked first with what is right.

    Args:
        scores: (n, n) video i against clip j; n >= 1.
        vectors: (n, d) of the clips, by the encoder.
        tracks: (n,) which track clip j was cut from.
        encoder: its name.
    """
    squares = (vectors**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0))
    np.fill_diagonal(apart, 0)
    best = scores == scores.max(axis=1, keepdims=True)
    first = (apart * best).sum(axis=1) / best.sum(axis=1)
    ((low, high),) = clustered_bootstrap(first[:, None], tracks, within=(0.0, float(apart.max())))
    others = np.where(tracks[:, None] == tracks, np.inf, apart).min(axis=1)
    floor = float(others.mean()) if np.isfinite(others).all() else None
    return AudioDistance(encoder, float(first.mean()), float(low), float(high), float(apart.mean()), floor)


class FeatureListener:
    """Frozen features of the dataset as an encoder: the mean over time, z-scored over all its clips."""

    def __init__(self, dataset: Dataset, profile: str, feature: str) -> None:
        """Raises `BadDataset` or `BadOptions` if the dataset has no such profile, or it no such music."""
        heard = read_layout(dataset, profile).music
        if feature not in heard:
            raise BadOptions(f"{profile!r} has no music called {feature!r}: choose one of {', '.join(heard)}")
        self.name = f"{profile}/{feature}"
        self._ragged = dataset.features(feature, profile)
        means = np.stack([each.values.mean(axis=0, dtype=np.float64) for each in self._ragged])
        spread = means.std(axis=0)
        self._vectors = (means - means.mean(axis=0)) / np.where(spread > 0, spread, 1)

    def embed(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `AudioEncoder`."""
        return np.asarray(self._vectors[rows], np.float64)


def open_listener(dataset: Dataset, asked: str) -> FeatureListener:
    """The features called PROFILE/FEATURE; raises `BadOptions` for a name of another form."""
    profile, slash, feature = asked.partition("/")
    if not (profile and slash and feature) or "/" in feature or profile == "..":
        raise BadOptions(f"a listener is named PROFILE/FEATURE, such as lite/emotion, not {asked!r}")
    return FeatureListener(dataset, profile, feature)
