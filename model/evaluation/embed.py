"""Anything that embeds and a dataset in, the unit vectors of its videos and music segments out."""

from collections.abc import Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.datasets.layout import clip_spans, read_layout
from model.datasets.table import Dataset, Ragged
from model.errors import BadDataset
from model.evaluation.protocol import score_clips
from model.evaluation.search import OpenSearch
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

    def scores(self, open_search: OpenSearch | None = None) -> NDArray[np.float64]:
        """(n, n) mean cosine of video i over the segments of clip j, as that search finds them."""
        return score_clips(self.videos, self.segments, self.offsets, open_search)


def rows_of(dataset: Dataset, split: str) -> NDArray[np.int64]:
    """Row numbers of the pairs of one split."""
    return np.flatnonzero(dataset.pairs["split"] == split).astype(np.int64)


def embed_pairs(embedder: Embedder, dataset: Dataset, rows: NDArray[np.int64]) -> Embedded:
    """Embed the videos and all segments of the clips of some pairs; each clip is one batch."""
    read_layout(dataset, embedder.profile)  # refuses what other extractors made
    videos = embed_videos(embedder, dataset, rows)
    segments, offsets = embed_clips(embedder, dataset, rows)
    return Embedded(rows, videos, segments, offsets)


def embed_clips(
    embedder: Embedder, dataset: Dataset, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The segments of the clips of some pairs, at least one: (s, d) unit rows, and (n + 1,) offsets."""
    music = {name: dataset.features(name, embedder.profile) for name in embedder.input_names["music"]}
    spans = clip_spans(dataset, embedder.profile)
    clips = [embedder.embed_music(segments_of(music, spans, int(i))) for i in rows]
    offsets = np.cumsum([0, *(len(clip) for clip in clips)], dtype=np.int64)
    return np.concatenate(clips), offsets


def embed_videos(embedder: Embedder, dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, d) unit rows of the videos of some pairs, at least one."""
    video = {name: dataset.features(name, embedder.profile) for name in embedder.input_names["video"]}
    return np.stack(
        [embedder.embed_video({name: ragged.row(int(i)) for name, ragged in video.items()}) for i in rows]
    )


def segments_of(music: Mapping[str, Ragged], spans: Ragged | None, i: int) -> list[dict[str, Sequence]]:
    """The music inputs of every segment of pair i's clip.

    Args:
        music: by input name; a functional has one row for each segment, all others have rows over time.
        spans: (sum n, 2) start and end of the segments, in the track's time; None if the clip is one.
        i: which pair.
    """
    whole = {name: ragged.row(i) for name, ragged in music.items()}
    if spans is None:
        return [whole]
    return segment_inputs(whole, spans.row(i).values.astype(np.float64))


def checked_rows(dataset: Dataset, split: str) -> NDArray[np.int64]:
    """(n,) the pairs of one split; raises `BadDataset` if it has none."""
    rows = rows_of(dataset, split)
    if len(rows) == 0:
        raise BadDataset(f"{dataset.folder} has no pair of split {split!r}: choose another or split it anew")
    return rows


def embed_split(embedder: Embedder, dataset: Dataset, split: str) -> Embedded:
    """Embed all pairs of one split; raises `BadDataset` if it has none, or no features of the profile."""
    return embed_pairs(embedder, dataset, checked_rows(dataset, split))
