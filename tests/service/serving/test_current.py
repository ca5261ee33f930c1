import asyncio
import json
import shutil
import sqlite3
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from starlette.requests import ClientDisconnect

from index_builder import snapshot as snapshots
from index_builder.snapshot import Snapshot
from model.artifact import content_id, write_json
from model.backbones.loaded import Backbones
from model.errors import Corrupt, Mismatch, NotFound, NotReady
from model.features import paper
from model.features.inception import InceptionFrames
from model.media.streams import VideoInfo, VideoStreams
from model.runtime.accelerator import Accelerator
from model.runtime.graph_network import GraphNetwork
from service.serving.current import Current, _shared, open_serving
from service.serving.following import follow
from service.serving.workers import CLIENT_LEFT
from service.stores.memory import MemoryNotices
from service.stores.shared import SNAPSHOT

BACKBONES = Backbones(Path("no-models"))  # the profile of the shipped bundle needs none


def bundle_of(store: Path, snapshot_id: str) -> Path:
    manifest = json.loads((store / "snapshots" / snapshot_id / "snapshot.json").read_text())
    return store / "bundles" / str(manifest["bundle"])


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_an_empty_store_is_not_ready(tmp_path: Path) -> None:
    current = Current(tmp_path, BACKBONES)
    current.follow()
    assert current.peek() is None
    assert current.refusal is None
    with pytest.raises(NotReady, match="index build"):
        current.take()


def test_current_is_followed_and_what_was_taken_stays(both: Any) -> None:
    current = Current(both.store, BACKBONES)
    current.follow()
    taken = current.take()
    assert (taken.snapshot.id, taken.bundle.folder) == (both.old, bundle_of(both.store, both.old))
    snapshots.activate(both.store, both.new)  # `yuyin index activate` in another process
    current.follow()
    now = current.take()
    assert (now.snapshot.id, now.bundle.folder) == (both.new, bundle_of(both.store, both.new))
    assert taken.snapshot.id == both.old
    assert len(taken.snapshot.catalogue.facts(0)["track_id"]) > 0  # still usable
    current.follow()
    assert current.take() is now  # nothing is loaded twice


@pytest.mark.parametrize(
    "file", ["embeddings.npy", "catalogue.sqlite", "segments.npy", "snapshot.json", "bundle"]
)
def test_a_broken_next_snapshot_is_refused_and_the_old_pair_keeps_serving(both: Any, file: str) -> None:
    current = Current(both.store, BACKBONES)
    current.follow()
    before = current.take()
    snapshots.activate(both.store, both.new)
    if file == "bundle":
        shutil.rmtree(bundle_of(both.store, both.new))
    else:
        damage(both.store / "snapshots" / both.new / file)
    current.follow()
    assert current.take() is before
    refusal = current.refusal
    assert refusal is not None
    assert (refusal.snapshot_id, refusal.code) == (both.new, "corrupt")
    with pytest.raises(Corrupt):
        current.activate(both.new)
    assert current.take() is before


def test_a_refused_snapshot_is_served_once_it_is_mended(both: Any) -> None:
    bundle = bundle_of(both.store, both.new)
    bundle.rename(both.store / "aside")
    (both.store / "CURRENT").write_text(both.new)
    current = Current(both.store, BACKBONES)
    current.follow()
    assert current.peek() is None
    (both.store / "aside").rename(bundle)
    current.follow()  # too soon to hash all of it again
    assert current.peek() is None
    current.follow(again=True)
    assert current.take().snapshot.id == both.new
    assert current.refusal is None


def test_going_back_to_the_old_one_clears_the_refusal(both: Any) -> None:
    current = Current(both.store, BACKBONES)
    current.follow()
    (both.store / "CURRENT").write_text("0" * 16)
    current.follow()
    assert current.refusal is not None
    assert current.refusal.code == "not_found"
    (both.store / "CURRENT").write_text(both.old)
    current.follow()
    assert current.refusal is None
    assert current.take().snapshot.id == both.old


def test_activating_writes_current_and_serves_at_once(both: Any) -> None:
    current = Current(both.store, BACKBONES)
    current.follow()
    for wanted in (both.new, both.old):
        assert current.activate(wanted) is current.take()
        assert current.take().snapshot.id == snapshots.current(both.store) == wanted
    with pytest.raises(NotFound):
        current.activate("0" * 16)
    assert current.take().snapshot.id == snapshots.current(both.store) == both.old


OPENED: list[str] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith(".npy"):
        OPENED.append(str(arguments[0]))


def test_activating_reads_no_file_oftener_than_following(both: Any) -> None:
    """The interpreter tells of each file that is opened: a second time is a third index in memory."""
    current = Current(both.store, BACKBONES)
    sys.addaudithook(_hear)  # for good: nothing takes a hook away again
    OPENED.clear()
    current.follow()
    followed = Counter(Path(one).name for one in OPENED)
    OPENED.clear()
    current.activate(both.new)
    assert Counter(Path(one).name for one in OPENED) == followed
    assert followed["embeddings.npy"] > 0


def test_the_first_question_that_filters_reads_no_rows(both: Any) -> None:
    """SQLite tells of each statement."""
    catalogue = open_serving(both.store, both.old, BACKBONES).snapshot.catalogue
    statements: list[str] = []
    catalogue._database.set_trace_callback(statements.append)
    assert catalogue.coded("artist").codes.shape == (len(catalogue),)
    for fact in ("key", "vocals", "explicit"):
        catalogue.coded(fact)
    assert statements == []


@pytest.mark.parametrize("error", [MemoryError(), sqlite3.OperationalError("disk I/O error"), KeyError("id")])
def test_whatever_keeps_a_snapshot_from_being_loaded_it_is_not_tried_every_second(
    both: Any, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[str] = []

    def prepare(snapshot: Snapshot) -> None:
        tried.append(snapshot.id)
        if snapshot.id == both.new:
            raise error

    current = Current(both.store, BACKBONES, prepare=prepare)
    current.follow()
    snapshots.activate(both.store, both.new)
    for _ in range(3):
        current.follow()
    assert tried == [both.old, both.new]
    assert current.take().snapshot.id == both.old
    refusal = current.refusal
    assert refusal is not None
    assert (refusal.snapshot_id, refusal.code) == (both.new, "internal")
    assert type(error).__name__ in caplog.text


def test_a_snapshot_with_a_foreign_bundle_is_refused(both: Any) -> None:
    """Somebody swaps the folders of two bundles: each verifies, together they would rank nonsense."""
    old, new = bundle_of(both.store, both.old), bundle_of(both.store, both.new)
    old.rename(both.store / "aside")
    new.rename(old)
    (both.store / "aside").rename(new)
    with pytest.raises(Mismatch):
        open_serving(both.store, both.old, BACKBONES)


def test_a_vanished_current_changes_nothing(both: Any) -> None:
    current = Current(both.store, BACKBONES)
    current.follow()
    (both.store / "CURRENT").unlink()
    current.follow()
    assert current.take().snapshot.id == both.old


def test_a_current_that_cannot_be_read_changes_nothing_and_is_told(both: Any) -> None:
    current = Current(both.store, BACKBONES)
    current.follow()
    (both.store / "CURRENT").write_bytes(b"\xff\xfe")
    current.follow()
    assert current.take().snapshot.id == both.old
    refusal = current.refusal
    assert refusal is not None
    assert (refusal.snapshot_id, refusal.code) == ("CURRENT", "corrupt")
    current.follow()
    assert current.refusal is refusal  # said once, not every second
    (both.store / "CURRENT").write_text(both.old)
    current.follow()
    assert current.refusal is None


def without_bundle(store: Path, snapshot_id: str) -> str:
    """A copy that verifies, and whose manifest lacks what every manifest of ours has."""
    folder = store / "snapshots" / snapshot_id
    manifest = json.loads((folder / "snapshot.json").read_text())
    del manifest["bundle"]
    odd = content_id(manifest)
    shutil.copytree(folder, store / "snapshots" / odd)
    write_json(store / "snapshots" / odd / "snapshot.json", manifest)
    return odd


def test_following_goes_on_after_what_nobody_foresaw(both: Any, caplog: pytest.LogCaptureFixture) -> None:
    current = Current(both.store, BACKBONES)
    current.follow()
    (both.store / "CURRENT").write_text(odd := without_bundle(both.store, both.new))
    current.follow()
    refusal = current.refusal
    assert refusal is not None
    assert (refusal.snapshot_id, refusal.code) == (odd, "internal")
    looked = 0

    def look() -> None:
        nonlocal looked
        looked += 1
        if looked == 1:
            raise KeyError("bundle")
        current.follow()

    async def watched() -> None:
        with ThreadPoolExecutor(1) as loader:
            watching = asyncio.create_task(follow(MemoryNotices(), SNAPSHOT, look, loader, every_s=0.01))
            while "could not be followed" not in caplog.text and not watching.done():
                await asyncio.sleep(0.01)
            (both.store / "CURRENT").write_text(both.new)
            while current.take().snapshot.id != both.new and not watching.done():
                await asyncio.sleep(0.01)
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    asyncio.run(asyncio.wait_for(watched(), 30))
    assert current.take().snapshot.id == both.new


def test_on_a_cpu_nothing_more_is_computed_for_a_client_that_has_left(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.ones((3, 2048), np.float32), "w")
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["features"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, 299, 299])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["b", 2048])
    graph = helper.make_graph(nodes, "means", [x], [features], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "model.onnx")
    network = GraphNetwork(tmp_path / "model.onnx", Accelerator("cpu"))
    profile = replace(paper.profile(), video={"frames": InceptionFrames(network)})
    shared, devices = _shared(profile, 1.0)
    assert devices == {"frames": "cpu"}
    frames = np.full((3, 299, 299, 3), 255, np.uint8)
    info = VideoInfo(3.0, 299, 299, 1.0, 0, "h264")
    video = VideoStreams(frames, np.arange(3.0), np.empty((0, 0, 0), np.uint8), np.empty(0), 0.0, 3.0, info)
    left = threading.Event()
    token = CLIENT_LEFT.set(left)
    try:
        np.testing.assert_allclose(shared.video["frames"](video).values, 3.0, atol=1e-5)
        left.set()
        with pytest.raises(ClientDisconnect):
            shared.video["frames"](video)
    finally:
        CLIENT_LEFT.reset(token)
