"""Feedback events in, STORE/feedback/<day>/<process>.jsonl out: on disk before anybody is told so.

Each process appends to a file of its own, one a day (UTC), so that writers never wait for each other, on one
machine or several. A batch is one write and one fsync; a process that is killed leaves at most one torn line,
at the end of its file, of events that were not acknowledged. Whoever reads leaves that line out, and counts
an event that came twice once.
"""

import json
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from model.artifact import fsync_folder
from model.errors import NotStored
from service.schemas.feedback import FeedbackEvent, FeedbackRecord


def folder_of(store: Path) -> Path:
    """Where the events of a store lie."""
    return store / "feedback"


def record_of(event: FeedbackEvent, received: datetime) -> FeedbackRecord:
    """What is kept of an event: what was sent, when it came and, if it has none, an id."""
    came = received.astimezone(UTC).isoformat(timespec="milliseconds")
    sent = event.model_dump(exclude={"event_id", "at"})
    return FeedbackRecord(
        event_id=event.event_id or secrets.token_hex(16),
        received_at=came,
        at=came if event.at is None else event.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        **sent,
    )


class FeedbackLog:
    """This process's end of it; any thread may append."""

    def __init__(self, store: Path) -> None:
        self._folder = folder_of(store)
        self._turn = threading.Lock()
        self._segment: tuple[str, int] | None = None  # day, descriptor

    def append(self, lines: Sequence[bytes], *, day: str | None = None) -> None:
        """Add lines of JSON; they are on disk when this returns.

        Args:
            lines: without line ends.
            day: ISO; today unless given.

        Raises:
            NotStored: if they may not be: the disk is full, or gone.
        """
        data = b"".join(line + b"\n" for line in lines)
        with self._turn:
            try:
                descriptor = self._open(day or datetime.now(UTC).date().isoformat())
                _write_all(descriptor, data)
                os.fsync(descriptor)
            except OSError as error:
                self._close()  # never behind a torn line: the next batch begins a file of its own
                raise NotStored("the feedback could not be written to disk: send the same again") from error

    def close(self) -> None:
        """Let the file go; another append opens a new one."""
        with self._turn:
            self._close()

    def _open(self, day: str) -> int:
        if self._segment is not None and self._segment[0] == day:
            return self._segment[1]
        self._close()
        folder = self._folder / day
        fresh = [path for path in (folder, self._folder) if not path.is_dir()]
        folder.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(folder / f"{secrets.token_hex(8)}.jsonl", flags, 0o640)
        self._segment = (day, descriptor)
        for path in (folder, *(one.parent for one in fresh)):
            fsync_folder(path)  # or a power cut takes the file's name, whatever was synced into it
        return descriptor

    def _close(self) -> None:
        if self._segment is not None:
            with suppress(OSError):  # fsync has told all that there was to tell
                os.close(self._segment[1])
            self._segment = None


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_feedback(store: Path) -> Iterator[FeedbackRecord]:
    """Every event once, by day; of two under one id the first that is read, and none that is torn."""
    seen: set[str] = set()
    for path in sorted(folder_of(store).glob("*/*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                record = _read(line)
                if record is not None and record.event_id not in seen:
                    seen.add(record.event_id)
                    yield record


def _read(line: bytes) -> FeedbackRecord | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return FeedbackRecord.model_validate(json.loads(line))
    except (ValueError, ValidationError):
        return None
