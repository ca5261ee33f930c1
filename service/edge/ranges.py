"""A file and a request's headers in, all of it, a part of it or 'you have it already' out (RFC 9110)."""

import re
from collections.abc import Iterator
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException

from model.errors import NotFound

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)  # an exabyte; int() refuses 4,301 digits
_CHUNK_BYTES = 256 * 1024


def file_answer(request: Request, path: Path, media_type: str) -> Response:
    """Answer GET or HEAD with a file that never changes under its name.

    Raises:
        NotFound: if the file is not there.
        HTTPException: 416 if the range lies outside of it.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise NotFound("this track has no such file: build the index again") from error
    etag = f'"{facts.st_size:x}-{facts.st_mtime_ns:x}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if _has(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    asked = request.headers.get("range") if request.headers.get("if-range", etag) == etag else None
    part = byte_range(asked, facts.st_size)
    first, end = part or (0, facts.st_size)
    headers["Content-Length"] = str(end - first)
    if part:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{facts.st_size}"
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(_read(path, first, end), status, headers=headers, media_type=media_type)


def byte_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """First and end (exclusive) byte; None for the whole file.

    Several ranges, other units and broken headers may be ignored (RFC 9110, 14.2), and are.

    Raises:
        HTTPException: 416 if no byte of the file is in the range.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first_text, last_text = match.groups()
    if not first_text:
        first, end = max(0, size_bytes - int(last_text)), size_bytes
    else:
        first = int(first_text)
        end = min(int(last_text) + 1, size_bytes) if last_text else size_bytes
        if last_text and int(last_text) < first:
            return None
    if first >= end:
        raise HTTPException(
            416,
            f"the file has {size_bytes} bytes: ask for a part of those",
            {"Content-Range": f"bytes */{size_bytes}"},
        )
    return first, end


def _has(header: str | None, etag: str) -> bool:
    """Weak comparison of If-None-Match."""
    listed = [entry.strip().removeprefix("W/") for entry in (header or "").split(",")]
    return etag in listed or "*" in listed


def _read(path: Path, first: int, end: int) -> Iterator[bytes]:
    """Starlette draws from this in threads, so the event loop never waits for the disk.

    The file is opened by the first draw: whoever is gone before that leaves none open.
    """
    with path.open("rb") as file:
        file.seek(first)
        while first < end and (chunk := file.read(min(_CHUNK_BYTES, end - first))):
            first += len(chunk)
            yield chunk
