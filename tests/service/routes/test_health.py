import shutil
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
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
