"""Blocking work in, its result out, the event loop free: so many at once, so many waiting, no more."""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import ClientDisconnect

from model.errors import Overloaded

Result = TypeVar("Result")

GONE_POLL_S = 0.25  # how soon work that nobody waits for any more gives up its place in the queue

# Set once nobody waits for the answer any more. Work looks it up where stopping pays; what lies between, such
# as an extractor, need not know of requests.
CLIENT_LEFT: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar(
    "client_left", default=None
)


class Workers:
    """A bounded thread pool; decoding waits for its child, numpy, ONNX Runtime and FAISS release the GIL."""

    def __init__(self, in_flight: int, queue: int) -> None:
        self._room = in_flight + queue
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
            raise Overloaded(f"{self._admitted} requests are in flight already: try again in a moment")
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, work: Callable[[], Result], gone: Callable[[], Awaitable[bool]]) -> Result:
        """Run `work` in a thread, with an event of its own in `CLIENT_LEFT`.

        Raises:
            ClientDisconnect: if `gone` becomes true before the work began, or the work looks and gives up;
                otherwise begun work is finished.
        """
        left, context = threading.Event(), contextvars.copy_context()
        context.run(CLIENT_LEFT.set, left)
        begun = self._threads.submit(
            context.run, work
        )  # kept: asyncio's says cancelled while the thread runs
        future = asyncio.wrap_future(begun)
        try:
            while not (await asyncio.wait({future}, timeout=GONE_POLL_S))[0]:
                if await gone():
                    if begun.cancel():
                        raise ClientDisconnect
                    left.set()
            return future.result()
        finally:
            left.set()  # also when the server cancels this wait
            begun.cancel()
            # Else an error would hold this frame, and this frame the error with all that the work held of a
            # video: hundreds of megabytes until somebody collects garbage.
            del begun, future

    def close(self) -> None:
        """Drop what waits, end what runs."""
        self._threads.shutdown(wait=True, cancel_futures=True)
