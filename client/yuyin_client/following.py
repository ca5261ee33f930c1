"""A job's id in, its record each time it changes out, by server-sent events; no I/O in here.

A stream that breaks, or a proxy that lets none through, costs nothing but time: the record is asked for, and
the stream opened again from the last event that was seen.
"""

import json
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, cast

from yuyin_client.answers import Job
from yuyin_client.calls import Answer, Call, job
from yuyin_client.errors import JobFailed, Unavailable, YuyinError
from yuyin_client.exchange import Lost, Retries, Send, Sleep, exchange, fault_of

SILENCE_S = 60.0  # servers say at least that they are alive more often than that
AGAIN_S = 1.0
ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Open:
    """Send this and keep the answer open; an `Answer` without a body, or `Lost`, comes of it."""

    call: Call[Any]
    headers: dict[str, str]
    silence_s: float  # for the answer or a line


@dataclass(frozen=True)
class Line:
    """Read a line of what is open; None comes of it at the end, `Lost` if it broke."""


@dataclass(frozen=True)
class Close:
    """Close what is open."""


@dataclass(frozen=True)
class Item:
    """Hand this to the caller."""

    job: Job


Step = Send | Sleep | Open | Line | Close | Item
Outcome = Answer | Lost | str | None


@dataclass
class Events:
    """Lines of a text/event-stream in, events out."""

    last_id: str = ""
    _data: list[str] = field(default_factory=list)
    _id: str = ""

    def feed(self, line: str) -> str | None:
        """The data of an event that this line ends; None if it ends none."""
        if not line:
            data, self._data = "\n".join(self._data), []
            if data:
                self.last_id = self._id
            return data or None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def forget(self) -> None:
        """What was half said before the stream broke."""
        self._data, self._id = [], self.last_id


def changes(job_id: str, retries: Retries, timeout_s: float | None) -> Generator[Step, Outcome, None]:
    """Steps that yield an `Item` for each change, the last one when the job has ended.

    Raises:
        TimeoutError: if it has not ended within `timeout_s`.
        YuyinError: if there is no such job, or nobody can be asked.
    """
    end_s = None if timeout_s is None else time.monotonic() + timeout_s
    events, version = Events(), 0
    while True:
        record = yield from _stream(job_id, events, end_s)
        if record is None:
            polled = yield from exchange(job(job_id), retries)
            record = polled
            if record["version"] > version or record["state"] in ENDED:
                yield Item(record)
        version = record["version"]
        if record["state"] in ENDED:
            return
        if end_s is not None and time.monotonic() >= end_s:
            raise TimeoutError(f"job {job_id} is still {record['state']} after {timeout_s:g} s")
        yield Sleep(AGAIN_S)


def _stream(job_id: str, events: Events, end_s: float | None) -> Generator[Step, Outcome, Job | None]:
    """Follow one stream to its end; the last record of it, None if it brought nothing new."""
    call = Call("GET", f"{job(job_id).path}/events", lambda answer: None)
    silence_s = SILENCE_S if end_s is None else min(SILENCE_S, max(0.1, end_s - time.monotonic()))
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": events.last_id} if events.last_id else {})
    answer = yield Open(call, headers, silence_s)
    last: Job | None = None
    if isinstance(answer, Answer) and answer.status == 200:
        while isinstance(line := (yield Line()), str):
            data = events.feed(line)
            if data is not None:
                last = cast("Job", json.loads(data))
                yield Item(last)
                if last["state"] in ENDED:
                    break
            if end_s is not None and time.monotonic() >= end_s:
                break
        events.forget()
        yield Close()
        return last
    yield Close()
    fault = fault_of(answer if isinstance(answer, Answer | Lost) else None)
    if fault is not None and not _may_poll(fault):
        raise fault
    return None


def _may_poll(fault: YuyinError) -> bool:
    """Too many streams, a proxy in between, a server that starts again: the record can be asked for."""
    return isinstance(fault, Unavailable) or fault.status is None or fault.status >= 500


def done(record: Job | None) -> Job:
    """The record of a job that is done; raises `JobFailed` for one that ended otherwise."""
    assert record is not None
    if record["state"] != "done":
        raise JobFailed(record)
    return record
