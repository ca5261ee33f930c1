"""Calls in, answers out, over httpx, for asyncio: the same methods as `Client` has, to be awaited."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import AsyncExitStack
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from yuyin_client import calls
from yuyin_client.answers import Job
from yuyin_client.calls import Answer, Call
from yuyin_client.exchange import Lost, Retries, Send, Sleep, exchange
from yuyin_client.following import Close, Item, Line, Open, Outcome, changes, done
from yuyin_client.wire import ANSWER_S, CONNECT_S, answer_of, head, request, settings

P = ParamSpec("P")
T = TypeVar("T")


def _awaited(make: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncClient", P], Coroutine[Any, Any, T]]:
    @wraps(make)
    async def method(client: "AsyncClient", /, *args: P.args, **named: P.kwargs) -> T:
        return await client._run(exchange(make(*args, **named), client._retries))

    return method


class AsyncClient:
    """A YuYin server, for asyncio. Use it as an asynchronous context manager, or call `aclose`."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = ANSWER_S,
        retries: Retries = Retries(),  # noqa: B008  # frozen
    ) -> None:
        """As `Client`."""
        self._retries = retries
        self._http = httpx.AsyncClient(**settings(url, key, timeout_s))

    recommend = _awaited(calls.recommend)
    recommend_async = _awaited(calls.recommend_async)
    recommend_frames = _awaited(calls.recommend_frames)
    upload = _awaited(calls.upload)
    uploaded = _awaited(calls.uploaded)
    delete_upload = _awaited(calls.delete_upload)
    tracks = _awaited(calls.tracks)
    track = _awaited(calls.track)
    eligibility = _awaited(calls.eligibility)
    facets = _awaited(calls.facets)
    media_links = _awaited(calls.media_links)
    feedback = _awaited(calls.feedback)
    reindex = _awaited(calls.reindex)
    job = _awaited(calls.job)
    cancel_job = _awaited(calls.cancel_job)
    snapshots = _awaited(calls.snapshots)
    activate = _awaited(calls.activate)
    patch_track = _awaited(calls.patch_track)
    readyz = _awaited(calls.readyz)
    version = _awaited(calls.version)

    async def follow(self, job_id: str, timeout_s: float | None = None) -> AsyncIterator[Job]:
        """As `Client.follow`."""
        steps, outcome = changes(job_id, self._retries, timeout_s), cast("Outcome", None)
        stream = _AsyncStream(self._http)
        try:
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration:
                    return
                match step:
                    case Item(job):
                        outcome = None
                        yield job
                    case Open() | Line() | Close():
                        outcome = await stream.take(step)
                    case _:
                        outcome = await self._take(step)
        finally:
            await stream.aclose()

    async def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """As `Client.wait`."""
        last = None
        async for record in self.follow(job_id, timeout_s):
            last = record
        return done(last)

    async def _run(self, steps: Generator[Send | Sleep, Answer | Lost | None, T]) -> T:
        outcome: Answer | Lost | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast("T", end.value)
            outcome = await self._take(step)

    async def _take(self, step: Send | Sleep) -> Answer | Lost | None:
        if isinstance(step, Sleep):
            await asyncio.sleep(step.seconds)
            return None
        body = step.call.body
        content = None if body is None else _in_threads(body.pieces())
        try:
            return answer_of(await self._http.request(**request(step.call, step.headers), content=content))
        except httpx.TransportError as error:
            return Lost(error)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"AsyncClient({str(self._http.base_url)!r})"


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """A disk may be slow, or a share: the event loop does not wait for it."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


class _AsyncStream:
    """One answer that is kept open."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._open = AsyncExitStack()
        self._lines: AsyncIterator[str] | None = None

    async def take(self, step: Open | Line | Close) -> Outcome:
        match step:
            case Open():
                return await self._opened(step)
            case Line():
                assert self._lines is not None
                try:
                    return await anext(self._lines, None)
                except httpx.TransportError as error:
                    return Lost(error)
        await self.aclose()
        return None

    async def _opened(self, step: Open) -> Outcome:
        timeout = httpx.Timeout(step.silence_s, connect=CONNECT_S)
        opening = self._http.stream(**request(step.call, step.headers), timeout=timeout)
        try:
            response = await self._open.enter_async_context(opening)
            self._lines = response.aiter_lines()
            if response.status_code != 200:
                await response.aread()
                return answer_of(response)
        except httpx.TransportError as error:
            return Lost(error)
        return head(response)

    async def aclose(self) -> None:
        await self._open.aclose()
