import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from index_builder import snapshot as snapshots
from model.backbones.loaded import Backbones
from model.errors import Corrupt, Mismatch, NotFound, NotReady
from service.serving import Current, open_serving

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
