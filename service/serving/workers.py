"""Blocking work in, its result out, the event loop free: so many at once, so many waiting, none for ever."""

import asyncio
import contextvars
import ctypes
import math
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect

from model.errors import DeadlineExceeded, Overloaded

Result = TypeVar("Result")

GONE_POLL_S = 0.25  # how soon work that nobody waits for any more gives up its place in the queue
DEADLINE_S = 120.0
LONGEST_RETRY_S = 60  # a caller who was told to wait for longer would not
_FIRST_GUESS_S = 1.0  # how long work takes, before any was done
_NEW_SHARE = 0.2  # of the latest work in the running mean
# glibc keeps what the arrays of a video took, in an arena of each thread: after real clips a process held
# 367 MB of which it used 170. Giving it back takes milliseconds; a fixed threshold of malloc for mmap does
# the same, and every array pays.
_TRIM_EVERY_S = 1.0
_trim: Callable[[], object] = partial(getattr(ctypes.CDLL(None), "malloc_trim", int), 0)  # musl has none

# Set once nobody waits for the answer any more. Work looks it up where stopping pays; what lies between, such
# as an extractor, need not know of requests.
CLIENT_LEFT: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "client_left", default=None
)


def unwanted() -> bool:
    """Whether nobody waits any more for what this thread works on."""
    left = CLIENT_LEFT.get()
    return left is not None and left.is_set()


@dataclass(slots=True)
class _Turn:
    """Of one request: monotonic seconds, None until a thread takes it."""

    asked_s: float
    began_s: float | None = None

    def waited_s(self) -> float:
        """In the queue, so far or in all."""
        return (self.began_s or time.monotonic()) - self.asked_s


class Workers:
    """A bounded thread pool; decoding waits for its child, numpy, ONNX Runtime and FAISS release the GIL."""

    def __init__(self, in_flight: int, queue: int, deadline_s: float = DEADLINE_S) -> None:
        """At most `in_flight` at work and `queue` waiting, each for `deadline_s` in all."""
        self._in_flight = in_flight
        self._room = in_flight + queue
        self._deadline_s = deadline_s
        self._mean_s = _FIRST_GUESS_S
        self._trimmed_s = time.monotonic()
        self._admitted = 0
        self._threads = ThreadPoolExecutor(in_flight, thread_name_prefix="yuyin-request")

    @property
    def admitted(self) -> int:
        """Requests inside: receiving their body, waiting or worked on."""
        return self._admitted

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Take a place from the first byte of the body on, so that waiting uploads are bounded too.

        Called on the event loop only, so the count needs no lock.

        Raises:
            Overloaded: if all places are taken.
        """
        if self._admitted >= self._room:
            raise self._overloaded(f"{self._admitted} requests are in flight already")
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    def _overloaded(self, why: str) -> Overloaded:
        """With the time that all who are inside will take."""
        wait_s = math.ceil(min(self._mean_s * self._admitted / self._in_flight, LONGEST_RETRY_S))
        return Overloaded(f"{why}: try again in {max(1, wait_s)} s", retry_after_s=max(1, wait_s))

    def until_s(self) -> float:
        """When the time of whoever asks now is over, monotonic; for `wait`, and for `run` after it."""
        return time.monotonic() + self._deadline_s

    async def wait(
        self, other: asyncio.Future[Any], gone: Callable[[], Awaitable[bool]], until_s: float
    ) -> None:
        """Wait for what somebody else works on, no longer than `run` would wait for its own work.

        Raises:
            ClientDisconnect: if `gone` becomes true first.
            DeadlineExceeded: if `until_s` comes first.
        """
        while not (await asyncio.wait({other}, timeout=self._patience_s(until_s, None)))[0]:
            if (why := await self._why_stop(until_s, gone)) is not None:
                raise why

    async def run(
        self,
        work: Callable[[], Result],
        gone: Callable[[], Awaitable[bool]],
        until_s: float | None = None,
    ) -> Result:
        """Run `work` in a thread, with an event of its own in `CLIENT_LEFT`.

        Begun work that looks at the event gives up, whatever it raises then; other work is finished. This
        returns only when the thread has let go of what the work uses, such as the upload's file.

        Args:
            work: runs in the thread.
            gone: whether nobody waits for it any more.
            until_s: from before a `wait`, which then counts as time in the queue; else the time begins now.

        Raises:
            ClientDisconnect: if `gone` becomes true before the work began, or the work gives up then.
            Overloaded: if the work gives up at the deadline, or never began, having mostly waited.
            DeadlineExceeded: if it gives up then, having mostly been worked on.
        """
        left, context = threading.Event(), contextvars.copy_context()
        context.run(CLIENT_LEFT.set, left)
        until_s, why = self.until_s() if until_s is None else until_s, None
        turn = _Turn(until_s - self._deadline_s)
        # kept: asyncio's says cancelled while the thread runs
        begun = self._threads.submit(context.run, self._timed, work, turn)
        future = asyncio.wrap_future(begun)
        try:
            while not (await asyncio.wait({future}, timeout=self._patience_s(until_s, why)))[0]:
                why = why or await self._why_stop(until_s, gone)
                if why is not None:
                    if begun.cancel():
                        raise self._answer(why, turn)
                    left.set()
            if why is not None and future.exception() is not None:
                raise self._answer(why, turn)
            return future.result()
        finally:
            left.set()  # also when the server cancels this wait
            begun.cancel()
            # Else an error would hold this frame, and this frame the error with all that the work held of a
            # video: hundreds of megabytes until somebody collects garbage.
            del begun, future

    def _timed(self, work: Callable[[], Result], turn: _Turn) -> Result:
        turn.began_s = began_s = time.monotonic()
        try:
            return work()
        finally:  # in several threads at once: a lost update of a rough mean harms nobody
            now_s = time.monotonic()
            self._mean_s += _NEW_SHARE * (now_s - began_s - self._mean_s)
            if now_s - self._trimmed_s > _TRIM_EVERY_S:
                self._trimmed_s = now_s
                _trim()

    @staticmethod
    def _patience_s(until_s: float, why: Exception | None) -> float:
        """Until the next look: at the deadline, if that comes first."""
        return GONE_POLL_S if why else max(0.0, min(GONE_POLL_S, until_s - time.monotonic()))

    async def _why_stop(
        self, until_s: float, gone: Callable[[], Awaitable[bool]]
    ) -> ClientDisconnect | DeadlineExceeded | None:
        if await gone():
            return ClientDisconnect()
        if time.monotonic() < until_s:
            return None
        return DeadlineExceeded(
            f"the answer is not ready after {self._deadline_s:g} s: send a shorter part or a smaller proxy"
        )

    def _answer(
        self, why: ClientDisconnect | DeadlineExceeded, turn: _Turn
    ) -> ClientDisconnect | DeadlineExceeded | Overloaded:
        """Whoever spent the time in the queue shall come again, not send something smaller."""
        if isinstance(why, DeadlineExceeded) and turn.waited_s() > self._deadline_s / 2:
            return self._overloaded(f"no place became free in {turn.waited_s():.0f} s")
        return why

    def close(self) -> None:
        """Drop what waits, end what runs."""
        self._threads.shutdown(wait=True, cancel_futures=True)
