"""Web origins in, what lets their pages read answers out; nothing at all where none is listed."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
_SENT = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Range",
    "X-API-Key",
    "X-Request-ID",
)
_READ = ("Content-Range", "ETag", "Location", "Preference-Applied", "Retry-After", "X-Request-ID")


def allow(app: FastAPI, origins: tuple[str, ...]) -> None:
    """Add it; keys are sent in headers, so that no cookies are to be allowed."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_READ,
        )
