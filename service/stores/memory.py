"""Shared state of a service that is one process: bounded, gone with it. Called on the event loop only."""

import asyncio
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from service.stores.shared import Claim, Hint, Listener, Shared

CACHE_BYTES = 64 << 20
ANSWERS_BYTES = 16 << 20
KEYS = 10_000  # of the limiter: one a caller
FEEDBACK = 10_000
HINTS = 1_000


class MemoryCache:
    """What was used last stays."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()  # until when (monotonic), what

    async def get(self, key: str) -> bytes | None:
        """What was put there, unless it ran out or was pushed out."""
        until_s, value = self._kept.get(key, (0.0, b""))
        if until_s <= time.monotonic():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return value

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep it, in the place of those that were not used for longest."""
        self._drop(key)
        if _cost(key, value) > self._max_bytes:
            return
        self._kept[key] = (time.monotonic() + ttl_s, value)
        self._bytes += _cost(key, value)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self._bytes -= _cost(key, found[1])


def _cost(key: str, value: bytes) -> int:
    return len(key) + len(value) + 200  # what Python needs to hold them


class MemoryIdempotency:
    """Answers in a cache of their own, claims beside it."""

    def __init__(self, max_bytes: int = ANSWERS_BYTES) -> None:
        self._answers = MemoryCache(max_bytes)
        self._claims = MemoryCache(max_bytes)

    async def claim(self, key: str, fingerprint: str, *, hold_s: float) -> Claim:
        """Begin to answer, or learn what became of the key."""
        if (found := await self._answers.get(key)) is not None:
            before, _, answer = found.partition(b"\n")
            return Claim("answered", answer=answer) if before == fingerprint.encode() else Claim("other")
        if (found := await self._claims.get(key)) is not None:
            before, _, _token = found.partition(b"\n")
            return Claim("running" if before == fingerprint.encode() else "other")
        token = secrets.token_hex(8)
        await self._claims.put(key, f"{fingerprint}\n{token}".encode(), ttl_s=hold_s)
        return Claim("yours", token)

    async def finish(self, key: str, token: str, answer: bytes, *, keep_s: float) -> None:
        """Keep the answer, if the claim is still ours."""
        fingerprint, _, ours = (await self._claims.get(key) or b"").partition(b"\n")
        if ours == token.encode() and token:
            await self._answers.put(key, fingerprint + b"\n" + answer, ttl_s=keep_s)
            self._claims._drop(key)

    async def release(self, key: str, token: str) -> None:
        """Give the key up unanswered, if the claim is still ours."""
        if (await self._claims.get(key) or b"").endswith(b"\n" + token.encode()) and token:
            self._claims._drop(key)


def gcra(due_s: float, now_s: float, *, per_s: float, burst: int) -> tuple[float, float]:
    """The generic cell rate algorithm (ITU-T I.371): a token bucket that is one number.

    Args:
        due_s: when the next one would be due had all come evenly; 0 for a new key.
        now_s: on the same clock.
        per_s: how many a second may come evenly.
        burst: how many may come at once.

    Returns:
        Seconds to wait, 0 if admitted; and the new `due_s`.
    """
    most_s = burst / per_s
    due_s = min(max(due_s, now_s), now_s + most_s)  # a clock that was set back must not lock anybody out
    wait_s = due_s + 1 / per_s - most_s - now_s
    return (wait_s, due_s) if wait_s > 1e-9 else (0.0, due_s + 1 / per_s)


class MemoryLimiter:
    """One number a key; the key that was used least lately is forgotten first."""

    def __init__(self, max_keys: int = KEYS) -> None:
        self._max_keys = max_keys
        self._due_s: OrderedDict[str, float] = OrderedDict()

    async def take(self, key: str, *, per_s: float, burst: int) -> float:
        """Seconds to wait; 0 if admitted."""
        wait_s, due_s = gcra(self._due_s.get(key, 0.0), time.monotonic(), per_s=per_s, burst=burst)
        self._due_s[key] = due_s
        self._due_s.move_to_end(key)
        if len(self._due_s) > self._max_keys:
            self._due_s.popitem(last=False)
        return wait_s


class _Listener:
    """Remembers which of its topics changed, not how often: its memory is bounded by their number."""

    def __init__(self) -> None:
        self._heard: set[str] = set()
        self._changed = asyncio.Event()

    def hear(self, topic: str) -> None:
        self._heard.add(topic)
        self._changed.set()

    async def wait(self, timeout_s: float) -> frozenset[str]:
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return frozenset()
        self._changed.clear()
        heard, self._heard = frozenset(self._heard), set()
        return heard


class MemoryNotices:
    """Listeners of this process, by topic."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[_Listener]] = {}

    async def publish(self, topic: str) -> None:
        """Tell every listener of this process."""
        self.hear(topic)

    def hear(self, topic: str) -> None:
        """The same where nothing is awaited."""
        for listener in self._listeners.get(topic, ()):
            listener.hear(topic)

    def hear_all(self) -> None:
        """Any topic may have changed: notices were missed."""
        for topic in self._listeners:
            self.hear(topic)

    @contextmanager
    def listen(self, *topics: str) -> Iterator[Listener]:
        """Hear of these from here on."""
        listener = _Listener()
        for topic in topics:
            self._listeners.setdefault(topic, set()).add(listener)
        try:
            yield listener
        finally:
            for topic in topics:
                self._listeners[topic].discard(listener)
                if not self._listeners[topic]:
                    del self._listeners[topic]


class MemoryQueue:
    """Hints to the runner of this process; one that finds no room is found in the records."""

    def __init__(self) -> None:
        self._hints: asyncio.Queue[str] = asyncio.Queue(HINTS)

    async def put(self, job_id: str) -> None:
        """Tell the runner."""
        if not self._hints.full():
            self._hints.put_nowait(job_id)

    async def take(self, timeout_s: float) -> Hint | None:
        """The next one."""
        try:
            async with asyncio.timeout(timeout_s):
                return Hint(await self._hints.get())
        except TimeoutError:
            return None

    async def done(self, hint: Hint) -> None:
        """Nothing to forget."""


class MemoryFeedback:
    """The newest."""

    def __init__(self) -> None:
        self._events: deque[bytes] = deque(maxlen=FEEDBACK)

    async def append(self, events: Sequence[bytes]) -> None:
        """Add some, in this order."""
        self._events.extend(events)

    async def newest(self, count: int) -> list[bytes]:
        """At most so many, the newest first."""
        return [event for event, _ in zip(reversed(self._events), range(count), strict=False)]


@asynccontextmanager
async def memory_shared() -> AsyncIterator[Shared]:
    """All of it, in this process."""
    yield Shared(
        cache=MemoryCache(),
        idempotency=MemoryIdempotency(),
        limiter=MemoryLimiter(),
        notices=MemoryNotices(),
        queue=MemoryQueue(),
        recommending=MemoryQueue(),
        feedback=MemoryFeedback(),
        state=lambda: "ok",
    )
