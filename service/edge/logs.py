"""Each request in, one structured log line with its id out; no file names, no bodies, no query strings."""

import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("yuyin.http")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"})  # others may say anything
Ended = Callable[[str, str, int, str | None, float], None]


def _nobody(method: str, route: str, status: int, code: str | None, seconds: float) -> None:
    """Takes how requests ended where nobody counts them."""


class RequestLog:
    """ASGI middleware: gives every request an id, sends it back as X-Request-ID, logs how it ended.

    A caller who has an id of its own for what it does sends it in the same header, and finds it in the log.
    """

    def __init__(self, app: ASGIApp, ended: Ended = _nobody) -> None:
        """Args: `ended` is told the method, route, status, code and seconds of each request."""
        self.app = app
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; log when the answer is out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _id_of(scope)
        status, began = 500, time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except Exception:  # raised on: what answers it lies outside of us, so its code is not in `state` yet
            state["code"] = "internal"
            raise
        finally:
            # the template: paths may carry what callers call things
            route = getattr(scope.get("route"), "path", "none")
            code, seconds = state.get("code"), time.perf_counter() - began
            method = scope["method"] if scope["method"] in _METHODS else "other"
            fields = {
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "code": code,
                "duration_ms": round(seconds * 1000, 1),
            }
            log.info("request", extra=fields)
            self._ended(method, route, status, code, seconds)


def _id_of(scope: Scope) -> str:
    """The caller's, unless that could be mistaken for something else in a log or a header."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SANE.fullmatch(given) else uuid.uuid4().hex


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_config(level: str = "info") -> dict[str, Any]:
    """For `dictConfig` and uvicorn's `log_config`: JSON lines on stderr; the access lines are ours."""
    ours = {"handlers": ["stderr"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "service.edge.logs.JsonFormatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "loggers": {
            "yuyin": ours,
            "uvicorn": ours,
            "uvicorn.access": {"handlers": [], "level": "WARNING", "propagate": False},
        },
    }
