"""A wish to reindex in, a child process that builds the snapshot and a job record that tells of it out."""

import json
import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from model.backbones.loaded import Backbones
from model.errors import ReindexRunning
from service.schemas.jobs import Job, JobError
from service.serving import Current
from service.stores.jobs import JobStore, now

log = logging.getLogger("yuyin.service")


class AlreadyRunning(ReindexRunning):
    """Says which job runs, so that the caller can follow that one."""

    def __init__(self, job_id: str) -> None:
        super().__init__("a reindex is running already: wait for its job to end")
        self.members = {"job": job_id, "job_url": f"/v1/jobs/{job_id}"}


@dataclass(frozen=True, slots=True)
class Build:
    """What a reindex is made from."""

    pool: Path
    store: Path
    bundle: Path
    recompute: bool
    backbones: Backbones

    def command(self) -> list[str]:
        """On a leash (`service.leash`); -P keeps folders of the working directory from posing as packages."""
        python = [sys.executable, "-P", "-m"]
        builder = [*python, "index_builder", "build", "--pool", str(self.pool), "--store", str(self.store)]
        chosen = ["--bundle", str(self.bundle), *(["--recompute"] if self.recompute else [])]
        chosen += ["--models", str(self.backbones.models)]
        where = self.backbones.accelerator
        chosen += ["--accelerator", where.policy, "--device", str(where.device)]
        chosen += ["--providers", *where.providers]
        chosen += [] if where.memory_bytes is None else ["--memory-bytes", str(where.memory_bytes)]
        return [*python, "service.leash", *builder, *chosen]


class Reindexer:
    """Runs one build at a time; the old snapshot keeps serving, the swap comes before the job is done."""

    def __init__(self, jobs: JobStore, current: Current) -> None:
        self._jobs = jobs
        self._current = current
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._child: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self._closing = False

    def start(self, build: Build) -> Job:
        """Begin in the background.

        Raises:
            AlreadyRunning: while another one runs.
        """
        with self._lock:
            if self._job is not None and self._job.open:
                raise AlreadyRunning(self._job.id)
            job = Job(id=uuid.uuid4().hex, kind="reindex", state="queued", progress=0.0, created_at=now())
            self._jobs.put(job)
            self._job = job
            self._thread = threading.Thread(
                target=self._run, args=(build, job), name="yuyin-reindex", daemon=True
            )
            self._thread.start()
            return job

    def close(self) -> None:
        """End a running build and wait for its record to say so."""
        self._closing = True
        child, thread = self._child, self._thread
        if child is not None and child.stdin is not None:
            child.stdin.close()  # the leash ends the builder and its workers
        if thread is not None:
            thread.join(timeout=15)

    def _change(self, job: Job, *, durable: bool = True, **values: Any) -> Job:
        """Tell of the job's next state; a disk that is full must not stop the job, or block the next one."""
        self._job = job = job.model_copy(update=values)
        try:
            self._jobs.put(job, durable=durable)
        except OSError as error:
            log.error("a job record could not be written", extra={"job": job.id, "reason": str(error)})
        return job

    def _run(self, build: Build, job: Job) -> None:
        try:
            self._finish(build, self._change(job, state="running"))
        finally:  # whatever nobody foresaw goes to the log; the next reindex may start all the same
            if self._job is not None and self._job.open:
                lost = JobError(code="internal", detail="something went wrong inside: see the server's log")
                self._change(self._job, state="failed", error=lost, ended_at=now())

    def _finish(self, build: Build, job: Job) -> None:
        try:
            outcome = self._build(build.command(), job)
        except OSError as error:
            log.error("the builder could not be started", extra={"job": job.id, "reason": str(error)})
            outcome = JobError(
                code="internal", detail="the builder could not be started: see the server's log"
            )
        if isinstance(outcome, dict):
            outcome = self._swap(outcome)
        if isinstance(outcome, dict):
            self._change(job, state="done", progress=1.0, result=outcome, ended_at=now())
        else:
            self._change(self._job or job, state="failed", error=outcome, ended_at=now())

    def _build(self, command: Sequence[str], job: Job) -> dict[str, Any] | JobError:
        """Run the builder to its end, following its progress; returns its report."""
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._child = child
        with child:
            if self._closing and child.stdin is not None:
                child.stdin.close()
            last = self._follow(child.stdout, job)
        match last:
            case {"event": "done", **report}:
                return report
            case _ if self._closing:
                return JobError(code="interrupted", detail="the server was stopped: start it again")
            case {"event": "error", "code": str(code), "message": str(message)}:
                return JobError(code=code, detail=message)
        log.error("the builder ended without a word", extra={"job": job.id, "status": child.returncode})
        return JobError(
            code="internal", detail=f"the builder ended with status {child.returncode}: see the log"
        )

    def _follow(self, said: IO[str] | None, job: Job) -> dict[str, Any]:
        """Take the builder's JSON lines as they come; returns the last one."""
        last: dict[str, Any] = {}
        for line in said or ():
            last = json.loads(line)
            if last["event"] == "progress":
                self._change(job, progress=round(last["progress"], 4), stage=last["stage"], durable=False)
        return last

    def _swap(self, report: dict[str, Any]) -> dict[str, Any] | JobError:
        """Put what was built in force before the job is done."""
        self._current.follow(again=True)
        refusal = self._current.refusal
        if refusal is None:
            return report
        detail = f"{refusal.snapshot_id} was built but refused ({refusal.code}): see the server's log"
        return JobError(code=refusal.code, detail=detail)
