"""Finished features in and out of STORE/features: nothing is computed twice, nothing is half written.

STORE/features/<extractor@version>+<grid>+<precision>/<number>/     one shard: an immutable folder
  values.npy   (sum t, d) float32, the rows of all its media behind each other
  times_s.npy  (sum t,) float64
  shard.json   written last: media (n,), offsets (n + 1,), crc32 (n,), sha256 of both files

`flush` writes what was `put` as a new shard. Sixteen shards of about one size are merged into one, so
their number grows with the logarithm of the rows (docs/adr/0003). One process writes at a time: the
index builder holds the store's lease. A row whose bytes no longer agree with its crc32 counts as
absent and is computed again.
"""

import shutil
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import ASIDE, commit, hash_files, new_folder, read_manifest, write_json
from model.errors import Corrupt, Mismatch
from model.features.sequence import Sequence

MANIFEST = "shard.json"
FAN = 16  # shards of one size that are merged: every row is written log16(rows) times
MERGED_MAX_ROWS = FAN**3  # shards of so many media stay as they are


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """What a stored sequence depends on; equal keys mean equal numbers."""

    media_sha256: str
    extractor: str  # name@version
    grid: str  # Grid.name
    precision: str  # such as fp32

    @property
    def column(self) -> str:
        """Folder name of everything that differs only in the media."""
        return "+".join((self.extractor, self.grid.replace("/", "_"), self.precision))


@dataclass(frozen=True, slots=True)
class _Shard:
    """One immutable folder, read through memory maps."""

    folder: Path
    media: list[str]  # (n,)
    offsets: list[int]  # (n + 1,)
    crc32: list[int]  # (n,)
    values: NDArray[np.float32]  # (sum t, d)
    times_s: NDArray[np.float64]  # (sum t,)

    def read(self, i: int) -> Sequence | None:
        """Sequence i in memory, or None if its bytes are damaged."""
        rows = slice(self.offsets[i], self.offsets[i + 1])
        sequence = Sequence(np.array(self.values[rows]), np.array(self.times_s[rows]))
        return sequence if _crc32(sequence) == self.crc32[i] else None


@dataclass(slots=True)
class _Column:
    """All media of one extractor, grid and precision."""

    folder: Path
    shards: dict[int, _Shard] = field(default_factory=dict)  # by number
    place: dict[str, tuple[int, int]] = field(default_factory=dict)  # media -> shard number, row
    waiting: dict[str, Sequence] = field(default_factory=dict)  # put, not yet flushed
    width: int | None = None  # d, once a row is known


class FeatureStore:
    """The shards below one folder; opening it reads nothing until the first key asks."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._columns: dict[str, _Column] = {}

    def __contains__(self, key: FeatureKey) -> bool:
        column = self._column(key)
        return key.media_sha256 in column.waiting or key.media_sha256 in column.place

    def get(self, key: FeatureKey) -> Sequence | None:
        """What was put under `key`, bit for bit; None if nothing was, or if it was damaged since."""
        column = self._column(key)
        waiting = column.waiting.get(key.media_sha256)
        place = column.place.get(key.media_sha256)
        if waiting is not None or place is None:
            return waiting
        number, i = place
        found = column.shards[number].read(i)
        if found is None:
            del column.place[key.media_sha256]
        return found

    def put(self, key: FeatureKey, sequence: Sequence) -> None:
        """Keep `sequence` until the next `flush`; replaces what stood there.

        Raises:
            Mismatch: if it is not as wide as what the same extractor gave before.
        """
        column = self._column(key)
        width = sequence.values.shape[1]
        if column.width not in (None, width):
            raise Mismatch(
                f"{key.extractor} gives {width} columns and gave {column.width}: raise its version"
            )
        column.width = width
        column.waiting[key.media_sha256] = sequence

    def flush(self) -> None:
        """Write everything that was put, durably; a kill before it ends loses only that."""
        for column in self._columns.values():
            if column.waiting:
                _write(column, column.waiting)
                column.waiting = {}
                _merge(column)

    def _column(self, key: FeatureKey) -> _Column:
        if key.column not in self._columns:
            self._columns[key.column] = _open(self._root / key.column)
        return self._columns[key.column]


def _crc32(sequence: Sequence) -> int:
    values = np.ascontiguousarray(sequence.values, "<f4")
    times_s = np.ascontiguousarray(sequence.times_s, "<f8")
    return zlib.crc32(times_s.tobytes(), zlib.crc32(values.tobytes()))


def _open(folder: Path) -> _Column:
    """Read the lists of every shard; of two rows for one media the later shard's is meant."""
    column = _Column(folder)
    numbers = sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit())
    for number in numbers:
        _add(column, number)
    return column


def _add(column: _Column, number: int) -> None:
    folder = column.folder / f"{number:08d}"
    try:
        manifest: dict[str, Any] = read_manifest(folder, MANIFEST, verify=False)
        values = np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False)
        times_s = np.load(folder / "times_s.npy", mmap_mode="r", allow_pickle=False)
    except (Corrupt, OSError, ValueError):
        return  # a shard that cannot be read is one that is computed again
    shard = _Shard(folder, manifest["media"], manifest["offsets"], manifest["crc32"], values, times_s)
    column.shards[number] = shard
    column.width = values.shape[1]
    column.place.update({media: (number, i) for i, media in enumerate(shard.media)})


def _write(column: _Column, rows: dict[str, Sequence]) -> None:
    """Commit a new shard and add it to the column."""
    taken = [int(path.name) for path in column.folder.glob("*") if path.name.isdigit()]
    number = max(taken, default=-1) + 1
    media = sorted(rows)
    with new_folder(column.folder) as aside:
        np.save(aside / "values.npy", np.concatenate([rows[m].values for m in media]).astype("<f4"))
        np.save(aside / "times_s.npy", np.concatenate([rows[m].times_s for m in media]).astype("<f8"))
        manifest = {
            "media": media,
            "offsets": np.cumsum([0, *(len(rows[m].values) for m in media)]).tolist(),
            "crc32": [_crc32(rows[m]) for m in media],
            "files": hash_files(aside, manifest=MANIFEST),
        }
        write_json(aside / MANIFEST, manifest)
        commit(aside, column.folder / f"{number:08d}")
    _add(column, number)


def _merge(column: _Column) -> None:
    """While sixteen shards are of one size, write them as one and remove them."""
    for size in (FAN, FAN**2, MERGED_MAX_ROWS):
        small = [n for n, shard in column.shards.items() if size // FAN <= len(shard.media) < size]
        if len(small) < FAN:
            continue
        rows = {}
        for number in small:
            for i, media in enumerate(column.shards[number].media):
                if column.place.get(media) == (number, i):
                    found = column.shards[number].read(i)
                    rows.update({media: found} if found is not None else {})
        if rows:
            _write(column, rows)
        for number in small:  # after the commit: a kill between leaves equal rows twice
            shard = column.shards.pop(number)
            gone = shard.folder.with_name(f"{ASIDE}{shard.folder.name}")
            shutil.rmtree(gone, ignore_errors=True)  # of an earlier kill
            shard.folder.rename(gone)
            shutil.rmtree(gone)
        kept = column.shards  # a place in a shard that is no more belonged to a damaged row
        column.place = {media: place for media, place in column.place.items() if place[0] in kept}
