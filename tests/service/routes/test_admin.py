import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from index_builder import __main__ as builder
from service.app import create_app
from service.settings import Settings
from service.work.reindex import Build

HOST = "http://127.0.0.1:8000"


def serve(store: Path, **settings: Any) -> TestClient:
    return TestClient(create_app(Settings(store=store, **settings)), base_url=HOST)


def follow(client: TestClient, url: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The ended job and every state seen on the way."""
    seen = []
    for _ in range(2400):
        seen.append(client.get(url).json())
        if seen[-1]["state"] not in ("queued", "running"):
            return seen[-1], seen
        time.sleep(0.025)
    raise AssertionError(f"the job does not end: {seen[-1]}")


def test_snapshots_are_listed_and_activated(both: Any) -> None:
    with serve(both.store) as client:
        listed = {one["id"]: one for one in client.get("/admin/snapshots").json()["snapshots"]}
        assert set(listed) == {both.old, both.new}
        assert (listed[both.old]["current"], listed[both.old]["serving"]) == (True, True)
        assert (listed[both.new]["current"], listed[both.new]["serving"]) == (False, False)
        assert listed[both.old]["tracks"] == 5
        for wanted in (both.new, both.old):
            answer = client.post(f"/admin/snapshots/{wanted}/activate")
            assert (answer.status_code, answer.json()["id"], answer.json()["serving"]) == (200, wanted, True)
            assert (both.store / "CURRENT").read_text().strip() == wanted
            assert client.get("/version").json()["snapshot"] == wanted


@pytest.mark.parametrize("snapshot_id", ["0" * 16, "..", "%2e%2e%2fbundles", "CURRENT", ".part-1", "%00"])
def test_activating_what_is_not_there(both: Any, snapshot_id: str) -> None:
    with serve(both.store) as client:
        answer = client.post(f"/admin/snapshots/{snapshot_id}/activate")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert client.get("/version").json()["snapshot"] == both.old


def test_activating_a_damaged_snapshot_changes_nothing(both: Any) -> None:
    path = both.store / "snapshots" / both.new / "embeddings.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with serve(both.store) as client:
        answer = client.post(f"/admin/snapshots/{both.new}/activate")
        assert (answer.status_code, answer.json()["code"]) == (409, "corrupt")
        assert str(both.store) not in answer.text
        assert client.get("/version").json()["snapshot"] == both.old
        assert (both.store / "CURRENT").read_text().strip() == both.old


def test_a_reindex_is_followed_to_its_end_and_its_record_lasts(store: Path, pool: Path) -> None:
    with serve(store, pools={"house": pool}) as client:
        before = client.get("/version").json()
        started = client.post("/admin/reindex")
        assert (started.status_code, started.json()["state"]) == (202, "queued")
        assert started.headers["location"] == f"/v1/jobs/{started.json()['id']}"
        second = client.post("/admin/reindex", json={"pool": "house"})
        assert (second.status_code, second.json()["code"]) == (409, "reindex_running")
        assert second.json()["job"] == started.json()["id"]
        job, seen = follow(client, started.headers["location"])
        assert (job["state"], job["progress"], job["error"]) == ("done", 1.0, None)
        assert [one["progress"] for one in seen] == sorted(one["progress"] for one in seen)
        # the same pool and bundle are the same snapshot, and nothing was computed again
        assert (job["result"]["snapshot"], job["result"]["computed"]) == (before["snapshot"], 0)
        assert client.get("/version").json() == before
    assert json.loads((store / "jobs" / f"{job['id']}.json").read_text()) == job
    with serve(store) as client:  # the next process knows it too
        assert client.get(f"/v1/jobs/{job['id']}").json() == job


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"pool": "other"}, "house"),
        ({"pool": "/etc"}, "house"),
        ({"pool": ".."}, "house"),
        ({"bundle": "0" * 16}, "bundle"),
        ({"bundle": "../bundles"}, "bundle"),
        ({"bundle": "/tmp"}, "bundle"),
        ({"path": "/etc"}, "path"),
        ({"recompute": "yes"}, "recompute"),
    ],
)
def test_a_reindex_of_what_is_not_configured_is_refused(
    built_store: Path, pool: Path, body: dict[str, Any], named: str
) -> None:
    with serve(built_store, pools={"house": pool}) as client:
        answer = client.post("/admin/reindex", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
        assert named in answer.json()["detail"]
    assert not (built_store / "jobs").exists()


def test_the_pool_has_to_be_named_where_it_is_not_clear(built_store: Path, pool: Path) -> None:
    with serve(built_store) as client:
        assert "YUYIN_POOLS" in client.post("/admin/reindex").json()["detail"]
    with serve(built_store, pools={"a": pool, "b": pool}) as client:
        assert "['a', 'b']" in client.post("/admin/reindex").json()["detail"]


def test_a_reindex_that_fails_says_why_and_the_old_snapshot_stays(store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with serve(store, pools={"empty": tmp_path / "empty"}) as client:
        before = client.get("/version").json()
        for _ in range(2):  # and the next one may start
            job, _ = follow(client, client.post("/admin/reindex").headers["location"])
            assert (job["state"], job["error"]["code"], job["result"]) == ("failed", "bad_pool", None)
        assert client.get("/version").json() == before
        assert client.get("/readyz").json()["status"] == "ready"


def test_a_reindex_runs_where_the_server_does(tmp_path: Path) -> None:
    """As the builder reads its arguments again: the card and its share of memory, not the policy alone."""
    for chosen in (
        {},
        {"accelerator": "require", "accelerator_providers": ("tensorrt", "cuda"), "accelerator_device": 1},
        {"accelerator": "cpu", "accelerator_memory_bytes": 10**9, "models": tmp_path / "models"},
    ):
        settings = Settings(store=tmp_path, **chosen)
        command = Build(tmp_path, tmp_path, tmp_path, False, settings.backbones).command()
        job = builder._parsed(command[command.index("index_builder") + 1 :])
        assert job.backbones == settings.backbones


def test_a_server_that_stops_takes_its_reindex_with_it(store: Path, pool: Path) -> None:
    with serve(store, pools={"house": pool}) as client:
        started = client.post("/admin/reindex", json={"recompute": True}).json()
        while client.get(f"/v1/jobs/{started['id']}").json()["state"] == "queued":
            time.sleep(0.01)
    record = json.loads((store / "jobs" / f"{started['id']}.json").read_text())
    assert (record["state"], record["error"]["code"]) == ("failed", "interrupted")
    assert builders(store) == []
    with serve(store) as client:
        assert client.get("/readyz").status_code == 200


def builders(store: Path) -> list[str]:
    """Command lines of the processes that build into this store."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if "index_builder build" in line and str(store) in line:
                found.append(line)
    return found


def test_unknown_jobs_are_not_found(client: TestClient) -> None:
    for job_id in ("0" * 32, "none", "..%2FCURRENT"):
        assert client.get(f"/v1/jobs/{job_id}").status_code == 404


def test_the_same_idempotency_key_starts_one_reindex(store: Path, pool: Path) -> None:
    settings = Settings(store=store, pools={"house": pool}, redis_url="redis://127.0.0.1:1")  # type: ignore[arg-type]
    with TestClient(create_app(settings), base_url=HOST) as client:
        key = {"Idempotency-Key": "k"}
        first, again = (client.post("/admin/reindex", headers=key) for _ in range(2))
        assert (first.status_code, again.status_code) == (202, 202)
        assert first.json() == again.json()
        assert first.headers["location"] == again.headers["location"]
        assert client.post("/admin/reindex", headers=key, json={"recompute": True}).status_code == 422
        assert client.post("/admin/reindex").status_code == 409
