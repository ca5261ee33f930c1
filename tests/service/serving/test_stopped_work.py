"""Decoding that nobody waits for, that takes too long, or that is killed: on a real server."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from service.settings import Settings

Start = Callable[[Settings], Any]


def ask(port: int, video: bytes) -> tuple[int, dict[str, Any], dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/recommend", body=video, headers={"Content-Type": "video/mp4"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), dict(answer.headers)


class Asking:
    """A request in the background."""

    def __init__(self, port: int, video: bytes) -> None:
        self._found: list[tuple[int, dict[str, Any], dict[str, str]]] = []
        self._thread = threading.Thread(target=lambda: self._found.append(ask(port, video)))
        self._thread.start()

    def status_and_code(self) -> tuple[int, str | None]:
        self._thread.join()
        ((status, body, _),) = self._found
        return status, body.get("code")


def eventually(condition: Callable[[], object], within_s: float = 30) -> None:
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.001)


def caught(decoding: Any, server: int) -> int:
    """The one child at work, stopped: it would never end by itself."""
    eventually(lambda: decoding.at_work(server))
    (child,) = decoding.at_work(server)
    os.kill(child, signal.SIGSTOP)
    return int(child)


def test_a_client_that_leaves_ends_the_decoding(
    built_store: Path, live: Start, long_clip: bytes, clip: bytes, decoding: Any
) -> None:
    server = live(Settings(store=built_store, in_flight=1, queue=5))
    assert ask(server.port, clip)[0] == 200
    decoder = decoding.server()
    eventually(lambda: not decoding.at_work(decoder))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as leaving:
        head = f"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(long_clip)}\r\n\r\n"
        leaving.sendall(head.encode() + long_clip)
        child = caught(decoding, decoder)
    eventually(lambda: not decoding.running(child), 5)
    assert ask(server.port, clip)[0] == 200  # its place is free again
    eventually(lambda: server.config.app.state.parts.workers.admitted == 0, 5)


def test_work_beyond_its_deadline_ends(
    built_store: Path, live: Start, long_clip: bytes, clip: bytes, decoding: Any
) -> None:
    server = live(Settings(store=built_store, in_flight=1, queue=5, deadline_s=3))
    assert ask(server.port, clip)[0] == 200
    decoder = decoding.server()
    eventually(lambda: not decoding.at_work(decoder))
    first = Asking(server.port, long_clip)
    child = caught(decoding, decoder)
    status, body, headers = ask(server.port, clip)  # waits behind it, and gets its place or is refused
    assert (status, body.get("code")) in {(200, None), (429, "overloaded")}
    assert status == 200 or int(headers["retry-after"]) >= 1
    assert first.status_and_code() == (503, "deadline_exceeded")
    eventually(
        lambda: not decoding.running(child), 5
    )  # the fork server kills it when it sees that nobody waits
    assert ask(server.port, clip)[0] == 200


def test_a_killed_child_costs_its_request_and_a_killed_fork_server_none(
    built_store: Path, live: Start, long_clip: bytes, clip: bytes, decoding: Any
) -> None:
    server = live(Settings(store=built_store, in_flight=3, queue=5))
    assert ask(server.port, clip)[0] == 200
    decoder = decoding.server()
    eventually(lambda: not decoding.at_work(decoder))
    first = Asking(server.port, long_clip)
    child = caught(decoding, decoder)
    other = Asking(server.port, clip)
    assert other.status_and_code() == (200, None)
    os.kill(child, signal.SIGKILL)
    assert first.status_and_code() == (413, "video_too_costly")

    several = [Asking(server.port, video) for video in (long_clip, clip, long_clip)]
    eventually(lambda: decoding.at_work(decoder))
    os.kill(decoder, signal.SIGKILL)
    assert {one.status_and_code() for one in several} == {(200, None)}
    assert ask(server.port, clip)[0] == 200
