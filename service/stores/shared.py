"""What service processes share, by purpose: the methods that callers use, whoever keeps the state.

`memory` keeps it in this process, `redis` for all processes and replicas. Nothing here is the truth of
anything: it may be lost at any moment, and then work is done twice, or a change is noticed a second later.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

SNAPSHOT, RIGHTS = "snapshot", "rights"  # topics of notices: CURRENT, or the rights in force, have changed


class Cache(Protocol):
    """Bytes by key, for a while."""

    async def get(self, key: str) -> bytes | None:
        """What was put there, unless it ran out, was pushed out, or the cache is away."""

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep it if there is room."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of the wish to answer a request under an idempotency key."""

    state: Literal["yours", "running", "answered", "other"]  # other: the key came with another request before
    token: str = ""  # if yours: for `finish` or `release`
    answer: bytes = b""  # if answered: what `finish` was given


class Idempotency(Protocol):
    """Answers by idempotency key: the same key and request get the same answer, computed once."""

    async def claim(self, key: str, fingerprint: str, *, hold_s: float) -> Claim:
        """Begin to answer, or learn what became of the key.

        Args:
            key: of the caller and the caller's own key, so that callers cannot meet.
            fingerprint: hash of the request.
            hold_s: how long it is ours; whoever dies meanwhile frees it so.
        """

    async def finish(self, key: str, token: str, answer: bytes, *, keep_s: float) -> None:
        """Keep the answer for repeats."""

    async def release(self, key: str, token: str) -> None:
        """Give the key up unanswered: the request failed and may be sent again."""


class Limiter(Protocol):
    """So many a second, with bursts, by key."""

    async def take(self, key: str, *, per_s: float, burst: int) -> float:
        """Seconds to wait before the next one may be admitted; 0 if this one is, and was counted."""


class Listener(Protocol):
    """Hears of topics; notices that were missed meanwhile are one notice."""

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """The topics that changed since the last call, at once or when one does; none after `timeout_s`."""


class Notices(Protocol):
    """Says that something changed, never what to: whoever hears it looks at the store.

    A notice may be lost and may come twice, so a listener looks now and then without one.
    """

    async def publish(self, topic: str) -> None:
        """Tell every listener, in all processes."""

    def listen(self, *topics: str) -> AbstractContextManager[Listener]:
        """Hear of these from here on."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A job to look at."""

    job_id: str
    receipt: object = None  # the queue's own


class JobQueue(Protocol):
    """Ids of jobs that may be taken up, each at least once; if the queue is lost, the records tell."""

    async def put(self, job_id: str) -> None:
        """Tell one worker."""

    async def take(self, timeout_s: float) -> Hint | None:
        """The next one; None after about `timeout_s`."""

    async def done(self, hint: Hint) -> None:
        """The record has been looked at: do not tell another worker."""


class FeedbackStream(Protocol):
    """A live copy of what STORE/feedback keeps, for whoever watches; the oldest fall out."""

    async def append(self, events: Sequence[bytes]) -> None:
        """Add some, in this order."""

    async def newest(self, count: int) -> list[bytes]:
        """At most so many, the newest first."""


@dataclass(frozen=True)
class Shared:
    """All of it, for `service.app` and `service.work.worker` to build once and hand down."""

    cache: Cache
    idempotency: Idempotency
    limiter: Limiter
    notices: Notices
    queue: JobQueue  # of reindexes
    recommending: JobQueue  # of recommendations: neither kind waits behind the other
    feedback: FeedbackStream
    state: Callable[[], str]  # "ok", or for /readyz what is worse than it could be
