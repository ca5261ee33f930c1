"""A request body in; its bytes where a decoder can read them, their hash and the text of the options out.

The bytes are hashed as they come. Small bodies stay in memory: an answer that is kept already costs no file.
Large ones go to a file: 2 x cores + queue uploads of 200 MB each would be gigabytes. Neither has a name, so
that even a server that is killed leaves nothing of a customer's cut behind.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Literal

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from model.errors import BadOptions, BodyTooLarge, EmptyBody, VideoTooLarge

MAX_OPTIONS_BYTES = 64 * 1024  # ten thousand ids of filters fit
MAX_JSON_BYTES = 8 << 20  # minutes of pictures, hours of features; parsed, JSON takes twenty times as much
_OVERHEAD_BYTES = MAX_OPTIONS_BYTES + 16 * 1024  # what a form may hold beside the video
_WRITE_BYTES = 1 << 20  # a hop to a thread per MiB, not per packet
_MEMORY_BYTES = 4 << 20  # of a body, at most: times the places of the queue still far below a gigabyte


@dataclass(frozen=True, slots=True)
class Upload:
    """One received body; lives as long as the request."""

    file: IO[bytes]
    size_bytes: int
    sha256: str
    options: str | None = None
    kind: Literal["video", "json"] = "video"

    @property
    def path(self) -> Path:
        """Where another process of this user can open the file, although it has no name."""
        return Path(f"/proc/{os.getpid()}/fd/{self.file.fileno()}")


async def receive(request: Request, max_bytes: int, *, takes_json: bool = False) -> Upload:
    """Read the body, counting; whoever gets the upload closes its file, and it is gone.

    Args:
        request: whose body has not been read.
        max_bytes: of the video.
        takes_json: whether a JSON body may come in the place of a video; it is not parsed here.

    Raises:
        VideoTooLarge, BodyTooLarge: before more than the limit (and a form's overhead) was read.
        EmptyBody: if the video has no bytes.
        BadOptions: if the body is of another kind, or the form has other fields than `video` and `options`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        if not takes_json:
            raise BadOptions("this route takes no JSON: send the video as form field 'video' or as raw body")
        return await _json(request, min(MAX_JSON_BYTES, max_bytes))
    too_large = VideoTooLarge(f"the upload is larger than {max_bytes} bytes: send a smaller proxy of the cut")
    multipart = kind == "multipart/form-data"
    chunks = _counted(request, max_bytes + (_OVERHEAD_BYTES if multipart else 0), too_large)
    upload = await (_from_form(request, chunks) if multipart else _from_raw(chunks))
    if 0 < upload.size_bytes <= max_bytes:
        return upload
    upload.file.close()
    if upload.size_bytes:
        raise too_large
    raise EmptyBody("the video has no bytes: send a file that is not empty")


async def _json(request: Request, most_bytes: int) -> Upload:
    too_large = BodyTooLarge(
        f"a body of JSON has at most {most_bytes} bytes: send fewer or smaller pictures, or base64 rows"
    )
    found = await _from_raw(_counted(request, most_bytes, too_large))
    return Upload(found.file, found.size_bytes, found.sha256, kind="json")


async def _counted(
    request: Request, most_bytes: int, too_large: VideoTooLarge | BodyTooLarge
) -> AsyncIterator[bytes]:
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most_bytes:
        raise too_large
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > most_bytes:
            raise too_large
        yield chunk


class _Sink:
    """Takes the bytes of a body in order, hashes them, and keeps them in memory while they are few."""

    def __init__(self) -> None:
        self.file: IO[bytes] = os.fdopen(os.memfd_create("upload", os.MFD_CLOEXEC), "w+b")
        self.size_bytes = 0
        self.hash = hashlib.sha256()
        self._waiting = bytearray()
        self._in_memory = True

    async def take(self, chunk: bytes) -> None:
        self.size_bytes += len(chunk)
        if self.size_bytes <= _MEMORY_BYTES:  # a tenth of a millisecond: less than a hop to a thread
            self._add(chunk)
            return
        self._waiting += chunk
        if len(self._waiting) >= _WRITE_BYTES:
            await asyncio.to_thread(self.put)

    def put(self) -> None:
        if self._in_memory and self.size_bytes > _MEMORY_BYTES:
            self._to_disk()
        self._add(self._waiting)
        self.file.flush()
        self._waiting.clear()

    def _add(self, data: bytes | bytearray) -> None:
        self.hash.update(data)
        self.file.write(data)

    def _to_disk(self) -> None:
        on_disk = TemporaryFile()  # noqa: SIM115  # closed by whoever gets the upload
        try:
            self.file.seek(0)
            shutil.copyfileobj(self.file, on_disk, _WRITE_BYTES)
        except BaseException:  # a full disk
            on_disk.close()
            raise
        self.file.close()
        self.file, self._in_memory = on_disk, False


async def _from_raw(chunks: AsyncIterator[bytes]) -> Upload:
    sink = _Sink()
    try:
        async for chunk in chunks:
            await sink.take(chunk)
        sink.put()
    except BaseException:
        sink.file.close()
        raise
    return Upload(sink.file, sink.size_bytes, sink.hash.hexdigest())


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
        sha256 = await asyncio.to_thread(_to_disk, file)
    except BaseException:
        await form.close()
        raise
    return Upload(file, video.size or 0, sha256, options)


def _to_disk(file: IO[bytes]) -> str:
    """Give the spooled file a descriptor, also if it was small enough to stay in memory; returns its hash."""
    file.fileno()
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # spooled, on disk by now


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
