"""SIGTERM in, an orderly end out: what has begun is answered, what is new is refused, then the process ends.

A load balancer learns from /readyz that it shall send no more; what it sends nevertheless gets 503 with
`Connection: close`, so that a caller may simply ask again and meets another replica.
"""

import asyncio
import signal
import time
from dataclasses import dataclass
from types import FrameType

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import problem

NOTICE_S = 1.0  # stay at least: requests on their way are refused rather than cut off
GRACE_S = 5  # for connections that are open when the time to drain is over; then their work is cancelled
_ALWAYS = frozenset({"/livez", "/metrics"})


@dataclass(slots=True)
class Door:
    """Whether this process takes new requests, and how many are inside. Used on the event loop only."""

    closed: bool = False
    inside: int = 0


class DoorKeeper:
    """ASGI middleware: counts who is inside, lets nobody in once the door is closed."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on or refuse."""
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self.app(scope, receive, send)
        elif self._door.closed:
            await _refuse(scope, receive, send)
        else:
            self._door.inside += 1
            try:
                await self._inside(scope, receive, send)
            finally:
                self._door.inside -= 1

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except asyncio.CancelledError:  # uvicorn does it to what is left when the time is over, and says 500
            if begun or not self._door.closed:
                raise
            await _refuse(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "this process is about to end: send the request again, another one takes it"
    await problem(Request(scope), "draining", detail)(scope, receive, send)


class Server(uvicorn.Server):
    """uvicorn's, which closes the door on SIGTERM and ends when all are out, or `drain_s` are over.

    Ctrl-C, and a second SIGTERM, end it as uvicorn does. Where others listen on the same socket, it stops
    listening first and closes the door a moment later: who connects meanwhile is theirs, nobody is refused.
    """

    others_listen = False

    def __init__(self, config: uvicorn.Config, door: Door, drain_s: float) -> None:
        super().__init__(config)
        self._door = door
        self._drain_s = drain_s
        self._closed_s = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Close the door, if this is the first SIGTERM."""
        super().handle_exit(sig, frame)
        if sig == signal.SIGTERM and not self._closed_s and self.started:
            self._door.closed, self._closed_s = not self.others_listen, time.monotonic()
            self.should_exit = False  # not yet

    async def on_tick(self, counter: int) -> bool:
        """Look whether all are out; uvicorn asks ten times a second."""
        if self._closed_s:
            passed_s = time.monotonic() - self._closed_s
            if self.others_listen:
                for listening in self.servers:
                    listening.close()
            self._door.closed = not self.others_listen or passed_s >= NOTICE_S
            empty = self._door.inside == 0 and passed_s >= NOTICE_S
            self.should_exit = self.should_exit or empty or passed_s >= self._drain_s
        return await super().on_tick(counter)
