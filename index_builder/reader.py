"""A pool's folder and its optional catalogue in, the tracks to index out, with what is odd about either."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from index_builder.cells import Reading, odd_columns, rights_columns
from index_builder.rights.cells import Faults, read_licence
from index_builder.rights.licence import NOTHING, Licence
from index_builder.rights.told import Catalogued
from index_builder.rows import Row, find_catalogue, read_rows
from model.artifact import sha256_of
from model.errors import BadPool

LOSSY = (".aac", ".m4a", ".mka", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".weba", ".webm", ".wma")
LOSSLESS = (".aif", ".aiff", ".caf", ".flac", ".wav", ".wv")
AUDIO_SUFFIXES = frozenset(LOSSY + LOSSLESS)
HASHING_THREADS = 4  # hashlib releases the GIL; more only fight for the disk
ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class PoolTrack:
    """One track to index; None where the catalogue says nothing."""

    path: Path  # resolved, below the pool
    name: str  # the same relative to the pool, with slashes
    media_sha256: str
    track_id: str  # "" until the file is hashed, where the catalogue gives none
    external_id: str | None = None
    title: str | None = None
    artist: str | None = None
    genres: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    bpm: float | None = None
    key: str | None = None
    vocals: bool | None = None
    explicit: bool | None = None
    licence: Licence = NOTHING


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or row that is not indexed, and why."""

    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pool:
    """What a pool's folder holds."""

    tracks: tuple[PoolTrack, ...]  # ascending by track_id, each id once
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    rights: Catalogued = field(default_factory=Catalogued)


def read_pool(folder: Path, progress: Callable[[int, int], None]) -> Pool:
    """List a pool and hash its files.

    A file without a row is a track of its own: its id is the first 16 hex digits of its sha256, which stays
    when the file moves; its title is the file's name. Where the same bytes lie under two names, rows of the
    catalogue stay, and a file without one is left out.

    Args:
        folder: searched recursively; hidden files are not looked at.
        progress: is told how many files are hashed, and of how many.

    Raises:
        BadPool: if there is no such folder, it holds no audio, the catalogue cannot be read, a path leads
            out of the pool, or two rows claim one track_id.
    """
    if not folder.is_dir():
        raise BadPool(f"{folder} is no folder: name the folder that your music lies in")
    root = folder.resolve()
    catalogue = find_catalogue(root)
    rows = read_rows(catalogue) if catalogue else []
    warnings = odd_columns(rows)
    faults = Faults(warnings)
    described = [_described(root, row, place, warnings, faults) for place, row in rows]
    _check_ids(described)
    known = {track.path for track in described}
    bare = [track for track in _bare(root) if track.path not in known]
    tracks, skipped = _hashed([*described, *bare], progress)
    rights = Catalogued(rights_columns(rows), _licences([*described, *tracks]))
    tracks, twice = _once(tracks)
    if not tracks and not skipped:
        raise BadPool(
            f"{folder} holds no audio file ({' '.join(sorted(AUDIO_SUFFIXES))}): name another folder"
        )
    ordered = sorted(tracks, key=lambda track: track.track_id)
    return Pool(tuple(ordered), (*skipped, *twice), tuple(warnings), rights)


def _described(root: Path, row: Row, place: int, warnings: list[str], faults: Faults) -> PoolTrack:
    """A row of the catalogue; its file need not be there."""
    reading = Reading(row, place, warnings)
    name = reading.text("path")
    if name is None:
        raise BadPool(f"row {place} of the catalogue has no path: give the file's path below the pool")
    path = (root / name).resolve()
    if not path.is_relative_to(root) or path == root:
        raise BadPool(
            f"row {place} of the catalogue: {name!r} leads out of the pool; paths must stay below it"
        )
    return PoolTrack(
        path=path,
        name=path.relative_to(root).as_posix(),
        media_sha256="",
        track_id=reading.text("track_id") or "",
        external_id=reading.text("external_id"),
        title=reading.text("title"),
        artist=reading.text("artist"),
        genres=reading.names("genres"),
        moods=reading.names("moods"),
        bpm=reading.positive("bpm"),
        key=reading.text("key"),
        vocals=reading.flag("vocals"),
        explicit=reading.flag("explicit"),
        licence=read_licence(reading, faults.of(place)),
    )


def _licences(tracks: Iterable[PoolTrack]) -> dict[str, Licence]:
    """By track id, of every row that has one, even if its file is missing today; the first row counts."""
    found: dict[str, Licence] = {}
    for track in tracks:
        if track.track_id:
            found.setdefault(track.track_id, track.licence)
    return found


def _check_ids(described: Iterable[PoolTrack]) -> None:
    seen: dict[str, str] = {}
    for track in described:
        if track.track_id and track.track_id in seen:
            raise BadPool(
                f"two rows of the catalogue have the track_id {track.track_id!r}: "
                f"{seen[track.track_id]!r} and {track.name!r}; give each its own"
            )
        seen[track.track_id] = track.name


def _bare(root: Path) -> list[PoolTrack]:
    """Audio files as tracks without facts; a link that leads out of the pool is not followed."""
    found = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.suffix.lower() not in AUDIO_SUFFIXES or any(part.startswith(".") for part in parts):
            continue
        place = path.resolve()
        if path.is_file() and place.is_relative_to(root):
            found.append(PoolTrack(place, path.relative_to(root).as_posix(), "", ""))
    return found


def _hashed(
    tracks: list[PoolTrack], progress: Callable[[int, int], None]
) -> tuple[list[PoolTrack], list[Skipped]]:
    """Fill in sha256, and the ids and titles that follow from the file."""
    done: list[PoolTrack] = []
    skipped: list[Skipped] = []
    with ThreadPoolExecutor(HASHING_THREADS) as threads:
        for i, (track, found) in enumerate(zip(tracks, threads.map(_hash, tracks), strict=True), 1):
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                track_id = track.track_id or found[:ID_DIGITS]
                title = track.title or Path(track.name).stem
                done.append(replace(track, media_sha256=found, track_id=track_id, title=title))
            progress(i, len(tracks))
    return done, skipped


def _hash(track: PoolTrack) -> str | Skipped:
    try:
        return sha256_of(track.path)
    except FileNotFoundError:
        return Skipped(track.name, "not_found", "the catalogue names it, the pool does not hold it")
    except OSError as error:
        return Skipped(track.name, "not_readable", f"{error.strerror}: check the file's permissions")


def _once(tracks: list[PoolTrack]) -> tuple[list[PoolTrack], list[Skipped]]:
    """Each track_id once; rows of the catalogue come first in `tracks`, so it is they that stay."""
    kept: dict[str, PoolTrack] = {}
    twice: list[Skipped] = []
    hashes: dict[str, str] = {}
    for track in tracks:
        derived = track.track_id == track.media_sha256[:ID_DIGITS]
        other = hashes.get(track.media_sha256) if derived else None
        if other is not None or track.track_id in kept:
            other = other or kept[track.track_id].name
            twice.append(Skipped(track.name, "duplicate", f"the same audio as {other!r}, which is indexed"))
            continue
        kept[track.track_id] = track
        hashes.setdefault(track.media_sha256, track.name)
    return list(kept.values()), twice
