"""A job's state in, STORE/jobs/<id>.json out: the truth about long work, whole after any crash."""

import json
import re
import threading
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from model.artifact import write_json
from model.errors import NotFound
from service.schemas.jobs import Job, JobError

_ID = re.compile(r"[0-9a-f]{32}")


def now() -> str:
    """UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class JobStore:
    """One JSON file per job; what runs is also kept in memory, so that progress costs no disk write."""

    def __init__(self, store: Path) -> None:
        self._folder = store / "jobs"
        self._latest: dict[str, Job] = {}
        self._lock = threading.Lock()

    def put(self, job: Job, *, durable: bool = True) -> None:
        """Replace a job; `durable` false is for progress, which may be lost."""
        with self._lock:
            self._latest[job.id] = job  # before the write: a full disk must not bring back an older state
            if durable:
                write_json(self._folder / f"{job.id}.json", job.model_dump(mode="json"))
            if not job.open:
                del self._latest[job.id]

    def get(self, job_id: str) -> Job:
        """The job called `job_id`; raises `NotFound`."""
        with self._lock:
            if job_id in self._latest:
                return self._latest[job_id]
        job = self._read(self._folder / f"{job_id}.json") if _ID.fullmatch(job_id) else None
        if job is None:
            raise NotFound("there is no job of this id")
        return job

    def end_interrupted(self) -> None:
        """Records that a killed server left open become failed: their child died with it."""
        for path in sorted(self._folder.glob("*.json")):
            job = self._read(path)
            if job is not None and job.open:
                error = JobError(code="interrupted", detail="the server ended while this ran: start it again")
                self.put(job.model_copy(update={"state": "failed", "error": error, "ended_at": now()}))

    @staticmethod
    def _read(path: Path) -> Job | None:
        try:
            return Job.model_validate(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, ValidationError):
            return None
