"""A job's state in, STORE/jobs/<id>.json out: the truth about long work, whole after any crash.

Several processes and machines read and change these records. Each change is one read and one replacement
under a lock on STORE/jobs/lock, so that a job is taken up once. Whoever runs a job holds a lease on it
(`worker`, `lease_until`) and renews it; when it has run out, or its holder is surely dead, the job may be
taken up again. `attempt` tells the holders of one job apart: one that was paused and comes back finds that it
is over. Leases compare the clocks of machines: keep those within a few seconds.
"""

import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from model.artifact import write_json
from model.errors import JobEnded, NotFound, Overloaded, ReindexRunning
from service.schemas.jobs import Job, JobError
from service.stores.holder import surely_dead

_ID = re.compile(r"[0-9a-f]{32}")
LEASE_S = 20.0  # a holder that renews it every second or so loses it only if it hangs
MAX_OPEN = 256  # recommendations that wait; beyond, nobody would wait for them
KEEP_S = 24 * 3600.0  # a record after its job's end, for whoever asks late
KEEP_REINDEXES = 100  # of those that are older
KEEP_LATEST = 10_000  # of all: one key at its limit would leave 864,000 a day, each with its result
INTERRUPTED = JobError(
    code="interrupted", detail="the process that ran this ended before it was done: start it again"
)

Kind = Literal["reindex", "recommend"]
Ended = Literal["done", "failed", "cancelled"]


class AlreadyRunning(ReindexRunning):
    """Says which job runs, so that the caller can follow that one."""

    def __init__(self, job_id: str) -> None:
        super().__init__("a reindex is running already: wait for its job to end, or cancel it")
        self.members = {"job": job_id, "job_url": f"/v1/jobs/{job_id}"}


class LeaseLost(Exception):
    """This job is no longer ours: somebody took it up, or it ended."""


def now() -> str:
    """UTC, to the millisecond."""
    return _text(datetime.now(UTC))


def _text(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds")


def _lease(seconds: float) -> str:
    return _text(datetime.now(UTC) + timedelta(seconds=seconds))


def lapsed(job: Job) -> bool:
    """Whether nobody works on a running job any more."""
    if job.worker is None or job.lease_until is None:  # nobody has taken it up
        return True
    return datetime.fromisoformat(job.lease_until) < datetime.now(UTC) or surely_dead(job.worker)


def _waits(job: Job) -> bool:
    """Whether there is something to take up."""
    return job.state == "queued" or (job.state == "running" and lapsed(job))


class JobStore:
    """One JSON file per job; an empty file in `open/` for each that has not ended. All methods block."""

    def __init__(self, store: Path) -> None:
        self._folder = store / "jobs"

    def get(self, job_id: str) -> Job:
        """The job called `job_id`; raises `NotFound`."""
        job = self._read(job_id) if _ID.fullmatch(job_id) else None
        if job is None:
            raise NotFound("there is no job of this id")
        return job

    def open_jobs(self, kind: Kind | None = None) -> list[Job]:
        """Those of a kind, or of all, that have not ended, oldest first."""
        found = (self._read(path.name) for path in (self._folder / "open").glob("*"))
        jobs = [job for job in found if job is not None and job.open and kind in (None, job.kind)]
        return sorted(jobs, key=lambda job: (job.created_at, job.id))

    def waiting(self, kind: Kind) -> list[Job]:
        """Those that can be taken up, oldest first."""
        return [job for job in self.open_jobs(kind) if _waits(job)]

    def create(self, kind: Kind, asked: dict[str, Any], owner: str | None = None) -> Job:
        """A new job that waits to be taken up.

        Raises:
            AlreadyRunning: while a reindex is open, here or in any process that shares the store.
            Overloaded: while too many others are.
        """
        with self._locked():
            if kind == "reindex":
                for other in self.open_jobs(kind):
                    raise AlreadyRunning(other.id)
            elif (waiting := sum(1 for _ in (self._folder / "open").glob("*"))) >= MAX_OPEN:
                raise Overloaded(f"{waiting} jobs wait already: try again in a minute", retry_after_s=60)
            job = Job(
                id=uuid.uuid4().hex,
                kind=kind,
                state="queued",
                progress=0.0,
                created_at=now(),
                asked=asked,
                owner=owner,
            )
            try:
                return self._write(job)
            except OSError:  # nobody will know its id: it must neither wait nor be counted
                (self._folder / f"{job.id}.json").unlink(missing_ok=True)
                (self._folder / "open" / job.id).unlink(missing_ok=True)
                raise

    def prune(self) -> int:
        """Remove records of jobs that ended a day ago or too many jobs ago, but for the latest reindexes.

        Marks that a kill left go as well; returns how many records went.
        """
        self._unmark()
        before_s = time.time() - KEEP_S
        changed = sorted((_changed_s(path), path) for path in self._folder.glob("[0-9a-f]*.json"))
        surplus = len(changed) - KEEP_LATEST
        ended: dict[str, list[Path]] = {"reindex": []}
        for place, (changed_s, path) in enumerate(changed):
            job = self._read(path.stem) if changed_s < before_s or place < surplus else None
            if job is not None and not job.open:
                ended.setdefault(job.kind, []).append(path)
        del ended["reindex"][-KEEP_REINDEXES:]
        for path in (old := [path for paths in ended.values() for path in paths]):
            path.unlink(missing_ok=True)  # no lock: what has ended never changes
        return len(old)

    def _unmark(self) -> None:
        """Remove the marks of jobs that have ended or never began: `create` counts marks."""
        for mark in (self._folder / "open").glob("*"):
            with self._locked():  # no write is half done
                try:
                    (self._folder / f"{mark.name}.json").stat()
                    job = self._read(mark.name)
                    stale = job is not None and not job.open  # what cannot be read may be of a newer version
                except FileNotFoundError:
                    stale = True
                if stale:
                    mark.unlink(missing_ok=True)

    def claim(self, job_id: str, worker: str, *, attempts: int, lease_s: float = LEASE_S) -> Job | None:
        """Take up a job that waits, or whose holder is gone; None if there is nothing to take up.

        Args:
            job_id: what a queue or a look at the open ones said; it may be stale.
            worker: the name to hold it under, see `service.stores.holder`.
            attempts: a job that was taken up so often and never ended has failed: it may be what kills us.
            lease_s: how long it is ours without a `beat`.
        """
        with self._changing(job_id) as job:
            if job is None or not _waits(job):
                return None
            if job.cancelling:
                self._write(_ended(job, "cancelled"))
                return None
            if job.attempt >= attempts:
                self._write(_ended(job, "failed", error=INTERRUPTED))
                return None
            ours = {"state": "running", "worker": worker, "attempt": job.attempt + 1}
            return self._write(job.model_copy(update=ours | {"lease_until": _lease(lease_s)}))

    def free(self, kind: Kind) -> list[Job]:
        """Let those whose holder is gone wait again, so that no record says that somebody works on them."""
        freed = []
        for seen in self.open_jobs(kind):
            if seen.state != "running" or not lapsed(seen):
                continue
            with self._changing(seen.id) as job:
                if job is not None and job.state == "running" and lapsed(job):
                    waits = {"state": "queued", "worker": None, "lease_until": None}
                    gone = _ended(job, "cancelled") if job.cancelling else job.model_copy(update=waits)
                    freed.append(self._write(gone))
        return freed

    def beat(self, held: Job, *, progress: float, stage: str | None, lease_s: float = LEASE_S) -> Job:
        """Renew the lease and tell how far the work is; a write only if either is worth it.

        Raises:
            LeaseLost: if the job is somebody else's by now, or has ended.
        """
        with self._held(held) as job:
            left = datetime.fromisoformat(job.lease_until or now()) - datetime.now(UTC)
            if (job.progress, job.stage) == (progress, stage) and left.total_seconds() > lease_s / 2:
                return job
            told = {"progress": progress, "stage": stage, "lease_until": _lease(lease_s)}
            return self._write(job.model_copy(update=told))

    def end(
        self,
        held: Job,
        state: Ended,
        *,
        error: JobError | None = None,
        result: dict[str, Any] | None = None,
    ) -> Job:
        """Record the outcome; raises `LeaseLost` if it is no longer ours to tell."""
        with self._held(held) as job:
            return self._write(_ended(job, state, error=error, result=result))

    def give_back(self, held: Job) -> Job:
        """Let another worker take the job up at once: ours is being stopped. Raises `LeaseLost`."""
        with self._held(held) as job:
            freed = {"state": "queued", "worker": None, "lease_until": None, "attempt": job.attempt - 1}
            return self._write(job.model_copy(update=freed))

    def cancel(self, job_id: str) -> Job:
        """End a job that nobody works on, or ask its holder to; again is fine.

        Raises:
            NotFound: if there is none.
            JobEnded: if it ended otherwise before.
        """
        with self._changing(job_id) as job:
            if job is None:
                raise NotFound("there is no job of this id")
            if job.state == "cancelled" or (job.open and job.cancelling):
                return job
            if not job.open:
                raise JobEnded(f"this job is {job.state} already: there is nothing left to cancel")
            if job.state == "queued" or lapsed(job):
                return self._write(_ended(job, "cancelled"))
            return self._write(job.model_copy(update={"cancelling": True}))

    @contextmanager
    def _held(self, held: Job) -> Iterator[Job]:
        with self._changing(held.id) as job:
            whose = (job.state, job.worker, job.attempt) if job else None
            if job is None or whose != ("running", held.worker, held.attempt):
                raise LeaseLost
            yield job

    @contextmanager
    def _changing(self, job_id: str) -> Iterator[Job | None]:
        if not _ID.fullmatch(job_id) or not self._folder.is_dir():
            yield None
            return
        with self._locked():
            yield self._read(job_id)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # For milliseconds; freed when its holder dies. Each open excludes all others, of threads too.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, job: Job) -> Job:
        """Replace the record; its mark in `open/` comes before it and goes after it."""
        job = job.model_copy(update={"version": job.version + 1})
        mark = self._folder / "open" / job.id
        if job.open:
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
        write_json(self._folder / f"{job.id}.json", job.model_dump(mode="json"))
        if not job.open:
            mark.unlink(missing_ok=True)
        return job

    def _read(self, job_id: str) -> Job | None:
        try:
            return Job.model_validate(json.loads((self._folder / f"{job_id}.json").read_text("utf-8")))
        except (OSError, ValueError, ValidationError):
            return None


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _ended(
    job: Job, state: Ended, *, error: JobError | None = None, result: dict[str, Any] | None = None
) -> Job:
    told = {"state": state, "error": error, "result": result, "ended_at": now(), "lease_until": None}
    return job.model_copy(update=told | ({"progress": 1.0} if state == "done" else {}))
