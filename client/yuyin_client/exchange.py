"""A call in, the steps that answer it out: what to send, how long to wait, when to give up; no I/O in here.

A conversation is a generator: it yields what to do next and is sent what came of it, so that the blocking
and the asynchronous client do the same.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import uuid4

import httpx

from yuyin_client.calls import Answer, Call
from yuyin_client.errors import IdempotencyRunning, NotFound, Unavailable, Unreachable, YuyinError, error_of

T = TypeVar("T")

# The connection was not made, or broke: the answer may have been lost, so only what is safe is sent again.
_LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Retries:
    """How often and how patiently a call is repeated that failed for reasons that pass."""

    tries: int = 4  # in all; 1 never repeats
    first_wait_s: float = 0.5  # doubled each time, and drawn below that, so that callers spread
    longest_wait_s: float = 60.0  # a server that asks for more is not waited for

    def wait_s(self, fault: YuyinError, tried: int) -> float | None:
        """Seconds to wait before the next try; None if it is not worth one."""
        if tried >= self.tries or not _passes(fault):
            return None
        step_s = min(self.first_wait_s * 2 ** (tried - 1), self.longest_wait_s)
        if fault.retry_after_s is None:
            return random.uniform(step_s / 2, step_s)
        wait_s = fault.retry_after_s + random.uniform(0, step_s / 2)
        return wait_s if fault.retry_after_s <= self.longest_wait_s else None


def _passes(fault: YuyinError) -> bool:
    """A server says `Retry-After` where waiting helps; proxies and overloaded ones mean it also without."""
    match fault:
        case Unreachable():
            return isinstance(fault.__cause__, _LOST)
        case IdempotencyRunning():
            return True
        case Unavailable():
            return fault.retry_after_s is not None or fault.status == 429 or not fault.problem
    return False


@dataclass(frozen=True)
class Lost:
    """No answer came."""

    error: httpx.TransportError


@dataclass(frozen=True)
class Send:
    """Send this; an `Answer` or `Lost` comes of it."""

    call: Call[Any]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sleep:
    """Do nothing for a while."""

    seconds: float


def exchange(call: Call[T], retries: Retries) -> Generator[Send | Sleep, Answer | Lost | None, T]:
    """Send a call until it is answered for good.

    Raises:
        YuyinError: what the server, or the way to it, said at last.
    """
    headers = {"Idempotency-Key": uuid4().hex} if call.repeat == "keyed" else {}
    tried, lost = 0, False
    while True:
        outcome = yield Send(call, headers)
        tried += 1
        fault = fault_of(outcome)
        done = fault is None or (call.removes and lost and isinstance(fault, NotFound))
        if done and isinstance(outcome, Answer):
            return call.read(outcome)
        assert fault is not None
        lost = lost or isinstance(fault, Unreachable)
        wait_s = retries.wait_s(fault, tried) if call.again else None
        if wait_s is None:
            raise fault
        yield Sleep(wait_s)


def fault_of(outcome: Answer | Lost | None) -> YuyinError | None:
    """What is wrong; None with an answer of success."""
    if not isinstance(outcome, Answer):
        return _unreachable(outcome)
    if 200 <= outcome.status < 300:
        return None
    if 300 <= outcome.status < 400:  # never followed: the key would go along
        return YuyinError(
            "redirected", "the server sends on to another address: use that one", status=outcome.status
        )
    problem = outcome.json()
    ours = isinstance(problem, dict) and "problem+json" in outcome.headers.get("content-type", "")
    return error_of(outcome.status, problem if ours else None, outcome.retry_after_s)


def _unreachable(lost: Lost | None) -> Unreachable:
    error = lost.error if lost else None
    slow = isinstance(error, httpx.TimeoutException)
    fault = Unreachable(
        "timeout" if slow else "unreachable",
        f"no answer came ({type(error).__name__}): "
        + (
            "give it more time, or a smaller video"
            if slow
            else "is the server running, is the address right?"
        ),
    )
    fault.__cause__ = error
    return fault
