"""From a pool to CURRENT: what a build gives, what a second one does not do again, what a kill leaves."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from index_builder import layout, previews
from index_builder.build import STAGES, BuildJob, BuildReport, Progress, build
from index_builder.lease import lease
from index_builder.search import rank
from index_builder.snapshot import Snapshot, activate, current, gc, list_snapshots, verify
from model.bundle import Bundle
from model.errors import BadPool, Corrupt, StoreLocked


def hashes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_what_a_build_gives(built: tuple[Path, BuildReport], pool: Path) -> None:
    store, report = built
    assert current(store) == report.snapshot
    assert (report.tracks, report.computed, report.reused, report.activated) == (4, 4, 0, True)
    assert [(one.name, one.code) for one in report.skipped] == [
        ("again.wav", "duplicate"),
        ("broken.mp3", "not_media"),
    ]
    assert report.audio_s == pytest.approx(8 + 16 + 21 + 26)
    assert set(report.timings_s) == set(STAGES) - {"done"}
    assert set(report.cpu_s) == {"decode", "features", "facts", "preview", "tower"}
    snapshot = Snapshot.open(store, report.snapshot)
    assert report.segments == len(snapshot.embeddings)
    for row in range(4):
        assert previews.there(store, snapshot.catalogue.facts(row)["media_sha256"])
    gate = json.loads((layout.snapshots(store) / report.snapshot / "gate.json").read_text())
    assert [one["name"] for one in gate["skipped"]] == ["again.wav", "broken.mp3"]


def test_told_facts_stay_and_missing_ones_are_measured(built: tuple[Path, BuildReport]) -> None:
    catalogue = Snapshot.open(built[0], built[1].snapshot).catalogue
    low, mid = (catalogue.facts(catalogue.row_of(one)) for one in ("low", "mid"))
    assert (low["bpm"], low["key"], low["title"], low["genres"]) == (
        120.0,
        "C minor",
        "Low one",
        ["pop", "dance"],
    )
    assert low["measured"] == ["loudness_lufs", "energy", "duration_s"]
    assert mid["measured"] == ["bpm", "key", "loudness_lufs", "energy", "duration_s"]
    assert mid["bpm"] == pytest.approx(90.0, rel=0.02)  # 1.5 strokes a second
    assert mid["key"].startswith("A")
    assert -60 < mid["loudness_lufs"] < 0
    assert mid["path"] == "deep/mid.wav"


def test_a_second_build_computes_nothing_and_gives_the_same_snapshot(
    store: Path, pool: Path, bundle: Path
) -> None:
    before = {name: hashes(store / name) for name in ("features", "media", "snapshots", "bundles")}
    told: list[Progress] = []
    report = build(BuildJob(pool, store, bundle), told.append)
    assert (report.computed, report.reused, report.audio_s) == (0, 4, 0.0)
    assert set(report.cpu_s) == {"tower"}  # nothing was decoded
    assert {name: hashes(store / name) for name in before} == before
    assert list(dict.fromkeys(one.stage for one in told)) == list(STAGES)
    assert [one.progress for one in told] == sorted(one.progress for one in told)
    assert (told[0].progress, told[-1].progress) == (0.0, 1.0)
    embed = [one for one in told if one.stage == "embed"]
    assert [(one.done, one.total) for one in embed[1:]] == [(i, 5) for i in range(1, 6)]
    assert embed[-1].eta_s == 0.0


def test_recompute_computes_all_again_to_the_same_bits(store: Path, pool: Path, bundle: Path) -> None:
    named = current(store)
    report = build(BuildJob(pool, store, bundle, recompute=True, processes=1), lambda _: None)
    assert (report.computed, report.reused) == (4, 0)
    assert report.snapshot == named


def test_a_new_bundle_reuses_every_feature(store: Path, pool: Path, other_bundle: Path) -> None:
    old = str(current(store))
    report = build(BuildJob(pool, store, other_bundle, processes=1), lambda _: None)
    assert (report.computed, report.reused) == (0, 4)
    assert current(store) == report.snapshot != old
    assert Bundle.open(layout.bundles(store) / report.bundle).id == Bundle.open(other_bundle).id
    activate(store, old)  # back in one call
    verify(store, report.snapshot)


def test_a_new_track_is_all_that_is_computed(
    store: Path, pool: Path, bundle: Path, tmp_path: Path, tone: Callable[..., Path]
) -> None:
    for path in pool.glob("*.wav"):
        (tmp_path / "grown").mkdir(exist_ok=True)
        (tmp_path / "grown" / path.name).write_bytes(path.read_bytes())
    tone(tmp_path / "grown" / "new.wav", 17.0, 700.0, 2.5)
    report = build(BuildJob(tmp_path / "grown", store, bundle, activate=False, processes=1), lambda _: None)
    assert (report.computed, report.reused, report.activated) == (1, 3, False)
    assert current(store) != report.snapshot


def test_a_segment_finds_its_own_track(built: tuple[Path, BuildReport]) -> None:
    snapshot = Snapshot.open(built[0], built[1].snapshot)
    for row in range(len(snapshot.segments)):
        track, start_s, end_s = snapshot.segments[row].tolist()
        (best,) = rank(snapshot, np.array(snapshot.embeddings[row]), end_s - start_s, top_k=1)
        assert (best.track, best.score) == (track, 1.0)
        assert best.spans[0].start_s <= start_s


def test_damaged_bundles_are_refused_and_a_damaged_copy_is_replaced(
    store: Path, pool: Path, bundle: Path, tmp_path: Path
) -> None:
    copy = next(layout.bundles(store).iterdir())
    (copy / "music_tower.onnx").write_bytes(b"")
    assert build(BuildJob(pool, store, bundle, processes=1), lambda _: None).snapshot == current(store)
    verify(store, str(current(store)))
    with pytest.raises(Corrupt):
        build(BuildJob(pool, store, tmp_path), lambda _: None)


def test_two_builds_never_write_at_once(store: Path, pool: Path, bundle: Path) -> None:
    with lease(store), pytest.raises(StoreLocked):
        build(BuildJob(pool, store, bundle), lambda _: None)


def test_a_pool_of_nothing_but_broken_files(store: Path, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.mp3").write_text("no music")
    named = current(store)
    with pytest.raises(BadPool, match=r"a\.mp3: "):
        build(BuildJob(tmp_path / "bad", store, bundle, processes=1), lambda _: None)
    assert current(store) == named


# Forks once for each boundary, so that the imports are paid once; a child kills itself when it gets there.
DRIVER = """
import os, signal, sys
from pathlib import Path
from index_builder.build import BuildJob, build
from index_builder.snapshot import current

pool, store, bundle, *boundaries = sys.argv[1:]
job = BuildJob(Path(pool), Path(store), Path(bundle), processes=1)
for boundary in boundaries:
    stage, done = boundary.split(":")
    def watch(progress):
        if (progress.stage, progress.done) == (stage, int(done)):
            os.kill(os.getpid(), signal.SIGKILL)
    child = os.fork()
    if child == 0:
        build(job, watch)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(boundary, status, current(Path(store)), flush=True)
"""


def kill_at(boundaries: list[str], pool: Path, store: Path, bundle: Path) -> list[tuple[str, int, str]]:
    """(boundary, exit status, CURRENT afterwards) of builds killed one after the other."""
    command = [sys.executable, "-c", DRIVER, str(pool), str(store), str(bundle), *boundaries]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # forks want no threads
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=200)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    return [(boundary, int(status), named) for boundary, status, named in lines]


def test_a_kill_at_any_boundary_leaves_current_old_or_new(
    store: Path, pool: Path, other_bundle: Path
) -> None:
    old = str(current(store))
    boundaries = [
        "bundle:0",
        "read:0",
        "read:6",
        "embed:0",
        "embed:2",
        "embed:5",
        "write:0",
        "gate:0",
        "commit:0",
    ]
    boundaries += ["activate:0", "done:0"]
    assert {boundary.split(":")[0] for boundary in boundaries} == set(STAGES)
    found = kill_at(boundaries, pool, store, other_bundle)
    new = found[-1][2]
    assert new != old
    assert found == [
        (boundary, -signal.SIGKILL, new if boundary == "done:0" else old) for boundary in boundaries
    ]
    for info in list_snapshots(store):
        verify(store, info.id)
    report = build(BuildJob(pool, store, other_bundle, processes=1), lambda _: None)
    assert (report.snapshot, report.computed) == (new, 0)
    assert gc(store).leftovers > 0
    verify(store, new)


@pytest.mark.slow
def test_a_killed_first_build_keeps_its_finished_tracks(
    tmp_path: Path, pool: Path, bundle: Path, built: tuple[Path, BuildReport]
) -> None:
    store = tmp_path / "store"
    assert kill_at(["embed:3"], pool, store, bundle) == [("embed:3", -signal.SIGKILL, "None")]
    finished = len(list(layout.media(store).iterdir()))
    assert finished >= 2  # of three files, one may have been the one that is no music
    report = build(BuildJob(pool, store, bundle, processes=1), lambda _: None)
    assert (report.computed, report.reused) == (4 - finished, finished)
    assert report.snapshot == built[1].snapshot == current(store)
