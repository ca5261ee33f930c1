"""What routes ask for: the parts of this service, and a key with the right scope."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from model.errors import RateLimited, Unauthenticated
from model.media.child import Decoder
from service.edge.keybook import Keybook
from service.edge.keys import Keyring
from service.edge.links import Link, Links
from service.metrics.counted import Metrics
from service.metrics.exchange import Exchange
from service.ranking.answering import Answering
from service.serving.confined import Confined
from service.serving.current import Current, Serving
from service.serving.rightsbook import Rightsbook
from service.serving.room import Room
from service.serving.workers import Workers
from service.settings import Scope, Settings
from service.stores.feedback import FeedbackLog
from service.stores.shared import Shared
from service.stores.uploads import UploadStore
from service.work.jobs import Jobs


@dataclass(frozen=True)
class Parts:
    """Built once by `service.app`, handed to every route."""

    settings: Settings
    keys: Keybook
    current: Current
    decoder: Decoder
    workers: Workers
    jobs: Jobs
    shared: Shared
    links: Links
    rights: Rightsbook
    answering: Answering
    uploads: UploadStore
    feedback: FeedbackLog
    metrics: Metrics
    exchange: Exchange
    room: Room
    confined: Confined

    @property
    def keyring(self) -> Keyring:
        """The keys in force: take it once a decision, it is swapped whole."""
        return self.keys.ring


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]


async def _serving(parts: PartsDep) -> Serving:
    return parts.current.take()


ServingDep = Annotated[Serving, Depends(_serving)]

_bearer = HTTPBearer(auto_error=False, description="An API key.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key in a header of its own.")


async def _key(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    header: Annotated[str | None, Security(_header)],
) -> str | None:
    sent = {*request.headers.getlist("x-api-key"), *([bearer.credentials] if bearer is not None else [])}
    if len(sent) > 1 or len(request.headers.getlist("authorization")) > 1:
        raise Unauthenticated("this request carries several API keys: send one, once")
    return bearer.credentials if bearer is not None else header


def needs(*scopes: Scope) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only keys with one of `scopes` pass."""

    async def check(parts: PartsDep, key: Annotated[str | None, Depends(_key)]) -> None:
        parts.keyring.require(key, *scopes)

    return check


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    name: str | None  # of the API key; None where there are none, and everybody is the same one
    scopes: frozenset[Scope]


async def _caller(parts: PartsDep, key: Annotated[str | None, Depends(_key)]) -> Caller:
    ring = parts.keyring
    return Caller(ring.caller(key), ring.scopes(key))


CallerDep = Annotated[Caller, Depends(_caller)]


async def within_rate(parts: PartsDep, key: Annotated[str | None, Depends(_key)]) -> None:
    """Let a key pass that has not used up its requests; beside `needs` on routes that cost work.

    Without keys everybody is this machine, whose requests the queue bounds.
    """
    ring = parts.keyring
    name = ring.caller(key)
    if name is None:
        return
    entry, settings = ring.entries[name], parts.settings
    per_s = settings.rate_per_s if entry.rate_per_s is None else entry.rate_per_s
    if per_s:
        burst = settings.rate_burst if entry.burst is None else entry.burst
        wait_s = await parts.shared.limiter.take(name, per_s=per_s, burst=burst)
        if wait_s > 0:
            raise RateLimited(
                f"this API key may send {per_s:g} requests a second: wait {wait_s:.1f} s",
                retry_after_s=math.ceil(wait_s),
            )


async def may_hear(
    track_id: str,
    parts: PartsDep,
    key: Annotated[str | None, Depends(_key)],
    expires: Annotated[int | None, Query(description="Of an address from /v1/media-links.")] = None,
    signature: Annotated[str | None, Query(description="Of an address from /v1/media-links.")] = None,
) -> None:
    """Let a signed address of this track pass, or a key with the scope `catalogue`."""
    if expires is not None and signature is not None:
        await run_in_threadpool(parts.links.check, track_id, Link(expires, signature))
    else:
        parts.keyring.require(key, "catalogue")


async def any_key(parts: PartsDep, key: Annotated[str | None, Depends(_key)]) -> None:
    """Let every configured key pass."""
    parts.keyring.scopes(key)
