"""STORE/snapshots in, one opened snapshot out; which one is CURRENT, which may be, and which are removed."""

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from index_builder import layout
from index_builder.catalogue import Catalogue
from index_builder.gpu_search import open_search
from index_builder.lease import lease, pointer
from index_builder.search import PlacedSearch
from model.artifact import ASIDE, content_id, fsync_folder, read_manifest, write_file
from model.bundle import Bundle
from model.errors import Corrupt, Mismatch, NotFound
from model.grid import Grid
from model.runtime.accelerator import Accelerator

MANIFEST = "snapshot.json"
SCHEMA_VERSION = 1
SEGMENT = np.dtype([("track", "<i4"), ("start_s", "<f8"), ("end_s", "<f8")])
_ID = re.compile("[0-9a-f]{16}")  # what `content_id` gives; anything else could lead out of the folder
CPU = Accelerator("cpu")
KEEP = 2  # snapshots besides CURRENT that a clean-up leaves, to roll back to


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An index that can be searched; in shapes, n segments of m tracks in d dimensions."""

    id: str
    bundle_id: str
    grid: Grid
    embeddings: NDArray[np.float32]  # (n, d) unit rows, memory-mapped
    segments: NDArray[Any]  # (n,) of SEGMENT, grouped by track, ascending
    first_segment: NDArray[np.int64]  # (m + 1,) where each track's segments begin
    durations_s: NDArray[np.float64]  # (m,)
    catalogue: Catalogue  # m rows, in the order of track_id
    search: PlacedSearch

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.embeddings.shape[1])

    @classmethod
    def open(
        cls, store: Path, snapshot_id: str, *, verify: bool = True, accelerator: Accelerator = CPU
    ) -> Self:
        """Read a snapshot; what it costs is one hash and one copy of the embeddings.

        Raises:
            NotFound: if the store has no such snapshot.
            Corrupt: if a file is missing or differs from snapshot.json.
            NoAccelerator: if the search has to run on a GPU and cannot.
        """
        folder = _folder(store, snapshot_id)
        return cls.read(folder, snapshot_id, verify=verify, accelerator=accelerator)

    @classmethod
    def read(
        cls, folder: Path, snapshot_id: str, *, verify: bool = True, accelerator: Accelerator = CPU
    ) -> Self:
        """The same from the snapshot's own folder, wherever it lies."""
        manifest = read_manifest(folder, MANIFEST, verify=verify)
        if verify and content_id(manifest) != snapshot_id:
            raise Corrupt(f"{folder / MANIFEST} was changed after it was written: build the snapshot again")
        if manifest.get("schema_version") != SCHEMA_VERSION:
            found = manifest.get("schema_version")
            raise Mismatch(
                f"{folder} has snapshot schema {found}, this version reads {SCHEMA_VERSION}: build it again"
            )
        catalogue = Catalogue.open(folder / "catalogue.sqlite")
        vectors = folder / "embeddings.npy"
        segments = np.load(folder / "segments.npy", allow_pickle=False)
        return cls(
            id=snapshot_id,
            bundle_id=manifest["bundle"],
            grid=Grid(**manifest["grid"]),
            embeddings=np.load(vectors, mmap_mode="r", allow_pickle=False),
            segments=segments,
            first_segment=np.searchsorted(segments["track"], np.arange(len(catalogue) + 1)).astype(np.int64),
            durations_s=catalogue.columns["duration_s"],
            catalogue=catalogue,
            # From a map of its own, which goes when FAISS has its copy: pages that were read stay resident.
            search=open_search(np.load(vectors, mmap_mode="r", allow_pickle=False), accelerator),
        )


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """One line of `yuyin index list`."""

    id: str
    bundle_id: str
    tracks: int
    segments: int
    used_s: float  # Unix time when it was built or last activated
    current: bool
    passed: bool  # its gate


def current(store: Path) -> str | None:
    """The id that CURRENT names; None in a store without one."""
    try:
        return layout.current_file(store).read_text("ascii").strip() or None
    except FileNotFoundError:
        return None


def activate(store: Path, snapshot_id: str, *, verified: bool = False) -> None:
    """Make a snapshot CURRENT, atomically; any fault changes nothing.

    Args:
        store: where it lies.
        snapshot_id: of the snapshot.
        verified: whether the caller has just opened it and its bundle: twice is a second index in memory.

    Raises:
        NotFound: if the store has no such snapshot.
        Corrupt: if it or its bundle fails its hashes, or it did not pass its gate.
    """
    with pointer(store):
        if not verified:
            verify(store, snapshot_id)
        failed = failed_checks(_folder(store, snapshot_id))
        if failed:
            raise Corrupt(
                f"snapshot {snapshot_id} did not pass its gate ({', '.join(failed)}): see its gate.json"
            )
        write_file(layout.current_file(store), f"{snapshot_id}\n".encode())
        _folder(store, snapshot_id).touch()  # `list` and `gc` order snapshots by it


def verify(store: Path, snapshot_id: str) -> None:
    """Hash every file of a snapshot and of its bundle, and open both.

    Raises:
        NotFound: if the store lacks the snapshot.
        Corrupt: if anything differs from what was written.
        Mismatch: if the two do not belong together.
    """
    snapshot = Snapshot.open(store, snapshot_id)
    bundle = Bundle.open(layout.bundles(store) / snapshot.bundle_id)
    if (bundle.id, bundle.dim) != (snapshot.bundle_id, snapshot.dim):
        raise Mismatch(f"snapshot {snapshot_id} was not made by the bundle {bundle.id}: build it again")


def failed_checks(folder: Path) -> list[str]:
    """Names of the checks in gate.json that a snapshot did not pass."""
    gate = json.loads((folder / "gate.json").read_text("utf-8"))
    return [check["name"] for check in gate["checks"] if not check["passed"]]


def list_snapshots(store: Path) -> list[SnapshotInfo]:
    """Every snapshot of the store, last used first; folders that cannot be read are left out."""
    named = current(store)
    found = []
    for folder in layout.snapshots(store).glob("*"):
        if folder.name.startswith(ASIDE):
            continue
        try:
            manifest = read_manifest(folder, MANIFEST, verify=False)
            passed = not failed_checks(folder)
        except (Corrupt, OSError, ValueError):
            continue
        counts = manifest["tracks"], manifest["segments"]
        used_s = folder.stat().st_mtime
        found.append(
            SnapshotInfo(folder.name, manifest["bundle"], *counts, used_s, folder.name == named, passed)
        )
    return sorted(found, key=lambda info: (-info.used_s, info.id))


@dataclass(frozen=True, slots=True)
class Collected:
    """What a clean-up removed."""

    snapshots: tuple[str, ...]
    bundles: tuple[str, ...]
    media: int
    leftovers: int  # of runs that were killed


def gc(store: Path, *, keep: int = KEEP, also: Collection[str] = ()) -> Collected:
    """Remove what nothing needs: all snapshots but CURRENT, the `keep` last used others, and those in `also`.

    Bundles and previews go with the last snapshot that names them. Features stay: they are what makes the
    next build cheap.

    Raises:
        StoreLocked: while a build runs.
        NotFound: if one of `also` is not there.
        Corrupt: if a snapshot that is to stay cannot be read, since then nobody knows what it needs.
    """
    with lease(store), pointer(store):
        for snapshot_id in also:
            _folder(store, snapshot_id)
        infos = list_snapshots(store)
        named = {current(store), *also}
        others = [info for info in infos if info.id not in named]
        stay = {info.id: info.bundle_id for info in infos if info.id in named} | {
            info.id: info.bundle_id for info in others[:keep]
        }
        if current(store) not in {None, *stay}:
            raise Corrupt(
                f"CURRENT names {current(store)}, which cannot be read: activate another snapshot first"
            )
        media = _media_of(store, stay)
        return Collected(
            snapshots=_remove(layout.snapshots(store), stay),
            bundles=_remove(layout.bundles(store), set(stay.values())),
            media=len(_remove(layout.media(store), media)),
            leftovers=_sweep(store),
        )


def sweep(store: Path) -> int:
    """Remove what runs that were stopped left half written, and nothing else; returns how much it was.

    Raises:
        StoreLocked: while a build runs.
    """
    with lease(store), pointer(store):
        return _sweep(store)


def _folder(store: Path, snapshot_id: str) -> Path:
    folder = layout.snapshots(store) / snapshot_id
    if not _ID.fullmatch(snapshot_id) or not folder.is_dir():
        raise NotFound(f"no snapshot {snapshot_id!r} in this store: 'yuyin index list' shows what there is")
    return folder


def _media_of(store: Path, snapshot_ids: Collection[str]) -> set[str]:
    needed: set[str] = set()
    for snapshot_id in snapshot_ids:
        needed |= Catalogue.open(_folder(store, snapshot_id) / "catalogue.sqlite").media()
    return needed


def _remove(parent: Path, stay: Collection[str]) -> tuple[str, ...]:
    """Remove every folder of `parent` but those; each vanishes at once, under its name at least."""
    gone = sorted(p.name for p in parent.glob("*") if p.name not in stay and not p.name.startswith(ASIDE))
    for name in gone:
        aside = parent / f"{ASIDE}{name}"
        shutil.rmtree(aside, ignore_errors=True)  # of a clean-up that was killed
        (parent / name).rename(aside)
        shutil.rmtree(aside)
    if gone:
        fsync_folder(parent)
    return tuple(gone)


def _sweep(store: Path) -> int:
    """Remove what was being written when a run was killed."""
    places = ("", "bundles/", "snapshots/", "media/", "media/*/", "features/", "features/*/")
    leftovers = [path for place in places for path in store.glob(f"{place}{ASIDE}*")]
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(leftovers)
