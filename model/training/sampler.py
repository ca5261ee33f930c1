"""A dataset with features in, batches of pairs out: each epoch another 15 s segment of every clip."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.datasets.table import Dataset, Ragged
from model.errors import BadDataset
from model.evaluation.embed import check_features
from model.features.extractors import Profile
from model.features.segments import is_functional
from model.systems.batch import Batch, Dims, Padded


@dataclass(frozen=True, slots=True)
class Rows:
    """Blocks of rows inside one long array; block i is values[first[i]:end[i]]."""

    values: NDArray[np.float32]  # (sum t, d)
    first: NDArray[np.int64]
    end: NDArray[np.int64]

    def padded(self, blocks: NDArray[np.int64]) -> Padded:
        """(b, t, d) with zeros behind each end, and the mask (b, t)."""
        lengths = self.end[blocks] - self.first[blocks]
        step = np.arange(max(1, int(lengths.max(initial=1))))
        mask = step < lengths[:, None]
        x = self.values[np.where(mask, self.first[blocks][:, None] + step, 0)]
        return torch.from_numpy(np.where(mask[:, :, None], x, np.float32(0))), torch.from_numpy(mask)


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of a dataset, ready to be drawn from; n pairs, s segments of their clips."""

    video: Mapping[str, Rows]  # n blocks
    music: Mapping[str, Rows]  # s blocks
    offsets: NDArray[np.int64]  # (n + 1,) segments of pair i: offsets[i] .. offsets[i + 1] - 1
    texts: NDArray[np.float32]  # (number of tags, d_t)
    tag: NDArray[np.int64]  # (n,) row of `texts`
    category: NDArray[np.int64]  # (n,)
    track: NDArray[np.int64]  # (n,)
    split: NDArray[np.str_]  # (n,)
    tags: tuple[str, ...]
    categories: tuple[str, ...]

    @property
    def dims(self) -> Dims:
        """Widths of what a system is fed with."""
        return Dims(
            {name: rows.values.shape[1] for name, rows in self.video.items()},
            {name: rows.values.shape[1] for name, rows in self.music.items()},
            self.texts.shape[1],
            len(self.categories),
        )

    def rows(self, split: str) -> NDArray[np.int64]:
        """Which pairs belong to a split."""
        return np.flatnonzero(self.split == split).astype(np.int64)

    def drawn_segments(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """One segment of each pair's clip, all equally likely: (b,)."""
        return np.asarray(self.offsets[rows] + rng.integers(0, np.diff(self.offsets)[rows]), np.int64)

    def middle_segments(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The middle one of each pair's clip, for a loss that does not change from epoch to epoch: (b,)."""
        return np.asarray(self.offsets[rows] + np.diff(self.offsets)[rows] // 2, np.int64)

    def batch(self, rows: NDArray[np.int64], segments: NDArray[np.int64]) -> Batch:
        """Pairs `rows` (b,) with segment `segments` (b,) of each one's clip."""
        return Batch(
            self.videos(rows),
            self.segments(segments),
            torch.from_numpy(self.texts[self.tag[rows]]),
            torch.from_numpy(self.tag[rows]),
            torch.from_numpy(self.category[rows]),
            torch.from_numpy(self.track[rows]),
        )

    def videos(self, rows: NDArray[np.int64]) -> dict[str, Padded]:
        """The video inputs of some pairs."""
        return {name: each.padded(rows) for name, each in self.video.items()}

    def segments(self, segments: NDArray[np.int64]) -> dict[str, Padded]:
        """The music inputs of some segments."""
        return {name: each.padded(segments) for name, each in self.music.items()}


def read_pairs(dataset: Dataset, profile: Profile) -> Pairs:
    """Load every feature of a profile.

    Raises:
        BadDataset: if a feature is missing, empty, or made by other extractors than the profile's.
    """
    check_features(dataset, profile.name)
    spans = dataset.features("segments", profile.name)
    if (np.diff(spans.offsets) < 1).any():
        raise BadDataset(f"{dataset.folder} has a clip without a segment: extract the features again")
    video = {name: _blocks(dataset.features(name, profile.name), name) for name in profile.video}
    music = {name: _music(dataset.features(name, profile.name), spans, name) for name in profile.music}
    column = dataset.pairs
    tags, tag = _coded(np.where(column["tag"] == "", column["category"], column["tag"]))
    categories, category = _coded(column["category"])
    _, track = _coded(column["track_id"])
    texts = np.stack([profile.text(each) for each in tags])
    split = column["split"]
    return Pairs(video, music, spans.offsets, texts, tag, category, track, split, tags, categories)


def batches(pairs: Pairs, rows: NDArray[np.int64], size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """One epoch: all `rows` in random order, each with one random segment of its clip.

    An incomplete last batch is dropped; with fewer rows than `size` the epoch is one batch of all of them.
    """
    size = min(size, len(rows))
    shuffled = rng.permutation(rows)
    for start in range(0, len(rows) - size + 1, size):
        chosen = shuffled[start : start + size]
        yield pairs.batch(chosen, pairs.drawn_segments(chosen, rng))


def _coded(column: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    names, codes = np.unique(column, return_inverse=True)
    return tuple(names.tolist()), codes.astype(np.int64)


def _blocks(ragged: Ragged, name: str) -> Rows:
    if (np.diff(ragged.offsets) < 1).any():
        raise BadDataset(f"feature {name!r} has a pair without a row: extract the features again")
    return Rows(ragged.values, ragged.offsets[:-1], ragged.offsets[1:])


def _music(ragged: Ragged, spans: Ragged, name: str) -> Rows:
    """One block for each segment: its own row of a functional, else the rows whose time lies inside."""
    _blocks(ragged, name)
    first = np.empty(len(spans.values), np.int64)
    end = np.empty_like(first)
    for i in range(len(ragged)):
        here = slice(int(spans.offsets[i]), int(spans.offsets[i + 1]))
        first[here], end[here] = _covered(ragged.row(i).times_s, spans.values[here].astype(np.float64))
        first[here] += ragged.offsets[i]
        end[here] += ragged.offsets[i]
    return Rows(ragged.values, first, end)


def _covered(
    times_s: NDArray[np.float64], spans_s: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and end row of each of many spans (s, 2), as `segment_inputs` has it; times ascend."""
    if is_functional(times_s, spans_s):
        own = np.arange(len(spans_s), dtype=np.int64)
        return own, own + 1
    first, end = np.searchsorted(times_s, spans_s[:, 0]), np.searchsorted(times_s, spans_s[:, 1])
    nearest = np.abs(times_s - spans_s.mean(axis=1, keepdims=True)).argmin(axis=1)
    empty = first == end
    return np.where(empty, nearest, first), np.where(empty, nearest + 1, end)
