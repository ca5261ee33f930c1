"""Calls in, answers out, over httpx, blocking."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from functools import wraps
from typing import Concatenate, ParamSpec, Self, TypeVar, cast

import httpx

from yuyin_client import calls
from yuyin_client.answers import Job
from yuyin_client.calls import Answer, Call
from yuyin_client.exchange import Lost, Retries, Send, Sleep, exchange
from yuyin_client.following import Close, Item, Line, Open, Outcome, changes, done
from yuyin_client.wire import ANSWER_S, CONNECT_S, answer_of, head, request, settings

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(make: Callable[P, Call[T]]) -> Callable[Concatenate["Client", P], T]:
    @wraps(make)
    def method(client: "Client", /, *args: P.args, **named: P.kwargs) -> T:
        return client._run(exchange(make(*args, **named), client._retries))

    return method


class Client:
    """A YuYin server; any thread may ask. Use it as a context manager, or call `close`."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout_s: float = ANSWER_S,
        retries: Retries = Retries(),  # noqa: B008  # frozen
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: such as http://127.0.0.1:8000; a path in front of the server's routes may follow.
            key: an API key; a server that listens to its own machine only wants none.
            timeout_s: to wait for an answer, or for a part of it.
            retries: of calls that may be repeated.

        Raises:
            ValueError: if the address or the key cannot be one.
        """
        self._retries = retries
        self._http = httpx.Client(**settings(url, key, timeout_s))

    recommend = _blocking(calls.recommend)
    recommend_async = _blocking(calls.recommend_async)
    recommend_frames = _blocking(calls.recommend_frames)
    upload = _blocking(calls.upload)
    uploaded = _blocking(calls.uploaded)
    delete_upload = _blocking(calls.delete_upload)
    tracks = _blocking(calls.tracks)
    track = _blocking(calls.track)
    eligibility = _blocking(calls.eligibility)
    facets = _blocking(calls.facets)
    media_links = _blocking(calls.media_links)
    feedback = _blocking(calls.feedback)
    reindex = _blocking(calls.reindex)
    job = _blocking(calls.job)
    cancel_job = _blocking(calls.cancel_job)
    snapshots = _blocking(calls.snapshots)
    activate = _blocking(calls.activate)
    patch_track = _blocking(calls.patch_track)
    readyz = _blocking(calls.readyz)
    version = _blocking(calls.version)

    def follow(self, job_id: str, timeout_s: float | None = None) -> Iterator[Job]:
        """The record of a job each time it changes, the last one when it has ended.

        Raises:
            TimeoutError: if it has not ended by then.
            YuyinError: if there is no such job, or nobody can be asked.
        """
        steps, outcome = changes(job_id, self._retries, timeout_s), cast("Outcome", None)
        stream = _Stream(self._http)
        try:
            while True:
                match steps.send(outcome):
                    case Item(job):
                        outcome = None
                        yield job
                    case (Open() | Line() | Close()) as step:
                        outcome = stream.take(step)
                    case step:
                        outcome = self._take(step)
        except StopIteration:
            return
        finally:
            stream.close()

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """The record of a job once it is done, such as one of `recommend_async` or `reindex`.

        Raises:
            JobFailed: if it failed, or was cancelled.
            TimeoutError: if it has not ended by then.
        """
        last = None
        for record in self.follow(job_id, timeout_s):
            last = record
        return done(last)

    def _run(self, steps: Generator[Send | Sleep, Answer | Lost | None, T]) -> T:
        outcome: Answer | Lost | None = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as end:
                return cast("T", end.value)
            outcome = self._take(step)

    def _take(self, step: Send | Sleep) -> Answer | Lost | None:
        if isinstance(step, Sleep):
            time.sleep(step.seconds)
            return None
        body = step.call.body
        try:
            return answer_of(
                self._http.request(
                    **request(step.call, step.headers), content=None if body is None else body.pieces()
                )
            )
        except httpx.TransportError as error:
            return Lost(error)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({str(self._http.base_url)!r})"


class _Stream:
    """One answer that is kept open."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._open = ExitStack()
        self._lines: Iterator[str] = iter(())

    def take(self, step: Open | Line | Close) -> Outcome:
        match step:
            case Open():
                return self._opened(step)
            case Line():
                try:
                    return next(self._lines, None)
                except httpx.TransportError as error:
                    return Lost(error)
        self.close()
        return None

    def _opened(self, step: Open) -> Outcome:
        timeout = httpx.Timeout(step.silence_s, connect=CONNECT_S)
        opening = self._http.stream(**request(step.call, step.headers), timeout=timeout)
        try:
            response = self._open.enter_context(opening)
            self._lines = response.iter_lines()
            if response.status_code != 200:
                response.read()
                return answer_of(response)
        except httpx.TransportError as error:
            return Lost(error)
        return head(response)

    def close(self) -> None:
        self._open.close()
