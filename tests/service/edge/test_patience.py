"""Callers that dawdle, against a real server that has no proxy in front."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from service.edge import patience
from service.edge.patience import MAX_HEADER_BYTES, PatientProtocol

BEGINNING = b"POST /refuse HTTP/1.1\r\nHost: localhost\r\n"


def small_app() -> FastAPI:
    app = FastAPI()

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(0.8)
        return "done"

    @app.post("/refuse")
    async def refuse() -> PlainTextResponse:
        return PlainTextResponse("no", 413)

    @app.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    return app


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], socket.socket]]:
    monkeypatch.setattr(patience, "HEADERS_S", 0.4)
    monkeypatch.setattr(patience, "LINGER_S", 0.4)
    config = uvicorn.Config(
        small_app(),
        port=0,
        http=PatientProtocol,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    opened: list[socket.socket] = []

    def connect() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), timeout=5))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def ended(connection: socket.socket) -> bool:
    """Whether the server hangs up within the time-out of the socket; reads what it says before."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def answer(connection: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        found += connection.recv(1 << 16)
    return found


def drip(connection: socket.socket, drop: bytes, every_s: float) -> None:
    until_s = time.monotonic() + 5
    while time.monotonic() < until_s:
        connection.sendall(drop)
        time.sleep(every_s)


@pytest.mark.parametrize("said", [b"", b"P", BEGINNING])
def test_headers_that_do_not_come_end_the_connection(connect: Any, said: bytes) -> None:
    connection = connect()
    connection.sendall(said)
    assert ended(connection)


def test_headers_that_drip_end_it_too(connect: Any) -> None:
    connection = connect()
    began_s = time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        drip(connection, b"G", 0.05)
    assert time.monotonic() - began_s < 3


def test_the_second_request_of_a_connection_has_the_clock_too(connect: Any) -> None:
    connection = connect()
    connection.sendall(b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx")
    assert b"200 OK" in answer(connection)
    connection.sendall(BEGINNING)
    assert ended(connection)


def test_a_request_that_takes_long_is_left_alone(connect: Any) -> None:
    connection = connect()
    for _ in range(2):
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in answer(connection)


def test_a_body_that_takes_long_is_left_alone(connect: Any) -> None:
    """It has a clock of its own (`service.edge.bodies`)."""
    connection = connect()
    connection.sendall(b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        time.sleep(0.1)
        connection.sendall(b"x")
    assert b"200 OK" in answer(connection)


def test_the_rest_of_a_refused_body_is_read_for_a_moment_only(connect: Any) -> None:
    connection = connect()
    connection.sendall(BEGINNING + b"Content-Length: 1000000000\r\n\r\n")
    assert b"413" in answer(connection)
    began_s = time.monotonic()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        drip(connection, bytes(1000), 0.01)
    assert 0.2 < time.monotonic() - began_s < 3


def test_a_refused_body_that_ends_in_time_leaves_a_connection_that_works(connect: Any) -> None:
    connection = connect()
    connection.sendall(BEGINNING + b"Content-Length: 10\r\n\r\n")
    assert b"413" in answer(connection)
    connection.sendall(bytes(10) + b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in answer(connection)  # 0.8 s later: nobody closed it meanwhile


def test_headers_have_a_bound(connect: Any) -> None:
    connection = connect()
    connection.sendall(BEGINNING + b"X: " + b"y" * MAX_HEADER_BYTES)
    assert b"400" in answer(connection)
    assert ended(connection)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        BEGINNING + b"Transfer-Encoding: QY\t<\r\n\r\n",
        BEGINNING + b"Content-Length: -1\r\n\r\n",
        BEGINNING + b"X: " + bytes(1) + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_as_everything_is(
    connect: Callable[[], socket.socket], sent: bytes
) -> None:
    connection = connect()
    connection.sendall(sent)
    answer = HTTPResponse(connection)
    answer.begin()
    problem = json.loads(answer.read())
    assert answer.getheader("Content-Type") == "application/problem+json"
    assert (answer.status, problem["status"], problem["code"]) == (400, 400, "bad_request")
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert connection.recv(1) == b""
