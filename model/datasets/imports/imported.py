"""Pairs and their features as a reader found them in, a dataset folder and a report out.

What is imported has no media: no paths, no times. A feature that was pooled has one row a pair.
The folder is made aside and renamed.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, is_zipfile

import numpy as np
from numpy.typing import NDArray

from model.artifact import commit, is_free, new_folder
from model.datasets.layout import Layout, write_features
from model.datasets.splits import split_groups
from model.datasets.table import SCHEMA, SPLITS, TEXT_COLUMNS, Dataset, Ragged, first_twice, write_dataset
from model.errors import BadDataset

# What numpy, zipfile and zlib say of an archive with bytes that are not its own.
DAMAGED = (OSError, EOFError, ValueError, TypeError, RuntimeError, BadZipFile, zlib.error)
INTEGERS, NUMBERS, TEXTS = "iu", "fiu", "U"
SAID = {INTEGERS: "whole numbers", NUMBERS: "numbers", TEXTS: "texts"}
Kinds = Mapping[str, tuple[str, int]]  # by array: letters of `dtype.kind`, and how many dimensions


@dataclass(frozen=True, slots=True)
class Imported:
    """n pairs, and everything that is known of them."""

    kind: str  # ave, muvi or features; also the name of the profile
    pair_id: NDArray[np.str_]  # (n,)
    track_id: NDArray[np.str_]  # (n,)
    category: NDArray[np.str_]  # (n,) all "" if pairs have none
    tag: NDArray[np.str_]  # (n,) "" where it is the category
    split: NDArray[np.str_]  # (n,)
    group: NDArray[np.str_]  # (n,)
    layout: Layout
    features: Mapping[str, Ragged]  # every name of `layout`
    tag_vectors: NDArray[np.float32] | None  # (len(layout.tags), d)
    made_by: Mapping[str, Any]  # the digests of what was read, and the seed of the split if it was drawn


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was written."""

    pairs: dict[str, int]  # by split
    tracks: int
    categories: int  # 0 if pairs have none
    widths: dict[str, int]  # by feature


def write_imported(imported: Imported, folder: Path) -> ImportReport:
    """Write the features and the pairs; nothing at all if something is wrong with either.

    Args:
        imported: what to write.
        folder: must not exist, be empty, or hold this very dataset.

    Raises:
        BadDataset: for a value that is NaN or infinite, a training part that lacks pairs or a category, or
            if `folder` holds something else.
    """
    _check_pairs(imported)
    unknown = len(imported.pair_id)
    columns = {name: getattr(imported, name, np.full(unknown, "")) for name in TEXT_COLUMNS}
    columns |= {"length_s": np.zeros(unknown), "start_s": np.zeros(unknown)}
    manifest = {
        "kind": imported.kind,
        "made_by": dict(imported.made_by),
        "categories": sorted(set(imported.category.tolist()) - {""}),
        "tags": sorted(set(imported.tag.tolist()) - {""}),
    }
    place = folder.resolve()
    if is_free(place):
        with new_folder(place.parent) as aside:
            _fill(aside, imported, manifest, columns)
            commit(aside, place)
    elif not _holds(place, imported, manifest, columns):
        raise BadDataset(f"{folder} holds something else than what is imported: name a new or empty folder")
    return ImportReport(
        pairs={split: int((imported.split == split).sum()) for split in SPLITS},
        tracks=len(np.unique(imported.track_id)),
        categories=len(manifest["categories"]),
        widths={name: each.values.shape[1] for name, each in sorted(imported.features.items())},
    )


def _holds(
    folder: Path, imported: Imported, manifest: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]
) -> bool:
    try:
        found = Dataset.open(folder)
        for name in imported.features:
            found.features(name, imported.kind)
    except BadDataset:
        return False
    same = all(np.array_equal(found.pairs[name], column) for name, column in columns.items())
    return same and found.manifest == {**manifest, "schema": SCHEMA}


def _fill(
    folder: Path, imported: Imported, manifest: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]
) -> None:
    write_features(
        folder,
        imported.pair_id,
        imported.kind,
        imported.layout,
        imported.features,
        imported.tag_vectors,
        imported.made_by,
    )
    write_dataset(folder, manifest, columns)


def pooled(values: NDArray[Any]) -> Ragged:
    """(n, d): one row a pair."""
    count = len(values)
    return Ragged(as_float32(values), np.zeros(count), np.arange(count + 1, dtype=np.int64))


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """What is too large becomes infinite without a warning: it is refused when it is written."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def draw_split(
    category: NDArray[np.str_], group: NDArray[np.str_], seed: int, *, test: float, evaluation: float
) -> NDArray[np.str_]:
    """(n,) a split in which no group is torn, each category in proportion as well as groups allow.

    Args:
        category: (n,).
        group: (n,).
        seed: other seed, other split.
        test: share of all pairs.
        evaluation: share of what is left.
    """
    rng = np.random.default_rng(seed)
    split = np.where(split_groups(category, group, rng, test) == "evaluation", "test", "train")
    rest = np.flatnonzero(split == "train")
    split = split.astype("<U10")
    split[rest] = split_groups(category[rest], group[rest], rng, evaluation)
    return split.astype(np.str_)


def read_arrays(path: Path, kinds: Kinds) -> dict[str, NDArray[Any]]:
    """Those arrays of an .npz file.

    Raises:
        BadDataset: if it is none, or lacks one, or one is empty or of another kind.
    """
    if not is_zipfile(path):
        raise BadDataset(
            f"{path} cannot be read as an .npz file of arrays, for it is none: name one, or read a list of "
            "your own features with --as features"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in kinds}
    except DAMAGED as error:
        raise BadDataset(
            f"{path} cannot be read as an .npz file of arrays ({error}): export it again"
        ) from error
    except KeyError as error:
        raise BadDataset(f"{path} lacks an array ({error.args[0]}): it is no file of this kind") from error
    for name, array in arrays.items():
        kind, dimensions = kinds[name]
        if array.dtype.kind not in kind or array.ndim != dimensions or array.size == 0:
            raise BadDataset(
                f"{name!r} of {path} holds {array.dtype} of shape {array.shape}, not {SAID[kind]} in "
                f"{dimensions} dimensions, at least one: export it again"
            )
    return arrays


def check_lengths(path: Path, arrays: Mapping[str, NDArray[Any]], rows: int) -> None:
    """Raise `BadDataset` unless every array has that many rows."""
    for name, array in arrays.items():
        if len(array) != rows:
            raise BadDataset(f"{name!r} of {path} has {len(array)} rows, not {rows}: export it again")


def _check_pairs(imported: Imported) -> None:
    twice = first_twice(imported.pair_id)
    if twice is not None:
        raise BadDataset(f"two pairs have the pair_id {twice!r}: give each pair its own")
    splits = {split: imported.split == split for split in SPLITS}
    if not splits["test"].all():
        for split in ("train", "evaluation"):
            if splits[split].sum() < 2:
                raise BadDataset(
                    f"the split {split!r} has {splits[split].sum()} pairs, at least 2 are needed: "
                    "split the pairs anew, or call all of them 'test'"
                )
        _check_known("category", imported.category, splits["train"])
    if "" in imported.category and (imported.category != "").any():
        raise BadDataset("some pairs have a category and some have none: give each one, or none at all")


def _check_known(what: str, labels: NDArray[np.str_], train: NDArray[np.bool_]) -> None:
    unseen = sorted(set(labels.tolist()) - set(labels[train].tolist()))
    if unseen:
        raise BadDataset(
            f"no training pair has the {what} {unseen[0]!r}, so a system cannot know it: "
            "move some of its pairs to 'train', or leave them out"
        )
