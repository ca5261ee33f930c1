"""A recommend job with Redis: the server takes it, `yuyin worker` answers it, both on one store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.errors import Overloaded
from service.app import create_app
from service.settings import Settings
from service.stores import jobs as module
from service.stores.jobs import JobStore

LATER = {"Prefer": "respond-async"}
ASKED = {"upload_id": "0" * 32, "keep": False, "options": {}}


def follow(client: TestClient, place: str) -> Any:
    for _ in range(1200):
        job = client.get(place).json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.05)
    raise AssertionError(job)


@pytest.mark.slow
def test_a_worker_answers_what_a_server_took(store: Path, pool: Path, clip: bytes, redis_server: Any) -> None:
    settings: dict[str, Any] = {"store": store, "pools": {"house": pool}, "redis_url": redis_server.url}
    environment = os.environ | {
        "YUYIN_STORE": str(store),
        "YUYIN_REDIS_URL": redis_server.url,
        "YUYIN_POOLS": json.dumps({"house": str(pool)}),
    }
    command = [sys.executable, "-m", "yuyin", "worker"]
    with TestClient(create_app(Settings(**settings)), base_url="http://127.0.0.1:8000") as client:
        early = client.post("/recommend", content=clip, headers=LATER).headers["location"]
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as worker:
            try:
                ended = follow(client, early)
                assert (ended["state"], ended["attempt"]) == ("done", 1), ended
                direct = client.post("/recommend", content=clip)
                assert direct.headers["x-yuyin-cache"] == "hit"  # of the worker's answer, through Redis
                assert direct.json()["results"] == ended["result"]["results"]
                reindex = client.post("/admin/reindex").headers["location"]
                places = [
                    client.post("/recommend", content=clip + bytes(i), headers=LATER).headers["location"]
                    for i in range(4)
                ]
                assert {follow(client, place)["state"] for place in places} == {"done"}
                assert follow(client, reindex)["state"] == "done"
                assert not [path for path in (store / "uploads").iterdir() if path.name != "lock"]
            finally:
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(30) == 0


def test_reindexes_exclude_each_other_and_recommendations_only_fill_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = JobStore(tmp_path)
    records.create("reindex", {})
    monkeypatch.setattr(module, "MAX_OPEN", 4)
    made = [records.create("recommend", ASKED, "one") for _ in range(3)]
    assert [job.id for job in records.open_jobs("recommend")] == [job.id for job in sorted(made, key=_age)]
    assert len(records.open_jobs("reindex")) == 1
    with pytest.raises(module.AlreadyRunning):
        records.create("reindex", {})
    with pytest.raises(Overloaded):
        records.create("recommend", ASKED)
    records.cancel(made[0].id)
    assert records.create("recommend", ASKED).owner is None


def _age(job: Any) -> Any:
    return job.created_at, job.id


def test_old_records_go_but_for_the_latest_reindexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_REINDEXES", 2)
    records = JobStore(tmp_path)
    assert records.prune() == 0  # no folder yet
    kept, gone = set(), set()
    for number in range(5):
        job = records.create("reindex", {})
        records.cancel(job.id)
        age_s = 100 + number
        (gone if number >= 2 else kept).add((job.id, age_s * 3600))
    for ended, age_s, stays in ((True, 25, False), (True, 23, True), (False, 90, True)):
        job = records.create("recommend", ASKED)
        if ended:
            records.cancel(job.id)
        (kept if stays else gone).add((job.id, age_s * 3600))
    now_s = time.time()
    for job_id, age_s in kept | gone:
        os.utime(tmp_path / "jobs" / f"{job_id}.json", (now_s - age_s, now_s - age_s))
    assert records.prune() == len(gone)
    assert {path.stem for path in (tmp_path / "jobs").glob("*.json")} == {job_id for job_id, _ in kept}
    assert records.prune() == 0


def test_of_very_many_jobs_the_latest_records_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key asks for 864,000 a day, each with its whole answer."""
    monkeypatch.setattr(module, "KEEP_LATEST", 4)
    records = JobStore(tmp_path)
    waits = records.create("recommend", ASKED)
    reindex = records.create("reindex", {})
    ended = [records.create("recommend", ASKED) for _ in range(6)]
    for job in (reindex, *ended):
        records.cancel(job.id)
    now_s = time.time()
    for age_s, job in enumerate([*reversed(ended), reindex, waits]):  # the latest is of now
        os.utime(tmp_path / "jobs" / f"{job.id}.json", (now_s - age_s, now_s - age_s))
    assert records.prune() == 2
    kept = {path.stem for path in (tmp_path / "jobs").glob("*.json")}
    assert kept == {job.id for job in (waits, reindex, *ended[2:])}
