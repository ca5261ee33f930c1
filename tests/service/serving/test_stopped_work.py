"""Decoding that nobody waits for, that takes too long, or that is killed: on a real server."""

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
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


def children(of: int) -> list[int]:
    listed = Path(f"/proc/{of}/task").glob("*/children")
    return [int(pid) for path in listed for pid in path.read_text().split()]


def fork_server() -> int:
    """Of the server that was started last: it runs in this process."""
    found: list[int] = []
    for pid in children(os.getpid()):
        with suppress(OSError):
            found += [pid] if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes() else []
    return found[-1]


def eventually(condition: Callable[[], object], within_s: float = 30) -> None:
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.001)


def caught(server: int) -> int:
    """The one child at work, stopped: it would never end by itself."""
    eventually(lambda: children(server))
    (child,) = children(server)
    os.kill(child, signal.SIGSTOP)
    return child


def running(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_client_that_leaves_ends_the_decoding(
    built_store: Path, live: Start, long_clip: bytes, clip: bytes
) -> None:
    server = live(Settings(store=built_store, in_flight=1, queue=5))
    assert ask(server.port, clip)[0] == 200
    decoding = fork_server()
    eventually(lambda: not children(decoding))
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as leaving:
        head = f"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(long_clip)}\r\n\r\n"
        leaving.sendall(head.encode() + long_clip)
        child = caught(decoding)
    eventually(lambda: not running(child), 5)
    assert ask(server.port, clip)[0] == 200  # its place is free again
    eventually(lambda: server.config.app.state.parts.workers.admitted == 0, 5)


def test_work_beyond_its_deadline_ends(built_store: Path, live: Start, long_clip: bytes, clip: bytes) -> None:
    server = live(Settings(store=built_store, in_flight=1, queue=5, deadline_s=3))
    assert ask(server.port, clip)[0] == 200
    decoding = fork_server()
    eventually(lambda: not children(decoding))
    first = Asking(server.port, long_clip)
    child = caught(decoding)
    status, body, headers = ask(server.port, clip)  # waits behind it, and gets its place or is refused
    assert (status, body.get("code")) in {(200, None), (429, "overloaded")}
    assert status == 200 or int(headers["retry-after"]) >= 1
    assert first.status_and_code() == (503, "deadline_exceeded")
    eventually(lambda: not running(child), 5)  # the fork server kills it when it sees that nobody waits
    assert ask(server.port, clip)[0] == 200


def test_a_killed_child_costs_its_request_and_a_killed_fork_server_none(
    built_store: Path, live: Start, long_clip: bytes, clip: bytes
) -> None:
    server = live(Settings(store=built_store, in_flight=3, queue=5))
    assert ask(server.port, clip)[0] == 200
    decoding = fork_server()
    eventually(lambda: not children(decoding))
    first = Asking(server.port, long_clip)
    child = caught(decoding)
    other = Asking(server.port, clip)
    assert other.status_and_code() == (200, None)
    os.kill(child, signal.SIGKILL)
    assert first.status_and_code() == (413, "video_too_costly")

    several = [Asking(server.port, video) for video in (long_clip, clip, long_clip)]
    eventually(lambda: children(decoding))
    os.kill(decoding, signal.SIGKILL)
    assert {one.status_and_code() for one in several} == {(200, None)}
    assert ask(server.port, clip)[0] == 200
