"""A real server, real sockets: what several callers at once get to see."""

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import Settings

Start = Callable[[Settings], Any]
Until = Callable[..., float]


def ask(port: int, video: bytes, path: str = "/recommend") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body=video, headers={"Content-Type": "video/mp4"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def stalled_upload(port: int) -> socket.socket:
    """A client that announces much and sends little."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    head = f"POST /recommend HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 1000000\r\n\r\n"
    connection.sendall(head.encode() + b"x" * 100)
    return connection


def test_it_is_alive_while_it_decodes(built_store: Path, live: Start, long_clip: bytes) -> None:
    server = live(Settings(store=built_store))
    spans: list[tuple[float, float]] = []
    answers: list[tuple[int, dict[str, Any]]] = []
    work = threading.Thread(target=lambda: answers.append(ask(server.port, long_clip)))
    began = time.perf_counter()
    work.start()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        while work.is_alive():
            asked = time.perf_counter()
            assert client.get("/livez").status_code == 200
            spans.append((asked, time.perf_counter()))
    took_s = time.perf_counter() - began
    ((status, body),) = answers
    assert status == 200
    during = [end - start for start, end in spans[1:-1]]
    # were the loop blocked, one probe would have taken nearly all of the time
    assert len(during) >= 5
    assert max(during) < took_s / 3, (max(during), took_s, body["timings_ms"])


def test_beyond_the_queue_it_says_when_to_come_again(
    built_store: Path, live: Start, clip: bytes, until: Until
) -> None:
    server = live(Settings(store=built_store, in_flight=1, queue=1))
    parts = server.config.app.state.parts
    stalled = [stalled_upload(server.port) for _ in range(2)]
    until(lambda: parts.workers.admitted == 2)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/recommend", body=clip)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert (answer.status, body["code"]) == (429, "overloaded")
    assert int(answer.headers["Retry-After"]) >= 1
    connection.close()
    assert httpx.get(f"{server.url}/livez", timeout=60).status_code == 200
    for one in stalled:
        one.close()  # the clients go away in the middle of their uploads
    until(lambda: parts.workers.admitted == 0)
    assert ask(server.port, clip)[0] == 200


def test_many_at_once_are_all_answered_the_same(built_store: Path, live: Start, clip: bytes) -> None:
    server = live(Settings(store=built_store, in_flight=2, queue=20))
    answers: list[tuple[int, dict[str, Any]]] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(server.port, clip))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [status for status, _ in answers] == [200] * 8
    assert all(lasting(body) == lasting(answers[0][1]) for _, body in answers)


def lasting(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("request_id", "timings_ms")}


def test_a_client_that_hangs_up_before_the_answer_harms_nobody(
    built_store: Path, live: Start, clip: bytes, until: Until
) -> None:
    server = live(Settings(store=built_store, in_flight=1, queue=5))
    parts = server.config.app.state.parts
    for _ in range(3):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
        head = f"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(clip)}\r\n\r\n"
        connection.sendall(head.encode() + clip)
        until(lambda: parts.workers.admitted > 0)
        connection.close()
    until(lambda: parts.workers.admitted == 0)
    assert ask(server.port, clip)[0] == 200


@pytest.mark.parametrize("way", ["reindex", "activate"])
def test_no_request_fails_or_mixes_while_the_bundle_is_changed(
    both: Any, pool: Path, bundles: tuple[Path, Path], live: Start, clip: bytes, until: Until, way: str
) -> None:
    """Design section 2: a request holds one (snapshot, bundle) to its end, a swap changes both at once."""
    bundle_ids = [json.loads((folder / "bundle.json").read_text())["id"] for folder in bundles]
    server = live(Settings(store=both.store, pools={"house": pool}))
    answers: list[tuple[int, dict[str, Any]]] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            answers.append(ask(server.port, clip))

    expected = {both.old: lasting(ask(server.port, clip)[1])}
    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(answers) > 4)
        if way == "reindex":
            roll_out(server.port, bundle_ids[1], until)
        else:
            assert post(server.port, f"/admin/snapshots/{both.new}/activate")[0] == 200
        seen = len(answers)
        until(lambda: len(answers) > seen + 6)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    expected[both.new] = lasting(ask(server.port, clip)[1])

    assert {status for status, _ in answers} == {200}
    legal = {(both.old, bundle_ids[0]), (both.new, bundle_ids[1])}
    assert {(body["snapshot"], body["bundle"]) for _, body in answers} == legal
    assert expected[both.old]["results"] != expected[both.new]["results"]
    for _, body in answers:
        assert lasting(body) == expected[body["snapshot"]]


def roll_out(port: int, bundle_id: str, until: Until) -> None:
    status, job = post(port, "/admin/reindex", {"bundle": bundle_id})
    assert status == 202
    place = f"http://127.0.0.1:{port}/v1/jobs/{job['id']}"
    until(lambda: httpx.get(place, timeout=60).json()["state"] not in ("queued", "running"))
    ended = httpx.get(place, timeout=60).json()
    assert ended["state"] == "done", ended


def post(port: int, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        sent = json.dumps(body) if body else None
        connection.request("POST", path, body=sent, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_video_that_stays_at_home_is_answered_as_one_that_was_sent(
    built_store: Path, live: Start, clip: bytes, tmp_path: Path
) -> None:
    """The command line of an editor's machine; the server gets numbers."""
    server = live(Settings(store=built_store))
    (tmp_path / "secret.mp4").write_bytes(clip)
    words = ["recommend", str(tmp_path / "secret.mp4"), "--server", server.url, "--json", "--features-only"]
    done = subprocess.run([sys.executable, "-m", "yuyin", *words], capture_output=True, text=True, check=True)
    whole, private = ask(server.port, clip)[1], json.loads(done.stdout)
    assert private["results"] == whole["results"]
    assert (private["video"]["sha256"], private["video"]["cuts_s"]) == (None, whole["video"]["cuts_s"])
    file = tmp_path / "f.json"
    words = ["features", "video", str(tmp_path / "secret.mp4"), "--server", server.url, "-o", str(file)]
    subprocess.run([sys.executable, "-m", "yuyin", *words], capture_output=True, check=True)
    status, answer = post(server.port, "/recommend", json.loads(file.read_text()))
    assert (status, answer["results"]) == (200, whole["results"])
