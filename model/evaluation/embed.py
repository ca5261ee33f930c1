"""Anything that embeds and a dataset in, the unit vectors of its videos and music segments out."""

import json
from collections.abc import Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.datasets.table import Dataset, Ragged, features_folder
from model.errors import BadDataset
from model.evaluation.protocol import score_clips
from model.features.extractors import identity
from model.features.profiles import load_profile
from model.features.segments import segment_inputs
from model.features.sequence import Sequence


class Embedder(Protocol):
    """What evaluation asks of a bundle."""

    @property
    def profile(self) -> str:
        """Which features it takes."""

    @property
    def input_names(self) -> dict[str, tuple[str, ...]]:
        """By tower, the names of its sequences."""

    def embed_video(self, sequences: Mapping[str, Sequence]) -> NDArray[np.float32]:
        """(d,) of L2 norm 1."""

    def embed_music(self, batch: Several[Mapping[str, Sequence]]) -> NDArray[np.float32]:
        """(b, d), rows of L2 norm 1."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Chosen pairs of a dataset in the common space."""

    rows: NDArray[np.int64]  # (n,) which pairs
    videos: NDArray[np.float32]  # (n, d)
    segments: NDArray[np.float32]  # (sum s, d)
    offsets: NDArray[np.int64]  # (n + 1,)

    def scores(self) -> NDArray[np.float64]:
        """(n, n) mean cosine of video i over the segments of clip j."""
        return score_clips(self.videos, self.segments, self.offsets)


def check_features(dataset: Dataset, profile: str) -> None:
    """Raise `BadDataset` unless this version's extractors made the dataset's features of a profile."""
    loaded = load_profile(profile)
    try:
        made = json.loads((features_folder(dataset.folder, profile) / "features.json").read_text("utf-8"))
        found = made["recipe"]["extractors"]
    except (OSError, ValueError, KeyError) as error:
        raise BadDataset(
            f"{dataset.folder} has no finished {profile!r} features: run `yuyin features extract`"
        ) from error
    expected = {name: identity(each) for name, each in (loaded.video | loaded.music).items()}
    if found != expected:
        raise BadDataset(
            f"the {profile!r} features of {dataset.folder} were made by other extractors ({found}): "
            "run `yuyin features extract` again"
        )


def rows_of(dataset: Dataset, split: str) -> NDArray[np.int64]:
    """Row numbers of the pairs of one split."""
    return np.flatnonzero(dataset.pairs["split"] == split).astype(np.int64)


def embed_pairs(embedder: Embedder, dataset: Dataset, rows: NDArray[np.int64]) -> Embedded:
    """Embed the videos and all segments of the clips of some pairs; each clip is one batch."""
    check_features(dataset, embedder.profile)
    videos = embed_videos(embedder, dataset, rows)
    music = {name: dataset.features(name, embedder.profile) for name in embedder.input_names["music"]}
    spans = dataset.features("segments", embedder.profile)
    clips = [embedder.embed_music(segments_of(music, spans, int(i))) for i in rows]
    offsets = np.cumsum([0, *(len(clip) for clip in clips)], dtype=np.int64)
    segments = np.concatenate(clips) if clips else np.zeros((0, videos.shape[1]), np.float32)
    return Embedded(rows, videos, segments, offsets)


def embed_videos(embedder: Embedder, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, d) unit rows of the videos of some pairs, at least one."""
    video = {name: dataset.features(name, embedder.profile) for name in embedder.input_names["video"]}
    return np.stack(
        [embedder.embed_video({name: ragged.row(int(i)) for name, ragged in video.items()}) for i in rows]
    )


def segments_of(music: Mapping[str, Ragged], spans: Ragged, i: int) -> list[dict[str, Sequence]]:
    """The music inputs of every segment of pair i's clip.

    Args:
        music: by input name; a functional has one row for each segment, all others have rows over time.
        spans: (sum n, 2) start and end of the segments, in the track's time.
        i: which pair.
    """
    whole = {name: ragged.row(i) for name, ragged in music.items()}
    return segment_inputs(whole, spans.row(i).values.astype(np.float64))


def embed_split(embedder: Embedder, dataset: Dataset, split: str) -> Embedded:
    """Embed all pairs of one split; raises `BadDataset` if it has none, or no features of the profile."""
    rows = rows_of(dataset, split)
    if len(rows) == 0:
        raise BadDataset(f"{dataset.folder} has no pair of split {split!r}: choose another or split it anew")
    return embed_pairs(embedder, dataset, rows)
