"""A dataset folder in, its pairs and their features as numpy arrays out; and the way back.

DATASET/
  dataset.json                     what made it; written last: no dataset without it
  pairs.parquet                    one row a pair, the columns of TEXT_COLUMNS and NUMBER_COLUMNS
  features/<profile>/<key>.npy     (sum t, d) float32, the rows of all pairs one after the other
  features/<profile>/<key>.times.npy, .offsets.npy   (sum t,) and (n + 1,)
  features/<profile>/features.json what made them and for which pairs; written last
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model.artifact import content_id, new_file, write_file, write_json
from model.errors import BadDataset
from model.features.sequence import Sequence

SCHEMA = 1
TEXT_COLUMNS = ("pair_id", "track_id", "category", "tag", "split", "group", "video_path", "music_path")
NUMBER_COLUMNS = ("length_s", "start_s")
SPLITS = ("train", "evaluation", "test")


@dataclass(frozen=True)
class Ragged:
    """One feature of all pairs: row blocks of different lengths, one after the other."""

    values: NDArray[np.float32]  # (sum t, d); mapped from its file when read, float16 where it was stored so
    times_s: NDArray[np.float64]  # (sum t,)
    offsets: NDArray[np.int64]  # (n + 1,) block i is offsets[i] .. offsets[i + 1] - 1

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def row(self, i: int) -> Sequence:
        """The sequence of pair `i`."""
        block = slice(self.offsets[i], self.offsets[i + 1])
        return Sequence(self.values[block], self.times_s[block])

    def __iter__(self) -> Iterator[Sequence]:
        return (self.row(i) for i in range(len(self)))

    @classmethod
    def stack(cls, rows: list[Sequence]) -> Self:
        """Put sequences of equal width one after the other; at least one."""
        lengths = [len(row.times_s) for row in rows]
        values = np.concatenate([row.values for row in rows]).astype(np.float32)
        times_s = np.concatenate([row.times_s for row in rows]).astype(np.float64)
        return cls(values, times_s, np.cumsum([0, *lengths], dtype=np.int64))

    @classmethod
    def read(cls, folder: Path, name: str) -> Self:
        """Read `name`.npy and its two companions; raises `BadDataset` if they do not fit together."""
        try:
            values = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            times_s = np.load(folder / f"{name}.times.npy", allow_pickle=False)
            offsets = np.load(folder / f"{name}.offsets.npy", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BadDataset(
                f"feature {name!r} in {folder} cannot be read ({error}): extract the features again"
            ) from error
        ragged = cls(values, times_s, offsets)
        ragged._check(folder / name)
        return ragged

    def _check(self, where: Path) -> None:
        fits = (
            self.values.ndim == 2
            and self.offsets.ndim == 1
            and len(self.offsets) > 0
            and self.offsets[0] == 0
            and bool(np.all(np.diff(self.offsets) >= 0))
            and self.offsets[-1] == len(self.values) == len(self.times_s)
        )
        if not fits:
            raise BadDataset(f"the rows of {where} do not fit its offsets: extract the features again")

    def write(self, folder: Path, name: str) -> None:
        """Write the three files, each whole or not at all."""
        for part, array in (("", self.values), (".times", self.times_s), (".offsets", self.offsets)):
            write_array(folder / f"{name}{part}.npy", array)


@dataclass(frozen=True)
class Dataset:
    """Pairs of a picture and the clip of music under it."""

    folder: Path
    manifest: dict[str, Any]
    pairs: dict[str, NDArray[Any]]  # columns, each (n,): str_ for TEXT_COLUMNS, float64 for NUMBER_COLUMNS

    def __len__(self) -> int:
        return len(self.pairs["pair_id"])

    @property
    def id(self) -> str:
        """Which dataset it is, wherever it lies: hash of its manifest and of its pairs' ids."""
        return content_id({"manifest": self.manifest, "pairs": pairs_digest(self.pairs["pair_id"])})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read and check a dataset folder.

        Raises:
            BadDataset: if the folder is unfinished, a column is missing, or a value cannot be.
        """
        try:
            manifest: dict[str, Any] = json.loads((folder / "dataset.json").read_text("utf-8"))
            table = pq.read_table(folder / "pairs.parquet")
        except FileNotFoundError as error:
            raise BadDataset(
                f"{folder} is no finished dataset, dataset.json or pairs.parquet is missing: "
                "make it with `yuyin dataset prepare` or `yuyin dataset synth`"
            ) from error
        except (OSError, ValueError) as error:  # JSON and Arrow errors are ValueErrors
            raise BadDataset(f"{folder} cannot be read ({error}): make the dataset again") from error
        if manifest.get("schema") != SCHEMA:
            raise BadDataset(f"{folder} has schema {manifest.get('schema')}, not {SCHEMA}: make it again")
        return cls(folder, manifest, _checked(_columns(table, folder), folder))

    def features(self, name: str, profile: str = "lite") -> Ragged:
        """The feature `name` of every pair, in the pairs' order.

        Raises:
            BadDataset: if it has not been extracted, or for other pairs than these.
        """
        folder = features_folder(self.folder, profile)
        try:
            made_for = json.loads((folder / "features.json").read_text("utf-8"))["pairs"]
        except (OSError, ValueError, KeyError) as error:
            raise BadDataset(
                f"{self.folder} has no finished {profile!r} features: run `yuyin features extract`"
            ) from error
        ragged = Ragged.read(folder, name)
        if made_for != pairs_digest(self.pairs["pair_id"]) or len(ragged) != len(self):
            raise BadDataset(
                f"the {profile!r} features of {self.folder} are of other pairs: run `yuyin features extract`"
            )
        return ragged


def features_folder(dataset_folder: Path, profile: str) -> Path:
    """Where the features of a profile lie."""
    return dataset_folder / "features" / profile


def pairs_digest(pair_id: NDArray[Any]) -> str:
    """What features name the pairs by that they were made for: sha256 of the ids in order."""
    return hashlib.sha256("\n".join(pair_id.tolist()).encode()).hexdigest()


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write one .npy file, whole or not at all."""
    with new_file(path) as file:
        np.save(file, array, allow_pickle=False)


def write_pairs(folder: Path, pairs: Mapping[str, NDArray[Any]]) -> None:
    """Replace pairs.parquet whole or not at all; raises `BadDataset` for columns that cannot be."""
    checked = _checked({name: np.asarray(column) for name, column in pairs.items()}, folder)
    sink = io.BytesIO()
    pq.write_table(pa.table({name: pa.array(column.tolist()) for name, column in checked.items()}), sink)
    write_file(folder / "pairs.parquet", sink.getvalue())


def write_dataset(folder: Path, manifest: Mapping[str, Any], pairs: Mapping[str, NDArray[Any]]) -> None:
    """Write pairs.parquet, then dataset.json: from then on the folder is a dataset."""
    write_pairs(folder, pairs)
    write_json(folder / "dataset.json", {**manifest, "schema": SCHEMA})


def _columns(table: pa.Table, folder: Path) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
    for name in TEXT_COLUMNS + NUMBER_COLUMNS:
        if name not in table.column_names:
            raise BadDataset(f"pairs.parquet of {folder} has no column {name!r}: make the dataset again")
        values = table.column(name).to_pylist()
        if None in values:
            raise BadDataset(f"column {name!r} of {folder} has empty cells: make the dataset again")
        columns[name] = np.array(values)
    return columns


def _checked(pairs: dict[str, NDArray[Any]], folder: Path) -> dict[str, NDArray[Any]]:
    columns = _typed(pairs, folder)
    if len(set(columns["pair_id"].tolist())) != len(columns["pair_id"]):
        raise BadDataset(f"{folder} has two pairs of one pair_id: give each pair its own")
    unknown = set(columns["split"].tolist()) - set(SPLITS)
    if unknown:
        raise BadDataset(f"{folder} has splits {sorted(unknown)}: a split is one of {', '.join(SPLITS)}")
    for name in NUMBER_COLUMNS:
        if not bool(np.all(np.isfinite(columns[name]) & (columns[name] >= 0))):
            raise BadDataset(f"column {name!r} of {folder} has values that are no times: want seconds >= 0")
    return columns


def _typed(pairs: dict[str, NDArray[Any]], folder: Path) -> dict[str, NDArray[Any]]:
    missing = set(TEXT_COLUMNS + NUMBER_COLUMNS) - set(pairs)
    if missing:
        raise BadDataset(f"the pairs of {folder} lack the columns {', '.join(sorted(missing))}: add them")
    try:
        columns = {name: pairs[name].astype(np.str_) for name in TEXT_COLUMNS}
        columns |= {name: pairs[name].astype(np.float64) for name in NUMBER_COLUMNS}
    except ValueError as error:
        raise BadDataset(f"the times of {folder} are no numbers ({error}): want seconds") from error
    if len({column.shape for column in columns.values()}) != 1 or columns["pair_id"].ndim != 1:
        raise BadDataset(f"the columns of {folder} differ in length: give one row per pair")
    return columns
