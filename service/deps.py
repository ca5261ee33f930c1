"""What routes ask for: the parts of this service, and a key with the right scope."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from model.media.child import Decoder
from service.jobs import Reindexer
from service.keys import Keyring
from service.serving import Current, Serving
from service.settings import Scope, Settings
from service.stores.jobs import JobStore
from service.workers import Workers


@dataclass(frozen=True)
class Parts:
    """Built once by `service.app`, handed to every route."""

    settings: Settings
    keyring: Keyring
    current: Current
    decoder: Decoder
    workers: Workers
    jobs: JobStore
    reindexer: Reindexer


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


def needs(scope: Scope) -> Callable[..., Awaitable[None]]:
    """A dependency that lets only keys with `scope` pass."""

    async def check(parts: PartsDep, key: Annotated[str | None, Depends(_key)]) -> None:
        parts.keyring.require(key, scope)

    return check


async def any_key(parts: PartsDep, key: Annotated[str | None, Depends(_key)]) -> None:
    """Let every configured key pass."""
    parts.keyring.scopes(key)
