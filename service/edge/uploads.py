"""A request body in, an unlinked temporary file with the video and the text of the options out.

A file rather than bytes in memory: 2 x cores + queue uploads of 200 MB each would be gigabytes. It has
no name from the start, so that even a server that is killed leaves nothing of a customer's cut behind.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from model.errors import BadOptions, EmptyBody, VideoTooLarge

MAX_OPTIONS_BYTES = 64 * 1024  # ten thousand ids of filters fit
_OVERHEAD_BYTES = MAX_OPTIONS_BYTES + 16 * 1024  # what a form may hold beside the video
_WRITE_BYTES = 1 << 20  # a hop to a thread per MiB, not per packet


@dataclass(frozen=True, slots=True)
class Upload:
    """One received video; lives as long as the request."""

    file: IO[bytes]
    size_bytes: int
    options: str | None

    @property
    def path(self) -> Path:
        """Where another process of this user can open the file, although it has no name."""
        return Path(f"/proc/{os.getpid()}/fd/{self.file.fileno()}")


async def receive(request: Request, max_bytes: int) -> Upload:
    """Read the body, counting; whoever gets the upload closes its file, and it is gone.

    Raises:
        VideoTooLarge: before more than the limit (and a form's overhead) was read.
        EmptyBody: if the video has no bytes.
        BadOptions: if the body is of another kind, or the form has other fields than `video` and `options`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        raise BadOptions("JSON bodies are not open yet: send the video as form field 'video' or as raw body")
    multipart = kind == "multipart/form-data"
    chunks = _counted(request, max_bytes + (_OVERHEAD_BYTES if multipart else 0), max_bytes)
    upload = await (_from_form(request, chunks) if multipart else _from_raw(chunks))
    if 0 < upload.size_bytes <= max_bytes:
        return upload
    upload.file.close()
    if upload.size_bytes:
        raise _too_large(max_bytes)
    raise EmptyBody("the video has no bytes: send a file that is not empty")


def _too_large(max_bytes: int) -> VideoTooLarge:
    return VideoTooLarge(f"the upload is larger than {max_bytes} bytes: send a smaller proxy of the cut")


async def _counted(request: Request, most_bytes: int, max_bytes: int) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most_bytes:
        raise _too_large(max_bytes)
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > most_bytes:
            raise _too_large(max_bytes)
        yield chunk


async def _from_raw(chunks: AsyncIterator[bytes]) -> Upload:
    file: IO[bytes] = TemporaryFile()  # noqa: SIM115  # closed by whoever gets the upload, or here
    waiting, size_bytes = bytearray(), 0
    try:
        async for chunk in chunks:
            waiting += chunk
            size_bytes += len(chunk)
            if len(waiting) >= _WRITE_BYTES:
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        file.write(waiting)
        file.flush()
    except BaseException:
        file.close()
        raise
    return Upload(file, size_bytes, None)


async def _from_form(request: Request, chunks: AsyncIterator[bytes]) -> Upload:
    parser = MultiPartParser(
        request.headers,
        chunks,  # type: ignore[arg-type]  # annotated as a generator, only iterated
        max_files=2,
        max_fields=4,
        max_part_size=MAX_OPTIONS_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise BadOptions(
            f"the form cannot be read ({error.message}): send field 'video' as a file"
        ) from error
    try:
        video, options = _fields(form)
        file: IO[bytes] = video.file
        await asyncio.to_thread(_to_disk, file)
    except BaseException:
        await form.close()
        raise
    return Upload(file, video.size or 0, options)


def _to_disk(file: IO[bytes]) -> None:
    """Give the spooled file a descriptor, also if it was small enough to stay in memory."""
    file.fileno()
    file.flush()


def _fields(form: FormData) -> tuple[UploadFile, str | None]:
    unknown = sorted(set(form) - {"video", "options"})
    if unknown:
        raise BadOptions(f"unknown form fields {unknown}: send 'video' and 'options'")
    twice = [name for name in form if len(form.getlist(name)) > 1]
    if twice:
        raise BadOptions(f"form field {twice[0]!r} stands there twice: send it once")
    video, options = form.get("video"), form.get("options")
    if not isinstance(video, UploadFile):
        raise BadOptions("the form has no file in field 'video': with curl that is -F video=@FILE")
    if isinstance(options, UploadFile):
        raise BadOptions("form field 'options' is a file: send it as text, with curl -F 'options={...}'")
    return video, options
