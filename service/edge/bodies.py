"""A request's body in, the same body out, unless it is too large for its route or comes too slowly.

FastAPI reads JSON bodies whole and without a bound, and nothing below it has a clock for bodies: without this
a caller could fill the memory, or hold a place of the queue with a byte a minute.
"""

import asyncio
import time
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.errors import BodyTooLarge, UploadTooSlow

SMALL_BYTES = 1 << 20  # a body of JSON: ten thousand track ids, a feedback batch
UPLOADS = frozenset({"/recommend", "/v1/recommend", "/v1/uploads"})  # these count for themselves


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body may come; time counts while the server waits for it, not while it is busy itself."""

    idle_s: float
    bytes_per_s: float

    def allows(self, seen_bytes: int, waited_s: float) -> bool:
        """Whether so many bytes in so much time are quick enough; a first `idle_s` is for free."""
        return waited_s <= self.idle_s or seen_bytes >= self.bytes_per_s * (waited_s - self.idle_s)


class Bodies:
    """ASGI middleware; what it raises comes out where the route reads its body, and is answered there."""

    def __init__(self, app: ASGIApp, pace: Pace, *, uploads: frozenset[str] = UPLOADS) -> None:
        self.app = app
        self._pace = pace
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with a receive that counts and has a clock."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        bounded = None if scope["path"] in self._uploads else SMALL_BYTES
        await self.app(scope, _Body(receive, self._pace, bounded).receive, send)


class _Body:
    def __init__(self, receive: Receive, pace: Pace, most_bytes: int | None) -> None:
        self._receive = receive
        self._pace = pace
        self._most_bytes = most_bytes
        self._seen_bytes = 0
        self._waited_s = 0.0
        self._ended = False

    async def receive(self) -> Message:
        """The next message; once the body is there, what follows is waited for without an end."""
        if self._ended:
            return await self._receive()
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(self._pace.idle_s):
                message = await self._receive()
        except TimeoutError:
            raise UploadTooSlow(
                f"no byte of the body came for {self._pace.idle_s:g} s: send it without a pause"
            ) from None
        self._waited_s += time.monotonic() - began_s
        self._count(message)
        return message

    def _count(self, message: Message) -> None:
        self._seen_bytes += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._most_bytes is not None and self._seen_bytes > self._most_bytes:
            raise BodyTooLarge(f"this route takes at most {self._most_bytes} bytes: send less at once")
        if not self._ended and not self._pace.allows(self._seen_bytes, self._waited_s):
            raise UploadTooSlow(
                f"the body comes at less than {self._pace.bytes_per_s:g} bytes a second: send a smaller proxy"
            )
