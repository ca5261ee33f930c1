"""Snapshots are opened whole or refused; CURRENT only ever names a good one; clean-up keeps what lives."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index_builder import layout
from index_builder.build import BuildReport
from index_builder.lease import lease
from index_builder.snapshot import (
    Snapshot,
    activate,
    current,
    gc,
    list_snapshots,
    verify,
)
from model.artifact import ASIDE, content_id, write_file
from model.errors import ArtifactError, Corrupt, NotFound, StoreLocked
from model.grid import Grid


def variant(store: Path, note: int) -> str:
    """Another good snapshot with another id, built an hour later than the one before."""
    source = layout.snapshots(store) / str(current(store))
    manifest = json.loads((source / "snapshot.json").read_text()) | {"note": note}
    place = layout.snapshots(store) / content_id(manifest)
    shutil.copytree(source, place)
    (place / "snapshot.json").write_text(json.dumps(manifest))
    os.utime(place, (note * 3600, note * 3600))
    return place.name


def test_a_built_snapshot_says_what_it_holds(built: tuple[Path, BuildReport]) -> None:
    store, report = built
    snapshot = Snapshot.open(store, report.snapshot)
    assert (snapshot.id, snapshot.bundle_id, snapshot.dim) == (report.snapshot, report.bundle, 8)
    assert snapshot.grid == Grid()
    assert snapshot.catalogue.track_ids[1:] == ("high", "low", "mid")
    assert sorted(snapshot.durations_s.tolist()) == [8.0, 16.0, 21.0, 26.0]
    assert np.diff(snapshot.first_segment).tolist() == [
        len(Grid().starts(duration_s)) for duration_s in snapshot.durations_s
    ]
    assert np.allclose(np.linalg.norm(snapshot.embeddings, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "name", ["embeddings.npy", "segments.npy", "catalogue.sqlite", "gate.json", "snapshot.json"]
)
@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_snapshot_is_refused(store: Path, name: str, damage: str) -> None:
    named = str(current(store))
    path = layout.snapshots(store) / named / name
    if damage == "missing":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    for attempt in (Snapshot.open, verify, activate):
        with pytest.raises(Corrupt, match="build"):
            attempt(store, named)


def test_a_manifest_that_was_rewritten_is_refused(store: Path) -> None:
    named = str(current(store))
    path = layout.snapshots(store) / named / "snapshot.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"bundle": "another"}))
    with pytest.raises(Corrupt, match="changed"):
        Snapshot.open(store, named)


@pytest.mark.parametrize("name", ["", "nothing", "..", "../snapshots", ".part-1", "a/b", "."])
def test_what_is_no_snapshot_is_not_found(store: Path, name: str) -> None:
    layout.snapshots(store).joinpath(".part-1").mkdir()
    for attempt in (Snapshot.open, verify, activate):
        with pytest.raises(NotFound):
            attempt(store, name)


@pytest.mark.parametrize("damage", ["snapshot", "bundle", "no bundle"])
def test_activating_a_broken_pair_changes_nothing(store: Path, damage: str) -> None:
    named = str(current(store))
    other = variant(store, 1)
    match damage:
        case "snapshot":
            (layout.snapshots(store) / other / "segments.npy").write_bytes(b"")
        case "bundle":
            bundle = next(layout.bundles(store).iterdir())
            (bundle / "music_tower.onnx").write_bytes(b"")
        case "no bundle":
            shutil.rmtree(layout.bundles(store))
    with pytest.raises(ArtifactError):
        activate(store, other)
    assert current(store) == named


def test_activate_and_back(store: Path) -> None:
    first = str(current(store))
    second = variant(store, 1)
    activate(store, second)
    assert current(store) == second
    assert [info.id for info in list_snapshots(store) if info.current] == [second]
    activate(store, first)
    assert current(store) == first


def test_what_was_verified_before_is_not_hashed_again_but_still_checked(store: Path) -> None:
    named, other = str(current(store)), variant(store, 1)
    folder = layout.snapshots(store) / other
    gate = json.loads((folder / "gate.json").read_text())
    failing = {"checks": [{"name": "spread", "passed": False}]}
    (folder / "gate.json").write_text(json.dumps(gate | failing))
    with pytest.raises(Corrupt, match="spread"):
        activate(store, other, verified=True)
    with pytest.raises(NotFound):
        activate(store, "0" * 16, verified=True)
    assert current(store) == named
    (folder / "gate.json").write_text(json.dumps(gate))
    activate(store, other, verified=True)
    assert current(store) == other


def test_a_store_without_snapshots(tmp_path: Path) -> None:
    assert current(tmp_path) is None
    assert list_snapshots(tmp_path) == []
    assert gc(tmp_path).snapshots == ()


def test_list_is_newest_first_and_leaves_wrecks_out(store: Path) -> None:
    first = str(current(store))
    others = [variant(store, note) for note in (1, 2, 3)]
    (layout.snapshots(store) / others[1] / "snapshot.json").write_text("half a li")
    infos = list_snapshots(store)
    assert [info.id for info in infos] == [first, others[2], others[0]]
    assert infos[0].current
    assert all((info.tracks, info.passed) == (4, True) for info in infos)


def test_gc_keeps_current_the_last_two_and_what_is_named(store: Path) -> None:
    first = str(current(store))
    others = [variant(store, note) for note in range(1, 6)]
    removed = gc(store, also=[others[0]])
    assert set(removed.snapshots) == {others[1], others[2]}
    assert {info.id for info in list_snapshots(store)} == {first, others[0], others[3], others[4]}
    for info in list_snapshots(store):
        verify(store, info.id)


def test_gc_keeps_features_and_the_media_and_bundles_that_live(store: Path) -> None:
    features = sorted(path.name for path in layout.features(store).rglob("*"))
    live = Snapshot.open(store, str(current(store))).catalogue.media()
    (layout.media(store) / ("0" * 64)).mkdir()
    shutil.copytree(next(layout.bundles(store).iterdir()), layout.bundles(store) / "unused")
    removed = gc(store)
    assert (removed.bundles, removed.media, removed.snapshots) == (("unused",), 1, ())
    assert {path.name for path in layout.media(store).iterdir()} == live
    assert sorted(path.name for path in layout.features(store).rglob("*")) == features
    verify(store, str(current(store)))


def test_gc_sweeps_what_kills_left(store: Path) -> None:
    media = next(layout.media(store).iterdir())
    for place in (store, layout.bundles(store), layout.snapshots(store), layout.media(store), media):
        (place / f"{ASIDE}file").write_text("half")
        (place / f"{ASIDE}folder").mkdir()
    (next(layout.features(store).iterdir()) / f"{ASIDE}shard").mkdir()
    assert gc(store).leftovers == 11
    assert not list(store.rglob(f"{ASIDE}*"))


def test_gc_waits_for_no_build_and_refuses_in_doubt(store: Path) -> None:
    with lease(store), pytest.raises(StoreLocked):
        gc(store)
    with pytest.raises(NotFound):
        gc(store, also=["nothing"])
    write_file(layout.current_file(store), b"vanished\n")
    with pytest.raises(Corrupt, match="CURRENT"):
        gc(store)
    assert len(list_snapshots(store)) == 1


def test_an_open_snapshot_outlives_its_folder(store: Path) -> None:
    """A request that began before the clean-up ends on the snapshot it began with."""
    snapshot = Snapshot.open(store, str(current(store)))
    before = np.array(snapshot.embeddings)
    shutil.rmtree(layout.snapshots(store))
    assert np.array_equal(snapshot.embeddings, before)
    assert snapshot.catalogue.facts(2)["track_id"] == "low"
    assert replace(snapshot, id="x").catalogue.row_of("mid") == 3
