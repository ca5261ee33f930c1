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
from collections.abc import Iterable, Iterator, Mapping
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
EXTRACT = "run `yuyin features extract`"


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
    def read(cls, folder: Path, name: str, cure: str = "make the features again") -> Self:
        """Read `name`.npy and its two companions; raises `BadDataset` if they do not fit together."""
        try:
            values = map_array(folder / f"{name}.npy")
            times_s = np.array(map_array(folder / f"{name}.times.npy"))
            offsets = np.array(map_array(folder / f"{name}.offsets.npy"))
        except (OSError, ValueError) as error:
            raise BadDataset(f"feature {name!r} in {folder} cannot be read ({error}): {cure}") from error
        ragged = cls(values, times_s, offsets)
        if not ragged._fits():
            raise BadDataset(f"the rows of {folder / name} do not fit its offsets: {cure}")
        return ragged

    def _fits(self) -> bool:
        return (
            self.values.ndim == 2
            and (self.times_s.ndim, self.offsets.ndim) == (1, 1)
            and (self.values.dtype.kind, self.offsets.dtype.kind) == ("f", "i")
            and len(self.offsets) > 0
            and self.offsets[0] == 0
            and bool(np.all(np.diff(self.offsets) >= 0))
            and bool(self.offsets[-1] == len(self.values) == len(self.times_s))
        )

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
        """Which dataset it is, wherever it lies and however it is split: hash of manifest and pairs' ids."""
        return content_id({"manifest": self.manifest, "pairs": pairs_digest(self.pairs["pair_id"])})

    @property
    def split_id(self) -> str:
        """Which of its pairs are for what: another hash once the same pairs are split anew."""
        rows = zip(self.pairs["pair_id"].tolist(), self.pairs["split"].tolist(), strict=True)
        return content_id({"split": dict(rows)})

    @property
    def cure(self) -> str:
        """What makes its features anew, as a sentence ends."""
        match self.manifest.get("kind"):
            case "ave" | "muvi" | "features" as kind:
                return f"import it again with `yuyin dataset import --as {kind}`, into a new folder"
            case "adsynth":
                return "make it again with `yuyin dataset adsynth`, in a new folder"
            case _:
                return EXTRACT

    def check_categories(self) -> None:
        """Raise `BadDataset` if a category has pairs, but none of split "train": a system cannot know it."""
        category = self.pairs["category"]
        unseen = set(category.tolist()) - set(category[self.pairs["split"] == "train"].tolist())
        if unseen:
            raise BadDataset(
                f"no training pair of {self.folder} has the category {min(unseen)!r}, so a system cannot "
                "know it: move some of its pairs to 'train', or leave them out"
            )

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read and check a dataset folder.

        Raises:
            BadDataset: if the folder is unfinished, a column is missing, or a value cannot be.
        """
        try:
            manifest = json.loads((folder / "dataset.json").read_text("utf-8"))
            table = pq.read_table(folder / "pairs.parquet")
        except FileNotFoundError as error:
            raise BadDataset(
                f"{folder} is no finished dataset, dataset.json or pairs.parquet is missing: "
                "make it with `yuyin dataset prepare`, `import`, `synth` or `adsynth`"
            ) from error
        except (OSError, ValueError) as error:  # JSON and Arrow errors are ValueErrors
            raise BadDataset(f"{folder} cannot be read ({error}): make the dataset again") from error
        if not isinstance(manifest, dict):
            raise BadDataset(f"dataset.json of {folder} is no JSON object: make the dataset again")
        if manifest.get("schema") != SCHEMA:
            raise BadDataset(f"{folder} has schema {manifest.get('schema')}, not {SCHEMA}: make it again")
        return cls(folder, manifest, _checked(_columns(table, folder), folder))

    def features(self, name: str, profile: str = "lite") -> Ragged:
        """The feature `name` of every pair, in the pairs' order.

        Raises:
            BadDataset: if it has not been extracted, or for other pairs than these.
        """
        made_for = self.made_by(profile).get("pairs")
        ragged = Ragged.read(features_folder(self.folder, profile), name, self.cure)
        if made_for != pairs_digest(self.pairs["pair_id"]) or len(ragged) != len(self):
            raise BadDataset(f"the {profile!r} features of {self.folder} are of other pairs: {self.cure}")
        return ragged

    @property
    def tags(self) -> NDArray[np.str_]:
        """(n,) the tag of each pair, or its category where it has none."""
        return np.where(self.pairs["tag"] == "", self.pairs["category"], self.pairs["tag"])

    @property
    def profiles(self) -> list[str]:
        """The profiles that it has finished features of."""
        return sorted(path.parent.name for path in (self.folder / "features").glob("*/features.json"))

    def made_by(self, profile: str) -> dict[str, Any]:
        """What features.json says of a profile's features; raises `BadDataset` if there are none."""
        try:
            found = json.loads((features_folder(self.folder, profile) / "features.json").read_text("utf-8"))
        except FileNotFoundError as error:
            cure = self.cure
            if self.profiles and cure != EXTRACT:  # it has no media that others could be extracted from
                others = ", ".join(map(repr, self.profiles))
                cure = f"it has only {others} features and no media, so take a dataset that has them"
            raise BadDataset(f"{self.folder} has no finished {profile!r} features: {cure}") from error
        except (OSError, ValueError) as error:
            raise BadDataset(
                f"features.json of the {profile!r} features of {self.folder} cannot be read ({error}): "
                f"{self.cure}"
            ) from error
        if not isinstance(found, dict):
            raise BadDataset(
                f"features.json of the {profile!r} features of {self.folder} is no JSON object: {self.cure}"
            )
        return found


def features_folder(dataset_folder: Path, profile: str) -> Path:
    """Where the features of a profile lie."""
    return dataset_folder / "features" / profile


def pairs_digest(pair_id: NDArray[Any]) -> str:
    """What features name the pairs by that they were made for: sha256 of the ids in order."""
    return hashlib.sha256("\n".join(pair_id.tolist()).encode()).hexdigest()


def first_twice(labels: Iterable[str]) -> str | None:
    """The first label that stood before; None if all differ."""
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            return str(label)
        seen.add(label)
    return None


def map_array(path: Path) -> NDArray[Any]:
    """Map a .npy file, which is never unpickled; raises `OSError` or `ValueError` with the reason."""
    return np.lib.format.open_memmap(path, mode="r")


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
    twice = first_twice(columns["pair_id"])
    if twice is not None:
        raise BadDataset(f"{folder} has two pairs of one pair_id, {twice!r}: give each pair its own")
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
