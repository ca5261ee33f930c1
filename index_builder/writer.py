"""Tracks with their segments' vectors in, a snapshot folder out, whole or not at all."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index_builder import gate, layout
from index_builder.catalogue import TrackFacts, write_catalogue
from index_builder.embed import TrackVectors
from index_builder.reader import PoolTrack, Skipped
from index_builder.snapshot import MANIFEST, SCHEMA_VERSION, SEGMENT, Snapshot
from model.artifact import commit, content_id, hash_files, new_folder, write_json
from model.bundle import MANIFEST as BUNDLE_MANIFEST
from model.bundle import Bundle
from model.errors import Corrupt

TOLD = ("external_id", "title", "artist", "genres", "moods", "vocals", "explicit")
MEASURED = ("bpm", "key", "loudness_lufs", "energy", "duration_s")


@dataclass(frozen=True, slots=True)
class Indexed:
    """One track of the index."""

    track: PoolTrack
    vectors: TrackVectors


@dataclass(frozen=True, slots=True)
class Written:
    """A snapshot in its place."""

    id: str
    segments: int
    checks: list[gate.Check]


def keep_bundle(store: Path, folder: Path) -> Bundle:
    """Copy a bundle into the store, unless it is there; returns the copy, opened and verified.

    A copy that was damaged since is replaced.

    Raises:
        Corrupt: if the bundle itself is damaged.
        Mismatch: if this version cannot run it.
    """
    source = Bundle.open(folder)
    place = layout.bundles(store) / source.id
    with suppress(Corrupt):
        if place.exists():
            return Bundle.open(place)
    with new_folder(layout.bundles(store)) as aside:
        for name in (*source.manifest["files"], BUNDLE_MANIFEST):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, aside / name)  # not its mode: an installed one may be read-only
        shutil.rmtree(place, ignore_errors=True)
        commit(aside, place)
    return Bundle.open(place)


def facts_of(indexed: Indexed) -> TrackFacts:
    """What the catalogue says of a track, completed by what we measured."""
    track, found = indexed.track, indexed.vectors.facts
    measured = {name: getattr(found, name) for name in MEASURED if getattr(track, name, None) is None}
    told: dict[str, Any] = {name: getattr(track, name) for name in (*TOLD, "bpm", "key")}
    return TrackFacts(
        track_id=track.track_id,
        media_sha256=track.media_sha256,
        path=track.name,
        measured=tuple(name for name, value in measured.items() if value is not None),
        **(told | measured),
    )


def write_snapshot(
    store: Path,
    bundle: Bundle,
    index: list[Indexed],
    skipped: list[Skipped],
    stage: Callable[[str], None],
) -> Written:
    """Write, inspect and commit; the same tracks and bundle give the same id.

    Args:
        store: gets a folder below `snapshots`.
        bundle: that made the vectors.
        index: at least one track, ascending by track_id.
        skipped: the ledger of what was left out.
        stage: is told when the next one begins.
    """
    stage("write")
    with new_folder(layout.snapshots(store)) as aside:
        segments = _write_arrays(aside, index)
        write_catalogue(aside / "catalogue.sqlite", [facts_of(one) for one in index])
        manifest: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "bundle": bundle.id,
            "profile": bundle.profile,
            "grid": asdict(bundle.grid),
            "dim": bundle.dim,
            "tracks": len(index),
            "segments": segments,
            "index": "flat",
        }
        write_json(aside / MANIFEST, manifest | {"files": hash_files(aside, manifest=MANIFEST)})
        stage("gate")
        failed = sum(one.code != "duplicate" for one in skipped)
        snapshot = Snapshot.read(aside, "", verify=False)
        checks = gate.inspect(snapshot, bundle, failed=failed, offered=failed + len(index))
        write_json(aside / "gate.json", gate.report(checks, [asdict(one) for one in skipped]))
        manifest["files"] = hash_files(aside, manifest=MANIFEST)
        write_json(aside / MANIFEST, manifest)
        stage("commit")
        snapshot_id = content_id(json.loads((aside / MANIFEST).read_text("utf-8")))
        _put(aside, layout.snapshots(store) / snapshot_id)
    return Written(snapshot_id, segments, checks)


def _write_arrays(folder: Path, index: list[Indexed]) -> int:
    embeddings: NDArray[np.float32] = np.concatenate([one.vectors.embeddings for one in index])
    segments = np.zeros(len(embeddings), SEGMENT)
    counts = [len(one.vectors.segments_s) for one in index]
    segments["track"] = np.repeat(np.arange(len(index)), counts)
    bounds = np.concatenate([one.vectors.segments_s for one in index])
    segments["start_s"], segments["end_s"] = bounds[:, 0], bounds[:, 1]
    np.save(folder / "embeddings.npy", embeddings.astype("<f4"))
    np.save(folder / "segments.npy", segments)
    return len(segments)


def _put(aside: Path, place: Path) -> None:
    """Commit a snapshot; one of the same id whose files were damaged since gives way."""
    if place.exists():
        try:
            Snapshot.read(place, place.name)
            place.touch()  # it is the newest again
            return
        except Corrupt:
            shutil.rmtree(place)
    commit(aside, place)
