"""Any error in, application/problem+json (RFC 9457) out: the one place that gives errors HTTP statuses."""

import errno
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from model.errors import ArtifactError, NoAccelerator, NotFound, YuyinError
from service.edge.headers import HEADERS

log = logging.getLogger("yuyin.service")

PROBLEM = "application/problem+json"

# code: (status, title). A code never changes its meaning; new ones are added as needed.
STATUS: dict[str, tuple[int, str]] = {
    "not_media": (415, "Not a media file"),
    "no_video_stream": (415, "No picture in this file"),
    "no_audio_stream": (415, "No sound in this file"),
    "encrypted": (422, "The file is encrypted"),
    "cannot_decode": (422, "The file cannot be decoded"),
    "empty_body": (422, "The file is empty"),
    "video_too_large": (413, "The video is too large"),
    "video_too_long": (413, "The video is too long"),
    "video_too_costly": (413, "The video is too costly to decode"),
    "bad_options": (422, "The options cannot be used"),
    "bad_pool": (422, "The music pool cannot be used"),
    "bad_dataset": (422, "The dataset cannot be used"),
    "bad_request": (400, "The request cannot be read"),
    "unauthenticated": (401, "An API key is needed"),
    "forbidden": (403, "Not allowed"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "Method not allowed"),
    "reindex_running": (409, "A reindex is running already"),
    "store_locked": (409, "The store is being written"),
    "job_ended": (409, "The job has ended already"),
    "corrupt": (409, "This part of the store does not verify"),
    "mismatch": (409, "These parts do not belong together"),
    "range_not_satisfiable": (416, "Range not satisfiable"),
    "overloaded": (429, "Too many requests at once"),
    "rate_limited": (429, "Too many requests with this key"),
    "not_ready": (503, "Not ready yet"),
    "not_installed": (503, "Pretrained weights are missing"),
    "no_accelerator": (503, "The required accelerator cannot be used"),
    "no_sandbox": (503, "Uploads cannot be decoded safely here"),
    "decoder_lost": (503, "The decoding process was lost"),
    "deadline_exceeded": (503, "The answer took too long"),
    "draining": (503, "This process is about to end"),
    "not_stored": (503, "Could not be stored"),
    "idempotency_running": (409, "The first request with this key is still worked on"),
    "idempotency_mismatch": (422, "The idempotency key belongs to another request"),
    "uploads_full": (429, "No room for another upload"),
    "body_too_large": (413, "The body is too large"),
    "upload_too_slow": (408, "The upload came too slowly"),
    "internal": (500, "Internal error"),
}
CLIENT_GONE = 499  # nobody reads it; the log line says why a request ended

_BY_STATUS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 416: "range_not_satisfiable"}
_RETRY_AFTER_S = {
    "overloaded": 1,
    "not_ready": 5,
    "decoder_lost": 1,
    "deadline_exceeded": 5,
    "draining": 1,
    "idempotency_running": 1,
    "not_stored": 5,
}
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
# Whoever is about to end, or stopped reading a body, takes no other request on this connection.
_CLOSING = frozenset({"draining", "upload_too_slow"})


def problem(
    request: Request,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> JSONResponse:
    """The answer to a failed request; `members` are further fields of the problem."""
    status, _ = STATUS[code]
    request_id = getattr(request.state, "request_id", None)
    request.state.code = code  # for the log line
    sent = dict(headers or {})
    if code in _RETRY_AFTER_S:
        sent.setdefault("Retry-After", str(_RETRY_AFTER_S[code]))
    if code in _CLOSING:
        sent["Connection"] = "close"
    if code == "unauthenticated":
        sent["WWW-Authenticate"] = 'Bearer realm="yuyin"'
    return JSONResponse(
        {**told(code, detail, request_id), **members}, status, headers=sent, media_type=PROBLEM
    )


def told(code: str, detail: str, request_id: str | None = None) -> dict[str, Any]:
    """The members that every problem has."""
    status, title = STATUS[code]
    body = {"type": f"/docs#{code}", "title": title, "status": status, "detail": detail, "code": code}
    return {**body, "request_id": request_id}


def _said(request: Request, error: YuyinError) -> str:
    """The message, unless it names folders of ours: then it goes to the log and the answer stays general."""
    if isinstance(error, ArtifactError) and not isinstance(error, NotFound):
        log.warning("refused", extra={"code": error.code, "reason": str(error)})
        return "a part of the store cannot be used: the server's log says which, under this request_id"
    if isinstance(error, NoAccelerator):
        log.warning("refused", extra={"code": error.code, "reason": str(error)})
        return "the accelerator cannot be used: the server's log says why, under this request_id"
    return str(error)


async def _ours(request: Request, error: Exception) -> Response:
    error = cast(YuyinError, error)
    members: dict[str, Any] = getattr(error, "members", {})
    if error.code not in STATUS or error.code == "internal":
        return await _unforeseen(request, error)
    retry_after_s: int | None = getattr(error, "retry_after_s", None)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return problem(request, error.code, _said(request, error), headers=headers, **members)


async def _invalid(request: Request, error: Exception) -> Response:
    found = cast(RequestValidationError, error).errors()
    return problem(request, "bad_options", explain({**one, "loc": one["loc"][1:]} for one in found))


async def _http(request: Request, error: Exception) -> Response:
    error = cast(HTTPException, error)
    if isinstance(error.__cause__, YuyinError):  # FastAPI calls all that goes wrong with a body "parsing"
        return await _ours(request, error.__cause__)
    code = _BY_STATUS.get(error.status_code, "internal" if error.status_code >= 500 else "bad_request")
    detail = error.detail
    if detail == HTTPStatus(STATUS[code][0]).phrase:
        detail = f"{request.method} {request.url.path} is no route of this service: /docs lists them"
    return problem(request, code, detail, headers=error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    request.state.code = "client_gone"
    return Response(status_code=CLIENT_GONE)


async def _of_the_disk(request: Request, error: Exception) -> Response:
    """Whatever was to be written where, a disk without room is the operator's business, not a bug of ours."""
    if cast(OSError, error).errno not in _NO_ROOM:
        raise error  # to `_unforeseen`
    log.error("no room on the disk", exc_info=error, extra={"code": "not_stored"})
    return problem(
        request,
        "not_stored",
        "the server's disk is full or read-only: make room on it, then send the same again",
    )


async def _unforeseen(request: Request, error: Exception) -> Response:
    """Nothing of the error is told outside: its words may name files, hosts or code."""
    log.error("unforeseen error", exc_info=error, extra={"code": "internal"})
    # Starlette answers this outside of every middleware of ours, so what they add is added here.
    request_id = getattr(request.state, "request_id", "")
    return problem(
        request,
        "internal",
        "something went wrong inside: quote the request_id to whoever runs this server",
        headers=HEADERS | {"X-Request-ID": request_id},
    )


def explain(errors: Iterable[Mapping[str, Any]]) -> str:
    """Pydantic's findings in one sentence that names each field."""
    found = []
    for error in errors:
        place = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            found.append(f"{place!r} is unknown or not open yet")
        else:
            message = error["msg"].removeprefix("Value error, ")
            found.append(f"{place!r}: {message}" if place else message)
    return "; ".join(found)


def install(app: FastAPI) -> None:
    """Answer every error of `app` in the same form."""
    app.add_exception_handler(YuyinError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(OSError, _of_the_disk)
    app.add_exception_handler(Exception, _unforeseen)
