"""Bodies to keep for a while in, STORE/uploads/<id>.bin and <id>.json out; gone when their time is over.

Any process of the store may open one: servers, replicas, workers. The bytes come first and the record last,
so what has a record is whole. Room is taken under a lock before the bytes are written, so that the bound on
all of them holds over processes. A record's time of change says when it was made; nothing else is compared.
"""

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from model.artifact import ASIDE, fsync_folder, write_json
from model.errors import NotFound, UploadsFull

_ID = re.compile(r"[0-9a-f]{32}")
_WRITE_BYTES = 1 << 20
_UNFINISHED_S = 3600.0  # a body that is still being written after this belongs to nobody
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
SWEEP_S = 60.0


@dataclass(frozen=True, slots=True)
class Stored:
    """One kept body."""

    id: str
    kind: Literal["video", "json"]
    sha256: str
    size_bytes: int
    owner: str | None  # the name of the key that brought it; None where there are no keys
    expires_at: str  # UTC, ISO 8601


class UploadStore:
    """All methods block; several processes may use the same store."""

    def __init__(self, store: Path, ttl_s: float, max_bytes: int) -> None:
        """Args: `max_bytes` is of all of them together."""
        self._folder = store / "uploads"
        self._ttl_s = ttl_s
        self._max_bytes = max_bytes

    def put(
        self, file: IO[bytes], size_bytes: int, sha256: str, kind: Literal["video", "json"], owner: str | None
    ) -> Stored:
        """Copy what was received; durable when this returns.

        Raises:
            UploadsFull: if there is no room for it now.
        """
        upload_id = secrets.token_hex(16)
        aside = self._folder / f"{ASIDE}{upload_id}"
        try:
            self._take_room(aside, size_bytes)
            with aside.open("r+b") as out:
                file.seek(0)
                shutil.copyfileobj(file, out, _WRITE_BYTES)
                out.flush()
                os.fsync(out.fileno())
            with self._locked():  # whoever adds up the room finds it under one of its names
                aside.replace(self._bytes(upload_id))
            fsync_folder(self._folder)
            expires_at = datetime.fromtimestamp(time.time() + self._ttl_s, UTC).isoformat(timespec="seconds")
            stored = Stored(upload_id, kind, sha256, size_bytes, owner, expires_at)
            write_json(self._record(upload_id), asdict(stored))
        except OSError as error:
            with suppress(OSError):
                self._bytes(upload_id).unlink(missing_ok=True)
            if error.errno in _NO_ROOM:
                raise self._full("the disk of the store is full") from error
            raise
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        return stored

    def get(self, upload_id: str, owner: str | None) -> Stored:
        """What is kept under an id; raises `NotFound` also if it is somebody else's, or its time is over."""
        path = self._record(upload_id)
        try:
            if not _ID.fullmatch(upload_id) or self._expired(path):
                raise FileNotFoundError
            stored = Stored(**json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            raise _not_there() from None
        if stored.owner != owner:
            raise _not_there()
        return stored

    def open(self, upload_id: str, owner: str | None) -> tuple[Stored, IO[bytes]]:
        """The same with its bytes, which stay readable whatever becomes of the upload; raises `NotFound`."""
        stored = self.get(upload_id, owner)
        try:
            return stored, self._bytes(upload_id).open("rb")
        except OSError:
            raise _not_there() from None

    def remove(self, upload_id: str) -> None:
        """Forget it; once more is fine."""
        if _ID.fullmatch(upload_id):
            self._record(upload_id).unlink(missing_ok=True)
            self._bytes(upload_id).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what has expired, and what writers left unfinished that were killed."""
        if self._folder.is_dir():
            with self._locked():
                self._sweep()

    def _sweep(self) -> None:
        now_s = time.time()
        for path in list(self._folder.iterdir()):
            with suppress(FileNotFoundError):
                if path.suffix == ".json" and not path.name.startswith(ASIDE):
                    if self._expired(path):
                        self.remove(path.stem)
                elif path.name != "lock" and now_s - path.stat().st_mtime > max(_UNFINISHED_S, self._ttl_s):
                    path.unlink()

    def _take_room(self, aside: Path, size_bytes: int) -> None:
        """Make an empty file of the full size, which counts from now on."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._sweep()
            held = self._held_bytes()
            if held + size_bytes > self._max_bytes:
                raise self._full(f"the uploads that are kept take {held} of {self._max_bytes} bytes")
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(descriptor, size_bytes)
            finally:
                os.close(descriptor)

    def _held_bytes(self) -> int:
        held = 0
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # removed meanwhile, or a record that got its name
                held += path.stat().st_size
        return held

    def _full(self, why: str) -> UploadsFull:
        return UploadsFull(f"{why}: delete those you no longer need, or send the video with the question")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # for milliseconds; freed when its holder dies
            yield
        finally:
            os.close(descriptor)

    def _expired(self, record: Path) -> bool:
        return time.time() - record.stat().st_mtime > self._ttl_s

    def _record(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.json"

    def _bytes(self, upload_id: str) -> Path:
        return self._folder / f"{upload_id}.bin"


def _not_there() -> NotFound:
    return NotFound("there is no upload of this id, or no longer: send the video again")
