"""Facts of tracks in, one SQLite file out; opened again as numpy columns to filter by and rows to show.

`tracks` holds what is shown, one row a track, ordered by track_id, so that row order is id order. `columns`
holds the same numbers as little-endian float64 blobs (NaN where a fact is missing), `postings` the ascending
int32 rows of every genre and mood: both load without a Python object per row (docs/adr/0002).
"""

import json
import sqlite3
import weakref
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from index_builder.keys import key_name
from model.errors import Corrupt, NotFound

FACETS = ("genres", "moods")
NUMBERS = ("bpm", "loudness_lufs", "energy", "duration_s")

_SCHEMA = """
CREATE TABLE tracks
    (row INTEGER PRIMARY KEY, track_id TEXT NOT NULL UNIQUE, media_sha256 TEXT NOT NULL, facts TEXT NOT NULL);
CREATE TABLE columns (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE postings (facet TEXT, value TEXT, rows BLOB NOT NULL, PRIMARY KEY (facet, value)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """What is known of one track; None where nothing is."""

    track_id: str
    media_sha256: str
    duration_s: float
    path: str = ""  # below the pool, with slashes
    external_id: str | None = None
    title: str | None = None
    artist: str | None = None
    genres: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    bpm: float | None = None
    key: str | None = None
    loudness_lufs: float | None = None
    energy: float | None = None
    vocals: bool | None = None
    explicit: bool | None = None
    measured: tuple[str, ...] = ()  # names of the facts above that we measured, the rest was told us


def facet_key(value: str) -> str:
    """How genres and moods are compared: without case and outer spaces."""
    return value.strip().casefold()


def write_catalogue(path: Path, tracks: Sequence[TrackFacts]) -> None:
    """Write a new file; `tracks` must be in ascending order of track_id.

    The same tracks give the same bytes, so that a rebuilt snapshot keeps its id.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        # the folder appears whole or not at all, so SQLite's own journal would only cost time
        database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {_SCHEMA} BEGIN;")
        database.executemany("INSERT INTO tracks VALUES (?, ?, ?, ?)", map(_row, range(len(tracks)), tracks))
        for name in NUMBERS:
            column = np.array([getattr(track, name) for track in tracks], "<f8")  # None becomes NaN
            database.execute("INSERT INTO columns VALUES (?, ?)", (name, column.tobytes()))
        for facet in FACETS:
            postings = _postings(getattr(track, facet) for track in tracks)
            rows = ((facet, value, np.array(postings[value], "<i4").tobytes()) for value in sorted(postings))
            database.executemany("INSERT INTO postings VALUES (?, ?, ?)", rows)
        database.execute("COMMIT")


def _row(row: int, track: TrackFacts) -> tuple[int, str, str, str]:
    facts = {field.name: getattr(track, field.name) for field in fields(track)}
    del facts["track_id"], facts["media_sha256"]
    return row, track.track_id, track.media_sha256, json.dumps(facts, ensure_ascii=False)


def _postings(values: Iterable[tuple[str, ...]]) -> dict[str, list[int]]:
    postings: dict[str, list[int]] = {}
    for row, several in enumerate(values):
        for value in sorted({facet_key(one) for one in several}):
            postings.setdefault(value, []).append(row)
    return postings


# How the values of a fact that is one word are compared.
FOLDS: dict[str, Callable[[Any], Hashable]] = {
    "artist": facet_key,
    "key": lambda told: key_name(told) or facet_key(told),
    "vocals": bool,  # SQLite says 1 and 0
    "explicit": bool,
}


@dataclass(frozen=True, slots=True)
class Coded:
    """One fact of every track as a number; in shapes, m tracks."""

    codes: NDArray[np.int32]  # (m,) which value; -1 where the fact is missing
    values: dict[Hashable, int]  # value, folded -> its code
    fold: Callable[[Any], Hashable]

    def any_of(self, wanted: Iterable[Any]) -> NDArray[np.bool_]:
        """(m,) whose fact is one of those; a missing one never is."""
        known = [code for one in wanted if (code := self.values.get(self.fold(one))) is not None]
        return np.isin(self.codes, known)


class Catalogue:
    """A catalogue opened read-only; any thread may ask."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path = path
        self._database = database
        self._turn = Lock()  # one statement at a time on the one connection
        self.columns: dict[str, NDArray[np.float64]] = {}  # each (m,), NaN where missing
        self._postings: dict[tuple[str, str], NDArray[np.int32]] = {}
        self._coded: dict[str, Coded] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the numpy side into memory, leave the rows on disk.

        Raises:
            Corrupt: if it is no catalogue of ours.
        """
        if not path.is_file():
            raise Corrupt(f"{path} is missing: build the snapshot again")
        address = (
            f"{path.absolute().as_uri()}?mode=ro&immutable=1"  # never written again: no locks, no journal
        )
        database = sqlite3.connect(address, uri=True, check_same_thread=False)
        catalogue = cls(path, database)
        weakref.finalize(catalogue, database.close)  # a snapshot is dropped when its last request ends
        try:
            for name, data in database.execute("SELECT name, data FROM columns"):
                catalogue.columns[name] = np.frombuffer(data, "<f8")
            for facet, value, data in database.execute("SELECT facet, value, rows FROM postings"):
                catalogue._postings[facet, value] = np.frombuffer(data, "<i4")
        except sqlite3.DatabaseError as error:
            raise Corrupt(f"{path} is no catalogue ({error}): build the snapshot again") from error
        if set(catalogue.columns) != set(NUMBERS):
            raise Corrupt(f"{path} lacks columns: build the snapshot again")
        return catalogue

    def __len__(self) -> int:
        return len(self.columns["duration_s"])

    @cached_property
    def track_ids(self) -> tuple[str, ...]:
        """(m,) ascending."""
        with self._turn:
            return tuple(one for (one,) in self._database.execute("SELECT track_id FROM tracks ORDER BY row"))

    def media(self) -> set[str]:
        """sha256 of every track's file."""
        with self._turn:
            return {one for (one,) in self._database.execute("SELECT DISTINCT media_sha256 FROM tracks")}

    def row_of(self, track_id: str) -> int:
        """The row of a track; raises `NotFound`."""
        rows = self.rows_of([track_id])
        if len(rows) == 0:
            raise NotFound(f"no track {track_id!r} in this snapshot")
        return int(rows[0])

    def rows_of(self, track_ids: Iterable[str]) -> NDArray[np.int64]:
        """Rows of those ids that are here, in the order asked."""
        query = "SELECT row FROM tracks WHERE track_id = ?"
        with self._turn:
            found = [self._database.execute(query, (one,)).fetchone() for one in track_ids]
        return np.array([row[0] for row in found if row is not None], np.int64)

    def postings(self, facet: str, value: str) -> NDArray[np.int32]:
        """Ascending rows of the tracks that have a genre or mood."""
        return self._postings.get((facet, facet_key(value)), np.zeros(0, np.int32))

    def coded(self, fact: str) -> Coded:
        """One of `FOLDS` of every track; read from the rows when it is first asked for, then kept.

        Not a column of the file: then every snapshot would have to be built again before it could be
        filtered by it. The first time costs about 3 s for a million tracks, later ones nothing.
        """
        if fact not in self._coded:
            with self._turn:
                if fact not in self._coded:  # whoever came at the same time may have read it
                    self._coded[fact] = self._code(fact)
        return self._coded[fact]

    def _code(self, fact: str) -> Coded:
        """Called with the lock held."""
        fold, values = FOLDS[fact], dict[Hashable, int]()
        query = "SELECT json_extract(facts, ?) FROM tracks ORDER BY row"
        told = self._database.execute(query, (f"$.{fact}",))
        codes = [-1 if one is None else values.setdefault(fold(one), len(values)) for (one,) in told]
        return Coded(np.array(codes, np.int32), values, fold)

    def values(self, facet: str) -> dict[str, int]:
        """Every genre or mood there is, folded, with how many tracks have it."""
        return {value: len(rows) for (name, value), rows in sorted(self._postings.items()) if name == facet}

    def facts(self, row: int) -> dict[str, Any]:
        """Everything known of a track, by the names of `TrackFacts`; JSON types only."""
        query = "SELECT track_id, media_sha256, facts FROM tracks WHERE row = ?"
        with self._turn:
            found = self._database.execute(query, (int(row),)).fetchone()
        if found is None:
            raise NotFound(f"no track row {row} in this snapshot")
        track_id, media_sha256, facts = found
        return {"track_id": track_id, "media_sha256": media_sha256, **json.loads(facts)}
