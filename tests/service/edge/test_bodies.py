import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.types import Message

from service import errors
from service.edge.bodies import SMALL_BYTES, Bodies, Pace
from service.edge.uploads import receive

QUICK = Pace(idle_s=0.2, bytes_per_s=1000)


class Words(BaseModel):
    words: list[str]


def app_with(pace: Pace) -> FastAPI:
    app = FastAPI()
    errors.install(app)
    app.add_middleware(Bodies, pace=pace)

    @app.post("/words")
    async def words(body: Words) -> int:
        return len(body.words)

    @app.post("/recommend")
    async def recommend(request: Request) -> int:
        with (upload := await receive(request, 3_000_000)).file:
            return upload.size_bytes

    return app


def send(
    path: str, chunks: AsyncIterator[bytes], *, pace: Pace = QUICK, kind: str = "application/json"
) -> Any:
    """Status, code or answer, and headers; the body comes as `chunks` do and has no announced length."""
    sent: list[Message] = []

    async def receive_message() -> Message:
        try:
            return {"type": "http.request", "body": await anext(chunks), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"content-type", kind.encode())],
    }
    asyncio.run(app_with(pace)(scope, receive_message, keep))
    body = json.loads(b"".join(message.get("body", b"") for message in sent))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], body["code"] if isinstance(body, dict) else body, headers


async def of(*chunks: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(pause_s)
        yield chunk


async def endless(chunk: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(pause_s)
        yield chunk


def test_what_comes_in_time_arrives_whole() -> None:
    assert send("/words", of(b'{"words"', b': ["a", "b"]}'))[:2] == (200, 2)
    assert send("/recommend", of(b"x" * 10, b"y" * 2_000_000), kind="video/mp4")[:2] == (200, 2_000_010)


def test_json_has_a_bound_and_uploads_have_their_own() -> None:
    drawn = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal drawn
        async for chunk in endless(b"1" * 100_000):
            drawn += len(chunk)
            yield chunk

    assert send("/words", counted())[:2] == (413, "body_too_large")
    assert SMALL_BYTES < drawn <= SMALL_BYTES + 100_000
    assert send("/recommend", endless(bytes(100_000)), kind="video/mp4")[:2] == (413, "video_too_large")


@pytest.mark.parametrize(("path", "kind"), [("/words", "application/json"), ("/recommend", "video/mp4")])
def test_a_body_that_stops_coming_is_given_up(path: str, kind: str) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"words": ['
        await asyncio.sleep(3600)

    status, code, headers = send(path, stalled(), kind=kind)
    assert (status, code, headers["connection"]) == (408, "upload_too_slow", "close")


@pytest.mark.parametrize("kind", ["video/mp4", "multipart/form-data; boundary=x"])
def test_a_body_that_drips_is_given_up_although_it_never_stops(kind: str) -> None:
    pace = Pace(idle_s=0.2, bytes_per_s=1000)
    start = b'--x\r\nContent-Disposition: form-data; name="video"; filename="a"\r\n\r\n'

    async def dripping() -> AsyncIterator[bytes]:
        yield start
        async for drop in endless(b"x", 0.02):
            yield drop

    status, code, _ = send("/recommend", dripping(), pace=pace, kind=kind)
    assert (status, code) == (408, "upload_too_slow")


def test_a_server_that_is_slow_itself_blames_nobody() -> None:
    """Only the time that it waits counts."""
    seen: list[int] = []

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["more_body"]:
            seen.append(len(message["body"]))
            await asyncio.sleep(0.1)

    source = of(*[b"x" * 10] * 8)

    async def receive_message() -> Message:
        try:
            return {"type": "http.request", "body": await anext(source), "more_body": True}
        except StopAsyncIteration:
            return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "path": "/"}
    asyncio.run(Bodies(reader, Pace(0.2, 1000))(scope, receive_message, receive_message))  # type: ignore[arg-type]
    assert seen == [10] * 8


def test_waiting_for_the_answer_has_no_clock() -> None:
    """Once the body is there, whoever looks whether the client has left may look for ever."""

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["more_body"] is False
        assert (await receive())["type"] == "http.disconnect"

    messages: Iterator[Message] = iter(
        [{"type": "http.request", "body": b"x", "more_body": False}, {"type": "http.disconnect"}]
    )

    async def receive_message() -> Message:
        message = next(messages)
        await asyncio.sleep(0.3 if message["type"] == "http.disconnect" else 0)
        return message

    asyncio.run(Bodies(waits, QUICK)({"type": "http", "path": "/"}, receive_message, receive_message))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 5)), max_size=20))
def test_the_pace_is_a_mean_after_a_free_start(parts: list[tuple[int, float]]) -> None:
    pace, seen, waited = Pace(2.0, 500.0), 0, 0.0
    for size, wait_s in parts:
        seen, waited = seen + size, waited + wait_s
        owed = max(0.0, waited - 2.0) * 500.0
        assert pace.allows(seen, waited) == (seen >= owed or waited <= 2.0)
