"""Wishes for long work in, records that tell of it out: `Jobs` for the routes, a `Runner` that does the work.

The records in STORE/jobs are the truth. A queue and notices only say that one of them changed; whoever misses
such a hint finds out by looking at the record, a second later.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from model.errors import NotFound, Overloaded, YuyinError
from service.schemas.jobs import Job, JobError
from service.stores import holder
from service.stores.jobs import INTERRUPTED, LEASE_S, Ended, JobStore, Kind, LeaseLost
from service.stores.shared import JobQueue, Notices

log = logging.getLogger("yuyin.service")

LOOK_S = 1.0  # how often a record is looked at again where no notice came
FREE_S = 5.0  # how often servers look for jobs whose worker is gone
PRUNE_S = 600.0  # how often old records are removed
ALIVE_S = 15.0  # a stream says that it is alive before proxies close it as idle
MAX_FOLLOWERS = 200  # streams of one process; each waits, none holds more than one record


def topic_of(job_id: str) -> str:
    """What notices of a job's changes are about."""
    return f"job:{job_id}"


class JobFailed(YuyinError):
    """The work failed, with a code of its own."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Tell(Protocol):
    """How work says how far it is."""

    def __call__(self, progress: float, stage: str | None) -> None:
        """0..1, and the name of what is being done."""


class Work(Protocol):
    """What a kind of job does."""

    async def __call__(self, job: Job, tell: Tell) -> dict[str, Any]:
        """Returns the job's result; a `YuyinError` fails it; ends what it started when it is cancelled."""

    async def clean_up(self, job: Job) -> None:
        """Remove what a cancelled job left half done."""


class Jobs:
    """What routes ask for. Any process may answer, whichever runs the job."""

    def __init__(self, records: JobStore, notices: Notices, queues: Mapping[Kind, JobQueue]) -> None:
        self._records = records
        self._notices = notices
        self._queues = queues
        self._followers = 0
        self._ending = False

    def end_streams(self) -> None:
        """Let every stream end by its next look: the server waits for them before it stops."""
        self._ending = True

    async def start(self, kind: Kind, asked: dict[str, Any], owner: str | None = None) -> Job:
        """Record the job, then tell whoever runs such jobs; raises `AlreadyRunning` or `Overloaded`."""
        job = await asyncio.to_thread(self._records.create, kind, asked, owner)
        await self._queues[kind].put(job.id)
        return job

    async def get(self, job_id: str) -> Job:
        """The job as it is now; raises `NotFound`."""
        return await asyncio.to_thread(self._records.get, job_id)

    async def cancel(self, job_id: str) -> Job:
        """End it, or ask its holder to; raises `NotFound`, and `JobEnded` if it ended otherwise."""
        job = await asyncio.to_thread(self._records.cancel, job_id)
        await self._notices.publish(topic_of(job_id))
        return job

    def follow(self, job_id: str, seen: int) -> AsyncIterator[Job | None]:
        """The job whenever it has changed, up to its end; None when there was nothing to say for a while.

        Nothing is buffered: who reads slowly gets fewer, newer states.

        Args:
            job_id: of a job that is there.
            seen: the version that the reader knows, which is not told again; 0 for none.

        Raises:
            Overloaded: if too many are following already.
        """
        if self._followers >= MAX_FOLLOWERS:
            raise Overloaded(f"{self._followers} streams are open already: poll the job instead")
        return self._follow(job_id, seen)

    async def _follow(self, job_id: str, seen: int) -> AsyncIterator[Job | None]:
        self._followers += 1
        clock = asyncio.get_running_loop().time
        try:
            with self._notices.listen(topic_of(job_id)) as listener:
                said_s = clock()
                while True:
                    job = await self.get(job_id)
                    if job.version > seen:
                        yield job
                        seen, said_s = job.version, clock()
                    if not job.open or self._ending:
                        return
                    if clock() - said_s >= ALIVE_S:
                        yield None
                        said_s = clock()
                    await listener.wait(LOOK_S)
        except NotFound:
            return  # removed meanwhile: there is nothing more to tell
        finally:
            self._followers -= 1


class Runner:
    """Takes up the open jobs of one kind, one at a time, and holds the lease of the one that runs."""

    def __init__(
        self,
        kind: Kind,
        work: Work,
        records: JobStore,
        notices: Notices,
        queue: JobQueue,
        *,
        attempts: int,
        lease_s: float = LEASE_S,
    ) -> None:
        """Args: `attempts` says how many holders may die over a job; with 1, it also ends when we stop."""
        self._kind, self._work = kind, work
        self._records, self._notices, self._queue = records, notices, queue
        self._attempts, self._lease_s = attempts, lease_s
        self._me = holder.me()
        self._claiming: asyncio.Future[Job | None] | None = None

    async def run(self) -> None:
        """Until cancelled; a fault of the disk or of one job is logged and the next one is looked for."""
        while True:
            try:
                job = await self._next()
                if job is not None:
                    await self._perform(job)
            except asyncio.CancelledError:  # this process is being stopped
                with suppress(OSError):
                    if self._claiming is not None and (job := await self._claiming) is not None:
                        await self._let_go(job)
                raise
            except Exception:  # a full disk, a record that somebody edited: it must not end the jobs after it
                log.exception("a job could not be taken up or told of")
                await asyncio.sleep(LOOK_S)

    async def _next(self) -> Job | None:
        """Wait a moment for a job to take up."""
        hint = await self._queue.take(LOOK_S)
        if hint is not None:
            job = await self._claimed(hint.job_id)
            await self._queue.done(hint)
            if job is not None:
                return job
        for waiting in await asyncio.to_thread(self._records.waiting, self._kind):
            job = await self._claimed(waiting.id)
            if job is not None:
                return job
        return None

    async def _claimed(self, job_id: str) -> Job | None:
        claim = partial(self._records.claim, job_id, self._me, attempts=self._attempts, lease_s=self._lease_s)
        self._claiming = asyncio.ensure_future(asyncio.to_thread(claim))
        job = await asyncio.shield(self._claiming)  # a thread goes on when it is cancelled, and may claim
        if job is not None:
            await self._notices.publish(topic_of(job_id))
        return job

    async def _perform(self, job: Job) -> None:
        """Do the work and keep the lease, whichever ends first ends both."""
        reached: list[tuple[float, str | None]] = [(job.progress, job.stage)]

        def tell(progress: float, stage: str | None) -> None:
            reached[:] = [(progress, stage)]

        work = asyncio.ensure_future(self._work(job, tell))
        keeper = asyncio.ensure_future(self._keep(job, reached))
        try:
            await asyncio.wait({work, keeper}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._given_up(job, work, cancelled=keeper.result())
                return
            await self._tell_end(job, *await self._outcome(work))
        finally:
            await _stop(work)
            await _stop(keeper)

    async def _keep(self, job: Job, reached: list[tuple[float, str | None]]) -> bool:
        """Renew the lease and pass progress on until the job is cancelled (True) or is not ours (False)."""
        with self._notices.listen(topic_of(job.id)) as listener:
            while True:
                await listener.wait(LOOK_S)
                progress, stage = reached[0]
                try:
                    now = await asyncio.to_thread(
                        self._records.beat, job, progress=progress, stage=stage, lease_s=self._lease_s
                    )
                except LeaseLost:
                    return False
                except OSError as error:  # a full disk must not stop the work
                    log.error(
                        "a job record could not be written", extra={"job": job.id, "reason": str(error)}
                    )
                    continue
                if now.cancelling:
                    return True
                if now.version != job.version:
                    job = now
                    await self._notices.publish(topic_of(job.id))

    async def _given_up(self, job: Job, work: "asyncio.Future[Any]", *, cancelled: bool) -> None:
        await _stop(work)
        if cancelled:
            await self._work.clean_up(job)
            await self._tell_end(job, "cancelled", None, None)
        else:
            log.warning("a job was taken from us: our lease had run out", extra={"job": job.id})

    async def _outcome(
        self, work: "asyncio.Future[dict[str, Any]]"
    ) -> tuple[Ended, JobError | None, dict[str, Any] | None]:
        try:
            return "done", None, await work
        except YuyinError as error:
            return "failed", JobError(code=error.code, detail=str(error)), None
        except Exception:  # whatever nobody foresaw must fail this job and not the runner of the next ones
            log.exception("a job ended as nobody foresaw")
            detail = "something went wrong inside: see the server's log"
            return "failed", JobError(code="internal", detail=detail), None

    async def _tell_end(
        self, job: Job, state: Ended, error: JobError | None, result: dict[str, Any] | None
    ) -> None:
        """Record the outcome; where the disk is full, as soon as it has room."""
        while True:
            try:
                await asyncio.to_thread(self._records.end, job, state, error=error, result=result)
                break
            except LeaseLost:
                log.warning("a job had been taken from us when it ended", extra={"job": job.id})
                return
            except OSError as fault:
                log.error("a job record could not be written", extra={"job": job.id, "reason": str(fault)})
                await asyncio.sleep(LOOK_S)
        await self._notices.publish(topic_of(job.id))

    async def _let_go(self, job: Job) -> None:
        """Fail the job where nobody else would take it up, else let another worker have it at once."""
        with suppress(LeaseLost, OSError):  # then its lease runs out
            if self._attempts == 1:
                await asyncio.to_thread(self._records.end, job, "failed", error=INTERRUPTED)
            else:
                await asyncio.to_thread(self._records.give_back, job)
                await self._queue.put(job.id)
            await self._notices.publish(topic_of(job.id))


async def free_lapsed(kind: Kind, records: JobStore, notices: Notices, queue: JobQueue) -> None:
    """For servers whose jobs are run elsewhere: a job whose worker is gone waits for the next one."""
    while True:
        await asyncio.sleep(FREE_S)
        try:
            freed = await asyncio.to_thread(records.free, kind)
        except OSError as error:
            log.error("the job records cannot be used", extra={"reason": str(error)})
            continue
        for job in freed:
            log.warning("the worker of a job is gone", extra={"job": job.id, "attempt": job.attempt})
            await queue.put(job.id)
            await notices.publish(topic_of(job.id))


async def prune_now_and_then(records: JobStore) -> None:
    """Remove the records of jobs that ended long ago; any process may."""
    while True:
        try:
            await asyncio.to_thread(records.prune)
        except OSError as error:
            log.error("old job records could not be removed", extra={"reason": str(error)})
        await asyncio.sleep(PRUNE_S)


async def _stop(future: "asyncio.Future[Any]") -> None:
    """Cancel it and wait until it has ended what it started, whatever comes of it."""
    future.cancel()
    await asyncio.wait({future})
    if not future.cancelled() and (error := future.exception()) is not None:
        log.info("stopped work ended with an error", extra={"reason": str(error)})
