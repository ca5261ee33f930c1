"""A video in, its bytes in pieces out, again for every attempt, never all of it in memory."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

Video = bytes | str | os.PathLike[str] | BinaryIO  # a path unless it is bytes or an open file

PIECE_BYTES = 256 << 10


@dataclass(frozen=True)
class Body:
    """What is sent; `repr` shows no contents."""

    content_type: str
    source: bytes | Path | BinaryIO
    before: bytes = b""  # what a form has around the video
    after: bytes = b""
    offset: int = 0  # where an open file stood

    def __repr__(self) -> str:
        return f"Body({self.content_type})"

    @property
    def again(self) -> bool:
        """Whether it can be sent a second time."""
        return isinstance(self.source, bytes | Path) or self.source.seekable()

    def length(self) -> int | None:
        """In bytes; None for a pipe, whose end nobody knows."""
        match self.source:
            case bytes():
                size = len(self.source)
            case Path():
                size = self.source.stat().st_size
            case file if file.seekable():
                size = file.seek(0, os.SEEK_END) - self.offset
            case _:
                return None
        return len(self.before) + size + len(self.after)

    def pieces(self) -> Iterator[bytes]:
        """All of it, from the start."""
        if self.before:
            yield self.before
        match self.source:
            case bytes():
                yield from _read(BytesIO(self.source))
            case Path():
                with self.source.open("rb") as file:
                    yield from _read(file)
            case file:
                if file.seekable():
                    file.seek(self.offset)
                yield from _read(file)
        if self.after:
            yield self.after


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def raw(video: Video) -> Body:
    """The bytes and nothing else: what a server reads fastest."""
    source = _source(video)
    offset = 0 if isinstance(source, bytes | Path) or not source.seekable() else source.tell()
    return Body("application/octet-stream", source, offset=offset)


def form(video: Video, options: Mapping[str, Any]) -> Body:
    """A form of `options` and `video`, for options that are too long for an address."""
    boundary = secrets.token_hex(16)
    said = json.dumps(options, ensure_ascii=False)
    before = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="options"\r\n\r\n{said}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="video"; filename="video"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    plain = raw(video)
    kind = f"multipart/form-data; boundary={boundary}"
    return Body(kind, plain.source, before.encode(), f"\r\n--{boundary}--\r\n".encode(), plain.offset)


def of_json(value: Any) -> Body:
    """A JSON document."""
    return Body("application/json", json.dumps(value, ensure_ascii=False, allow_nan=False).encode())


def _source(video: Video) -> bytes | Path | BinaryIO:
    if isinstance(video, bytes | bytearray | memoryview):
        return bytes(video)
    return Path(video) if isinstance(video, str | os.PathLike) else video
