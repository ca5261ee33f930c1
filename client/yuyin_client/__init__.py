"""Client of a YuYin server: a rough cut in, ranked tracks of the shop's own pool out."""

from yuyin_client.awaited import AsyncClient
from yuyin_client.client import Client
from yuyin_client.errors import (
    BadOptions,
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    IdempotencyRunning,
    JobFailed,
    KeyRefused,
    MediaRefused,
    NotFound,
    NotReady,
    Overloaded,
    ReindexRunning,
    RequestRefused,
    ServerFault,
    Unauthenticated,
    Unavailable,
    Unreachable,
    YuyinError,
)
from yuyin_client.exchange import Retries
from yuyin_client.options import Event, Features, Filters, Licence, Options, Range, TrackChanges

__all__ = [
    "AsyncClient",
    "BadOptions",
    "Client",
    "Conflict",
    "Event",
    "Features",
    "Filters",
    "Forbidden",
    "IdempotencyMismatch",
    "IdempotencyRunning",
    "JobFailed",
    "KeyRefused",
    "Licence",
    "MediaRefused",
    "NotFound",
    "NotReady",
    "Options",
    "Overloaded",
    "Range",
    "ReindexRunning",
    "RequestRefused",
    "Retries",
    "ServerFault",
    "TrackChanges",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "YuyinError",
]
