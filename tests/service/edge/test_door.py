"""SIGTERM to a real server in a process of its own."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from service.edge import door

Until = Callable[..., float]
SERVER = """
import asyncio, socket, sys
import uvicorn
from fastapi import FastAPI
from service import errors
from service.edge.door import GRACE_S, Door, DoorKeeper, Server

app, door = FastAPI(), Door()
errors.install(app)
app.add_middleware(DoorKeeper, door=door)

@app.get("/livez")
@app.get("/readyz")
@app.get("/quick")
async def quick() -> str:
    return "quick"

@app.get("/slow")
async def slow(seconds: float) -> str:
    print("inside", file=sys.stderr, flush=True)
    await asyncio.sleep(seconds)
    return "slow"

@app.get("/wrong")
async def wrong() -> str:
    raise ValueError("of the test")

config = uvicorn.Config(app, port=0, timeout_graceful_shutdown=1)
server = Server(config, door, drain_s=float(sys.argv[1]))
if len(sys.argv) > 2:
    server.others_listen = True
    server.run([socket.socket(fileno=int(sys.argv[2]))])
else:
    server.run()
"""


class Running:
    def __init__(self, drain_s: float, listening: socket.socket | None = None) -> None:
        given = [] if listening is None else [listening.fileno()]
        command = [sys.executable, "-c", SERVER, str(drain_s), *map(str, given)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, pass_fds=given)
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if listening is not None and "startup complete" in line:
                self.port = int(listening.getsockname()[1])
                break
            if "running on" in line:
                self.port = int(line.split("127.0.0.1:")[1].split()[0])
                break
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)

    def inside(self) -> int:
        """How many slow requests have come in so far."""
        return self.said.count("inside\n")

    def holds(self, listening: socket.socket) -> bool:
        """Whether it has the socket open that it was given, under the number that it has here too."""
        ours, its = (Path(f"/proc/{one}/fd/{listening.fileno()}") for one in ("self", self.process.pid))
        with suppress(FileNotFoundError):
            return its.readlink() == ours.readlink()
        return False

    def stop(self) -> None:
        self.process.kill()
        self._reader.join()
        self.process.communicate()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def get(self, path: str, connection: http.client.HTTPConnection | None = None) -> Any:
        if connection is None:
            with closing(self.connect()) as own:
                return self.get(path, own)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), json.loads(answer.read())

    def term(self) -> None:
        os.kill(self.process.pid, signal.SIGTERM)

    def refuses(self) -> bool:
        return bool(self.get("/readyz")[0] == 503)

    def in_background(self, path: str) -> tuple[threading.Thread, list[Any]]:
        found: list[Any] = []

        def ask() -> None:
            try:
                found.append(self.get(path)[0])
            except (http.client.HTTPException, OSError) as error:
                found.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        return thread, found


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Any]:
    started: list[Running] = []

    def begin(drain_s: float, listening: socket.socket | None = None) -> Running:
        started.append(Running(drain_s, listening))
        return started[-1]

    yield begin
    for one in started:
        one.stop()


def test_begun_requests_are_answered_and_new_ones_refused(start: Any, until: Until) -> None:
    server = start(20)
    with closing(server.connect()) as kept:
        assert server.get("/quick", kept)[0] == 200
        thread, found = server.in_background("/slow?seconds=2.5")
        until(lambda: server.inside() == 1)
        server.term()
        until(server.refuses)
        for path, connection in (("/quick", kept), ("/quick", None), ("/readyz", None), ("/none", None)):
            status, headers, body = server.get(path, connection)
            assert (status, body["code"]) == (503, "draining")
            assert headers["connection"] == "close"
            assert int(headers["retry-after"]) >= 1
    assert server.get("/livez")[0] == 200  # it is no failure: nobody shall kill it
    thread.join()
    assert found == [200]
    assert server.process.wait(10) == -signal.SIGTERM


def test_an_idle_server_ends_soon(start: Any) -> None:
    server = start(20)
    with pytest.raises(http.client.HTTPException):
        server.get("/wrong", FailingConnection("127.0.0.1", server.port, timeout=20))
    assert server.get("/quick")[0] == 200  # who is out is counted, also after an error
    server.term()
    assert server.process.wait(door.NOTICE_S + 8) == -signal.SIGTERM


class FailingConnection(http.client.HTTPConnection):
    """Hangs up in the middle of an answer."""

    def getresponse(self) -> http.client.HTTPResponse:
        self.close()
        raise http.client.HTTPException


def test_work_that_never_ends_does_not_hold_it_for_ever(start: Any, until: Until) -> None:
    server = start(1)
    thread, found = server.in_background("/slow?seconds=60")
    until(lambda: server.inside() == 1)
    began_s = time.monotonic()
    server.term()
    assert server.process.wait(12) == -signal.SIGTERM
    assert time.monotonic() - began_s >= 1
    thread.join()
    assert found == [503]  # with words, not uvicorn's bare 500


def test_a_second_signal_does_not_wait_for_the_first(start: Any, until: Until) -> None:
    server = start(60)
    thread, _ = server.in_background("/slow?seconds=60")
    until(lambda: server.inside() == 1)
    server.term()
    until(server.refuses)
    server.term()
    server.process.wait(12)
    thread.join()


def test_readyz_is_not_the_door_s_business_before(start: Any) -> None:
    assert start(20).get("/readyz")[0] == 200


def test_where_others_listen_on_the_same_socket_they_take_who_connects_from_then_on(
    start: Any, until: Until
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        one, other = (start(20, listening) for _ in range(2))
        busy = [server.in_background("/slow?seconds=4") for server in (one, other) for _ in range(2)]
        until(lambda: one.inside() + other.inside() == 4)
        assert one.holds(listening)
        one.term()
        until(lambda: not one.holds(listening))
        assert [other.get("/quick")[0] for _ in range(40)] == [200] * 40  # of the port that both had
        for thread, _ in busy:
            thread.join()
        assert [found for _, found in busy] == [[200]] * 4  # what had begun is answered
        assert one.process.wait(10) == -signal.SIGTERM
        assert other.get("/quick")[0] == 200
