"""What routes ask for: the parts of this service, and a key with the right scope."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from model.media.child import Decoder
from service.edge.keys import Keyring
from service.edge.links import Link, Links
from service.serving.current import Current, Serving
from service.serving.rightsbook import Rightsbook
from service.serving.workers import Workers
from service.settings import Scope, Settings
from service.stores.shared import Shared
from service.work.jobs import Jobs


@dataclass(frozen=True)
class Parts:
    """Built once by `service.app`, handed to every route."""

    settings: Settings
    keyring: Keyring
    current: Current
    decoder: Decoder
    workers: Workers
    jobs: Jobs
    shared: Shared
    links: Links
    rights: Rightsbook


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
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    header: Annotated[str | None, Security(_header)],
) -> str | None:
    return bearer.credentials if bearer is not None else header


def needs(*scopes: Scope) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only keys with one of `scopes` pass."""

    async def check(parts: PartsDep, key: Annotated[str | None, Depends(_key)]) -> None:
        parts.keyring.require(key, *scopes)

    return check


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
