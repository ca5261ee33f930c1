import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.errors import NoSandbox
from model.media.child import Decoder
from model.media.sandbox import Guards
from service.app import create_app
from service.serving import room
from service.settings import Settings

HOST = "http://127.0.0.1:8000"


def test_a_ready_service_says_what_it_is(client: TestClient, built_store: Path) -> None:
    current = (built_store / "CURRENT").read_text().strip()
    assert client.get("/livez").json() == {"status": "alive"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert set(ready.json()["parts"].values()) == {"ok"}
    version = client.get("/version").json()
    assert version["snapshot"] == ready.json()["snapshot"] == current
    assert (built_store / "bundles" / version["bundle"] / "bundle.json").is_file()
    assert version["tags"] == ["happy", "calm"]
    assert version["recipe"]["extractors"]["frames"].startswith("lite-frames@")


@pytest.mark.parametrize("exists", [False, True])
def test_without_a_snapshot_it_lives_and_says_which_part_is_missing(tmp_path: Path, exists: bool) -> None:
    store = tmp_path / "store"
    if exists:
        store.mkdir()
    with TestClient(create_app(Settings(store=store)), base_url=HOST) as client:
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert "snapshot" in ready.json()["detail"]
        assert ("store" in ready.json()["detail"]) is not exists
        assert client.get("/version").json()["snapshot"] is None
        for answer in (
            client.post("/recommend", content=b"x"),
            client.get("/v1/tracks"),
            client.get("/v1/tracks/alpha/audio"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert "retry-after" in answer.headers


def test_a_store_that_is_filled_later_is_taken_up(tmp_path: Path, built_store: Path) -> None:
    settings = Settings(store=tmp_path / "store", follow_s=0.02)
    with TestClient(create_app(settings), base_url=HOST) as client:
        assert client.get("/readyz").status_code == 503
        shutil.copytree(built_store, tmp_path / "aside")
        (tmp_path / "aside").rename(tmp_path / "store")
        for _ in range(500):
            if client.get("/readyz").status_code == 200:
                break
        assert client.get("/v1/tracks").json()["total"] == 5


@pytest.mark.parametrize("what", ["bundle", "embeddings", "catalogue", "manifest"])
def test_a_damaged_store_is_not_served_but_told(store: Path, what: str) -> None:
    snapshot = store / "snapshots" / (store / "CURRENT").read_text().strip()
    (bundle,) = (store / "bundles").iterdir()
    paths = {
        "bundle": bundle / "video_tower.onnx",
        "embeddings": snapshot / "embeddings.npy",
        "catalogue": snapshot / "catalogue.sqlite",
        "manifest": snapshot / "snapshot.json",
    }
    data = bytearray(paths[what].read_bytes())
    data[len(data) // 2] ^= 1
    paths[what].write_bytes(data)
    with TestClient(create_app(Settings(store=store)), base_url=HOST) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
        assert "refused (corrupt)" in ready.json()["detail"]
        assert str(store) not in ready.text
        assert client.post("/recommend", content=b"x").status_code == 503


def test_a_broken_current_degrades_it_and_the_old_pair_keeps_answering(store: Path, clip: bytes) -> None:
    old = (store / "CURRENT").read_text().strip()
    with TestClient(create_app(Settings(store=store, follow_s=0.02)), base_url=HOST) as client:
        (store / "CURRENT").write_text("0" * 16)
        for _ in range(500):
            if client.get("/readyz").json()["status"] == "degraded":
                break
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"], ready.json()["snapshot"]) == (200, "degraded", old)
        assert "0" * 16 in ready.json()["parts"]["snapshot"]
        answer = client.post("/recommend", content=clip)
        assert (answer.status_code, answer.json()["snapshot"]) == (200, old)


def full(parts: Any) -> ExitStack:
    """Every place taken, as by uploads that are on their way."""
    taken = ExitStack()
    for _ in range(parts.settings.in_flight + parts.settings.queue):
        taken.enter_context(parts.workers.admit())
    return taken


def test_busy_is_neither_dead_nor_degraded(built_store: Path) -> None:
    app = create_app(Settings(store=built_store, in_flight=1, queue=2))
    with TestClient(app, base_url=HOST) as client:
        assert client.get("/readyz").json()["places"] == 3
        with full(app.state.parts):
            busy = client.get("/readyz")
            assert (busy.status_code, busy.json()["status"], busy.json()["inside"]) == (200, "busy", 3)
            assert busy.headers["retry-after"] == "1"
            assert client.get("/livez").status_code == 200
            assert client.post("/recommend", content=b"x").status_code == 429
        again = client.get("/readyz")
        assert (again.json()["status"], again.json()["inside"]) == ("ready", 0)
        assert "retry-after" not in again.headers


def test_a_disk_that_is_full_or_read_only_degrades_it(
    built_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(store=built_store))
    with TestClient(app, base_url=HOST) as client:
        monkeypatch.setattr(room, "LOW_BYTES", 1 << 62)
        app.state.parts.room.look()
        low = client.get("/readyz")
        assert (low.status_code, low.json()["status"]) == (200, "degraded")
        assert "1 GiB" in low.json()["parts"]["disk"]
        monkeypatch.setattr(room, "LOW_BYTES", 0)
        monkeypatch.setattr(room, "access", lambda *_: False)
        app.state.parts.room.look()
        read_only = client.get("/readyz").json()
        assert read_only["status"] == "degraded"
        assert read_only["parts"]["store"].startswith("read-only")
        assert str(built_store) not in str(read_only)
        monkeypatch.undo()
        app.state.parts.room.look()
        assert client.get("/readyz").json()["status"] == "ready"


def test_a_disk_that_hangs_is_said_and_hangs_nobody(
    built_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(store=built_store))
    with TestClient(app, base_url=HOST) as client:
        monkeypatch.setattr(room, "STALE_S", -1.0)  # the last look is older than that
        ready = client.get("/readyz").json()
    assert (ready["status"], ready["parts"]["store"].split(":")[0]) == ("degraded", "does not answer")


@pytest.mark.parametrize("sandbox", ["require", "prefer"])
def test_without_a_filter_of_system_calls_it_says_what_holds(
    built_store: Path, monkeypatch: pytest.MonkeyPatch, sandbox: Any
) -> None:
    def guards(_: Decoder) -> Guards:
        if sandbox == "require":
            raise NoSandbox("none")
        return Guards(calls_filtered=False, off_network=False, possible=())

    monkeypatch.setattr(Decoder, "guards", guards)
    with TestClient(create_app(Settings(store=built_store, sandbox=sandbox)), base_url=HOST) as client:
        wanted = (503, "not_ready") if sandbox == "require" else (200, "degraded")
        for _ in range(500):
            ready = client.get("/readyz")
            if "sandbox" in ready.json()["parts"]:
                break
        assert (ready.status_code, ready.json().get("code") or ready.json()["status"]) == wanted
        assert "yuyin doctor" in ready.json()["parts"]["sandbox"]
