"""A dataset with features in; sequences of chosen pairs out, and batches of what a system makes of them.

Sequences are read from mapped files. What a system's views make of them is computed once and lies in one
tensor an input, on the device that trains: a step is an `index_select`, no Python runs per pair.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.datasets.layout import check_given, clip_spans, read_layout, tag_vectors, valence_of
from model.datasets.table import Dataset, Ragged
from model.errors import BadDataset
from model.features.segments import is_functional
from model.systems.batch import Batch, Dims, Padded, Prepared
from model.systems.system import System
from model.systems.views import View, only

CHUNK = 512  # pairs whose sequences are padded at a time: bounds memory only


@dataclass(frozen=True, slots=True)
class Rows:
    """Blocks of rows inside one long array; block i is values[first[i]:end[i]]."""

    values: NDArray[np.float32]  # (sum t, d); float16 where it was stored so
    first: NDArray[np.int64]
    end: NDArray[np.int64]

    def padded(self, blocks: NDArray[np.int64]) -> Padded:
        """(b, t, d) float32 with zeros behind each end, and the mask (b, t)."""
        lengths = self.end[blocks] - self.first[blocks]
        step = np.arange(max(1, int(lengths.max(initial=1))))
        mask = step < lengths[:, None]
        x = self.values[np.where(mask, self.first[blocks][:, None] + step, 0)]
        return torch.from_numpy(np.where(mask[:, :, None], x, np.float32(0))), torch.from_numpy(mask)


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of a dataset, ready to be looked at; n pairs, s segments of their clips."""

    video: Mapping[str, Rows]  # n blocks
    music: Mapping[str, Rows]  # s blocks
    offsets: NDArray[np.int64]  # (n + 1,) segments of pair i: offsets[i] .. offsets[i + 1] - 1
    texts: NDArray[np.float32] | None  # (number of tags, d_t)
    tag: NDArray[np.int64]  # (n,) row of `texts`
    category: NDArray[np.int64]  # (n,)
    track: NDArray[np.int64]  # (n,)
    polarity: NDArray[np.int64] | None  # (n,) tercile of valence among the training pairs
    split: NDArray[np.str_]  # (n,)
    tags: tuple[str, ...]
    categories: tuple[str, ...]  # () if pairs have none

    @property
    def dims(self) -> Dims:
        """Widths of what a system is fed with."""
        return Dims(
            {name: rows.values.shape[1] for name, rows in self.video.items()},
            {name: rows.values.shape[1] for name, rows in self.music.items()},
            0 if self.texts is None else self.texts.shape[1],
            len(self.categories),
            int(self.track.max(initial=-1)) + 1,
            {
                name: int((x.end - x.first).max(initial=1))
                for name, x in (*self.video.items(), *self.music.items())
            },
            0 if self.tags == ("",) else len(self.tags),
            self.polarity is not None,
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

    def all_segments(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """All segments of the clips of some pairs, in the pairs' order."""
        counts = np.diff(self.offsets)[rows]
        ahead = np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(np.repeat(self.offsets[rows], counts) + np.arange(counts.sum()) - ahead, np.int64)

    def videos(self, rows: NDArray[np.int64]) -> dict[str, Padded]:
        """The video inputs of some pairs."""
        return {name: each.padded(rows) for name, each in self.video.items()}

    def segments(self, segments: NDArray[np.int64]) -> dict[str, Padded]:
        """The music inputs of some segments."""
        return {name: each.padded(segments) for name, each in self.music.items()}


def read_pairs(dataset: Dataset, profile: str) -> Pairs:
    """Map every feature of a profile.

    Raises:
        BadDataset: if a feature is missing, empty, no number, or made by other extractors than the profile's.
    """
    layout = read_layout(dataset, profile)
    check_given(dataset, profile, layout)
    spans = clip_spans(dataset, profile)
    video = {name: _blocks(dataset.features(name, profile), name) for name in layout.video}
    music = {name: _music(dataset.features(name, profile), spans, name) for name in layout.music}
    offsets = np.arange(len(dataset) + 1, dtype=np.int64) if spans is None else spans.offsets
    column = dataset.pairs
    tags, tag = _coded(dataset.tags)
    categories, category = _coded(column["category"])
    _, track = _coded(column["track_id"])
    split = column["split"]
    texts = tag_vectors(dataset, profile, tags)
    valence = valence_of(dataset, profile, layout)
    polarity = None if valence is None else _terciles(valence, split == "train")
    if categories == ("",):
        categories = ()
    return Pairs(video, music, offsets, texts, tag, category, track, polarity, split, tags, categories)


@dataclass(frozen=True, slots=True)
class Table:
    """What a system's views made of all pairs, on one device."""

    pairs: Pairs
    video: Prepared  # (n, ...) each
    music: Prepared  # (s, ...) each
    text: Tensor | None  # (number of tags, d_t) standardised
    category_text: Tensor | None  # (number of categories, d_t)
    labels: Mapping[str, Tensor]  # tag, category, track, polarity: (n,) each

    def batch(self, rows: NDArray[np.int64], segments: NDArray[np.int64]) -> Batch:
        """Pairs `rows` (b,) with segment `segments` (b,) of each one's clip."""
        device = self.labels["tag"].device
        chosen = torch.from_numpy(rows).to(device)
        label = {name: x[chosen] for name, x in self.labels.items()}
        return Batch(
            self.videos(chosen),
            taken(self.music, torch.from_numpy(segments).to(device)),
            None if self.text is None else self.text[label["tag"]],
            None if self.category_text is None else self.category_text[label["category"]],
            label["tag"],
            label["category"],
            label["track"],
            label.get("polarity"),
        )

    def videos(self, rows: Tensor) -> dict[str, Tensor]:
        """The prepared video inputs of some pairs."""
        return taken(self.video, rows)

    def queries(self, rows: NDArray[np.int64], *, with_text: bool) -> dict[str, Tensor]:
        """What a video tower is asked with in a test; the tag's vector only for a system that reads it."""
        chosen = torch.from_numpy(rows).to(self.labels["tag"].device)
        asked = self.videos(chosen)
        if with_text and self.text is not None:
            asked["text"] = self.text[self.labels["tag"][chosen]]
        return asked

    def all_pairs(self, rows: NDArray[np.int64]) -> Batch:
        """Every segment of some pairs, each beside its video: what closed forms are computed from."""
        counts = np.diff(self.pairs.offsets)[rows]
        return self.batch(np.repeat(rows, counts), self.pairs.all_segments(rows))


def taken(prepared: Prepared, rows: Tensor) -> dict[str, Tensor]:
    """The same rows of every tensor."""
    return {name: x.index_select(0, rows) for name, x in prepared.items()}


@torch.no_grad()
def prepare(system: System, pairs: Pairs, device: torch.device, *, fit: bool) -> Table:
    """Look at all pairs through a system's views, which are fitted to the training pairs first if `fit`."""
    train = pairs.rows("train")
    names = (system.video_view.widths, system.music_view.widths)
    if fit:
        system.video_view.fit(only(pairs.videos(rows), names[0]) for rows in _chunks(train))
        segments = pairs.all_segments(train)
        system.music_view.fit(only(pairs.segments(rows), names[1]) for rows in _chunks(segments))
    texts, category_texts = None, None
    if system.text_view is not None and pairs.texts is not None:
        raw = torch.from_numpy(pairs.texts)
        if fit:
            system.text_view.fit([raw[pairs.tag[train]]])
        texts = system.text_view(raw)
        category_texts = _by_category(texts, pairs)
    everything = np.arange(len(pairs.split), dtype=np.int64)
    labels = {"tag": pairs.tag, "category": pairs.category, "track": pairs.track}
    if pairs.polarity is not None:
        labels["polarity"] = pairs.polarity
    return Table(
        pairs,
        _prepared(system.video_view, pairs.video, everything, device),
        _prepared(system.music_view, pairs.music, np.arange(pairs.offsets[-1], dtype=np.int64), device),
        None if texts is None else texts.to(device),
        None if category_texts is None else category_texts.to(device),
        {name: torch.from_numpy(label).to(device) for name, label in labels.items()},
    )


def _prepared(
    view: View, inputs: Mapping[str, Rows], blocks: NDArray[np.int64], device: torch.device
) -> dict[str, Tensor]:
    """All blocks through a view; sequences are padded to the longest of all."""
    whole: dict[str, Tensor] = {}
    for chosen in _chunks(blocks):
        seen = view({name: inputs[name].padded(chosen) for name in view.widths})
        for name, x in seen.items():
            if name not in whole:
                each = inputs[name.removesuffix("_mask")]
                rows = max(x.shape[1], int((each.end - each.first).max())) if view.sequential else x.shape[1]
                whole[name] = torch.zeros((len(blocks), rows, *x.shape[2:]), dtype=x.dtype, device=device)
            whole[name][chosen[0] : chosen[-1] + 1, : x.shape[1]] = x.to(device)
    return whole


def _by_category(texts: Tensor, pairs: Pairs) -> Tensor:
    """(number of categories, d_t): the mean of the vectors of a category's tags."""
    of_tag = np.zeros(len(pairs.tags), np.int64)
    of_tag[pairs.tag] = pairs.category
    count = max(1, len(pairs.categories))
    member = torch.nn.functional.one_hot(torch.from_numpy(of_tag), count).T.float()
    return (member @ texts) / member.sum(1, keepdim=True).clamp(min=1)


def batches(
    table: Table, rows: NDArray[np.int64], size: int, rng: np.random.Generator, *, one_clip_per_track: bool
) -> Iterator[Batch]:
    """One epoch: all `rows` in random order, each with one random segment of its clip.

    An incomplete last batch is dropped; with fewer rows than `size` the epoch is one batch of all of them.
    With `one_clip_per_track` a batch keeps the first clip of every track, and is smaller by the others.
    """
    size = min(size, len(rows))
    shuffled = rng.permutation(rows)
    for start in range(0, len(rows) - size + 1, size):
        chosen = shuffled[start : start + size]
        if one_clip_per_track:
            chosen = chosen[np.sort(np.unique(table.pairs.track[chosen], return_index=True)[1])]
        yield table.batch(chosen, table.pairs.drawn_segments(chosen, rng))


def _chunks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


def _terciles(valence: NDArray[np.floating[Any]], train: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n,) 0, 1 or 2: the third of the training pairs' values that each falls into."""
    edges = np.quantile(valence[train] if train.any() else valence, [1 / 3, 2 / 3])
    return np.asarray(np.searchsorted(edges, valence), np.int64)


def _coded(column: NDArray[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    names, codes = np.unique(column, return_inverse=True)
    return tuple(names.tolist()), codes.astype(np.int64)


def _blocks(ragged: Ragged, name: str) -> Rows:
    if (np.diff(ragged.offsets) < 1).any():
        raise BadDataset(f"feature {name!r} has a pair without a row: extract the features again")
    return Rows(ragged.values, ragged.offsets[:-1], ragged.offsets[1:])


def _music(ragged: Ragged, spans: Ragged | None, name: str) -> Rows:
    """One block for each segment: its own row of a functional, else the rows whose time lies inside."""
    whole = _blocks(ragged, name)
    if spans is None:
        return whole
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
