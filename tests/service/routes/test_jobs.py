import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from service.stores.jobs import JobStore

HOST = "http://127.0.0.1:8000"
ASKED = {"pool": "house", "bundle": "shipped", "recompute": False}


@contextmanager
def serve(store: Path, **settings: Any) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=store, **settings)), base_url=HOST) as client:
        yield client


def events(text: str) -> list[dict[str, str]]:
    """By the words of the HTML standard: blocks of `field: value` lines, `data` the only one repeated."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields:
            found.append(fields)
    return found


def test_a_reindex_is_followed_by_events_to_its_end(store: Path, pool: Path) -> None:
    with serve(store, pools={"house": pool}) as client:
        place = client.post("/admin/reindex").headers["location"]
        answer = client.get(f"{place}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "no-cache" in answer.headers["cache-control"]
        assert answer.text.startswith("retry: ")
        told = events(answer.text)
        jobs = [json.loads(event["data"]) for event in told]
        assert {event["event"] for event in told} == {"job"}
        assert [int(event["id"]) for event in told] == [job["version"] for job in jobs]
        assert [job["version"] for job in jobs] == sorted({job["version"] for job in jobs})
        assert [job["progress"] for job in jobs] == sorted(job["progress"] for job in jobs)
        assert jobs[-1] == client.get(place).json()
        assert jobs[-1]["state"] == "done"
        # a client that was cut off before the end hears of the end, one that heard it is sent away for good
        late = client.get(f"{place}/events", headers={"Last-Event-ID": told[0]["id"]})
        assert [event["id"] for event in events(late.text)] == [told[-1]["id"]]
        assert client.get(f"{place}/events", headers={"Last-Event-ID": told[-1]["id"]}).status_code == 204
        for odd in ("", "x", "-1", "1.5", "\u00b2".encode(), "9" * 9, "9" * 9000):  # from somewhere else
            answer = client.get(f"{place}/events", headers={"Last-Event-ID": odd})
            assert [event["id"] for event in events(answer.text)] == [told[-1]["id"]]


def test_a_reindex_is_cancelled_and_leaves_nothing_half_built(store: Path, pool: Path) -> None:
    before = {path.relative_to(store) for path in store.rglob("*")}
    with serve(store, pools={"house": pool}) as client:
        version = client.get("/version").json()
        place = client.post("/admin/reindex", json={"recompute": True}).headers["location"]
        while client.get(place).json()["stage"] != "embed":
            time.sleep(0.01)
        first = client.delete(place)
        assert (first.status_code, first.json()["cancelling"]) == (202, True)
        ended = follow(client, place)
        assert (ended["state"], ended["result"]) == ("cancelled", None)
        again = client.delete(place)
        assert (again.status_code, again.json()) == (200, ended)
        assert client.get("/version").json() == version
        done = follow(client, client.post("/admin/reindex").headers["location"])  # the way is free
        assert done["state"] == "done"
        late = client.delete(f"/v1/jobs/{done['id']}")
        assert (late.status_code, late.json()["code"]) == (409, "job_ended")
    after = {path.relative_to(store) for path in store.rglob("*")}
    assert {path.parts[0] for path in after - before} <= {
        "jobs",
        "lock",
        "lock-current",
        "media-links.key",
        "features",
    }
    assert not [path for path in after if any(part.startswith(".part-") for part in path.parts)]


def follow(client: TestClient, place: str) -> Any:
    for _ in range(2400):
        job = client.get(place).json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.025)
    raise AssertionError(job)


def test_polling_says_when_to_come_again(store: Path) -> None:
    job = JobStore(store).create("reindex", ASKED)
    with serve(store, redis_url="redis://127.0.0.1:1") as client:  # a worker's business, and there is none
        answer = client.get(f"/v1/jobs/{job.id}")
        assert (answer.json()["state"], answer.headers["retry-after"]) == ("queued", "1")
        second = client.post("/admin/reindex")
        assert second.status_code == 422  # no pool
        assert client.delete(f"/v1/jobs/{job.id}").json()["state"] == "cancelled"
        assert "retry-after" not in client.get(f"/v1/jobs/{job.id}").headers


def test_one_reindex_at_a_time_over_all_processes(store: Path, pool: Path) -> None:
    settings: dict[str, Any] = {"pools": {"house": pool}, "redis_url": "redis://127.0.0.1:1"}
    with serve(store, **settings) as one, serve(store, **settings) as other:
        first = one.post("/admin/reindex")
        assert first.status_code == 202
        for client in (one, other):
            second = client.post("/admin/reindex")
            assert (second.status_code, second.json()["code"]) == (409, "reindex_running")
            assert second.json()["job"] == first.json()["id"]
            assert second.json()["job_url"] == first.headers["location"]
        assert other.delete(first.headers["location"]).status_code == 200
        assert one.get(first.headers["location"]).json()["state"] == "cancelled"


def test_unknown_jobs_have_no_events_and_cannot_be_cancelled(client: TestClient) -> None:
    for job_id in ("0" * 32, "none", "..%2FCURRENT"):
        assert client.get(f"/v1/jobs/{job_id}/events").status_code == 404
        assert client.delete(f"/v1/jobs/{job_id}").status_code == 404


def test_who_hangs_up_frees_everything(store: Path, live: Any) -> None:
    job = JobStore(store).create("reindex", ASKED)
    server = live(Settings(store=store, redis_url="redis://127.0.0.1:1"))
    parts = server.config.app.state.parts
    streams = [open_stream(server.port, job.id) for _ in range(5)]
    assert parts.jobs._followers == 5
    for stream in streams:
        stream.close()
    wait_until(lambda: parts.jobs._followers == 0)
    assert not [topic for topic in parts.shared.notices._here._listeners if topic.startswith("job:")]


def test_a_reader_that_does_not_read_costs_one_record(store: Path, live: Any) -> None:
    """Its socket fills up; the server does not keep what it cannot send, and others are not held up."""
    records = JobStore(store)
    held = records.claim(records.create("reindex", ASKED).id, "w", attempts=1, lease_s=600)
    assert held is not None
    server = live(Settings(store=store, redis_url="redis://127.0.0.1:1"))
    parts = server.config.app.state.parts
    slow, quick = open_stream(server.port, held.id), open_stream(server.port, held.id)
    quick.settimeout(30)
    heard = bytearray()
    for step in range(1, 4):
        records.beat(held, progress=step / 10, stage="x" * 200_000, lease_s=600)
        while f'"progress":{step / 10}'.encode() not in heard:
            heard += quick.recv(1 << 20)
    slow.close()
    quick.close()
    wait_until(lambda: parts.jobs._followers == 0)


def test_a_server_that_stops_ends_its_streams(store: Path, live: Any) -> None:
    job = JobStore(store).create("reindex", ASKED)
    server = live(Settings(store=store, redis_url="redis://127.0.0.1:1"))
    stream = open_stream(server.port, job.id)
    ended = threading.Thread(target=lambda: read_to_the_end(stream))
    ended.start()
    server.config.app.state.end_streams()
    ended.join(timeout=20)
    assert not ended.is_alive()
    stream.close()


def open_stream(port: int, job_id: str) -> socket.socket:
    stream = socket.create_connection(("127.0.0.1", port), timeout=30)
    stream.sendall(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    heard = b""
    while b"event: job" not in heard:
        heard += stream.recv(4096)
    return stream


def read_to_the_end(stream: socket.socket) -> None:
    heard = b""
    while not heard.endswith(b"0\r\n\r\n"):  # the last chunk
        got = stream.recv(4096)
        if not got:
            return
        heard += got


def wait_until(condition: Any) -> None:
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "", "redis:/x"])
def test_an_address_that_is_no_redis_is_refused_without_being_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model.errors import BadOptions
    from service.settings import read_settings

    monkeypatch.setenv("YUYIN_REDIS_URL", url)
    with pytest.raises(BadOptions, match="YUYIN_REDIS_URL") as refusal:
        read_settings()
    assert not url or url not in str(refusal.value).replace("redis://", "")
