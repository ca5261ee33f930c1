"""Runners over real records and real child processes: followed, cancelled, stopped, frozen, killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from model.errors import BadOptions, Overloaded
from service.schemas.jobs import Job
from service.stores.jobs import INTERRUPTED, JobStore
from service.stores.memory import MemoryNotices, MemoryQueue
from service.work import jobs as module
from service.work.jobs import Jobs, Runner, Tell

ASKED = {"pool": "house", "bundle": "shipped", "recompute": False}


class Task:
    """Work of a few steps that a test steers."""

    def __init__(self, act: Callable[[Job, Tell], Awaitable[dict[str, Any]]]) -> None:
        self._act = act
        self.cleaned = 0

    async def __call__(self, job: Job, tell: Tell) -> dict[str, Any]:
        return await self._act(job, tell)

    async def clean_up(self, job: Job) -> None:
        self.cleaned += 1


class Bench:
    """One server's parts, and as many runners as a test starts."""

    def __init__(self, store: Path, act: Callable[[Job, Tell], Awaitable[dict[str, Any]]]) -> None:
        self.records, self.notices, self.queue = JobStore(store), MemoryNotices(), MemoryQueue()
        self.jobs = Jobs(self.records, self.notices, {"reindex": self.queue, "recommend": MemoryQueue()})
        self.task = Task(act)
        self.running: list[asyncio.Task[None]] = []

    def run(self, *, attempts: int = 1, lease_s: float = 20.0) -> asyncio.Task[None]:
        runner = Runner(
            "reindex", self.task, self.records, self.notices, self.queue, attempts=attempts, lease_s=lease_s
        )
        self.running.append(asyncio.create_task(runner.run()))
        return self.running[-1]

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def until(self, job_id: str, wanted: Callable[[Job], bool]) -> Job:
        for _ in range(1000):
            job = await self.jobs.get(job_id)
            if wanted(job):
                return job
            await asyncio.sleep(0.02)
        raise AssertionError(job)


def with_bench(
    store: Path,
    act: Callable[[Job, Tell], Awaitable[dict[str, Any]]],
    check: Callable[[Bench], Awaitable[None]],
) -> None:
    async def inside() -> None:
        bench = Bench(store, act)
        try:
            await check(bench)
        finally:
            await bench.stop()

    asyncio.run(inside())


async def steps(job: Job, tell: Tell) -> dict[str, Any]:
    for step in range(1, 5):
        tell(step / 5, f"step {step}")
        await asyncio.sleep(0.3)
    return {"attempt": job.attempt}


async def endless(job: Job, tell: Tell) -> dict[str, Any]:
    tell(0.5, "waiting")
    await asyncio.sleep(600)
    return {}


def test_a_job_is_run_and_followed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.1)

    async def check(bench: Bench) -> None:
        bench.run()
        job = await bench.jobs.start("reindex", ASKED)
        seen = [found async for found in bench.jobs.follow(job.id, 0) if found is not None]
        assert [one.version for one in seen] == sorted({one.version for one in seen})
        assert [one.progress for one in seen] == sorted(one.progress for one in seen)
        assert {one.stage for one in seen} > {"step 1", "step 4"}
        assert (seen[-1].state, seen[-1].result) == ("done", {"attempt": 1})
        late = [found async for found in bench.jobs.follow(job.id, seen[1].version)]
        assert late == [seen[-1]]  # what was missed is told by the newest state
        assert [found async for found in bench.jobs.follow(job.id, seen[-1].version)] == []
        assert bench.jobs._followers == 0

    with_bench(tmp_path, steps, check)


def test_another_process_finds_the_job_without_queue_or_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.2)

    async def check(bench: Bench) -> None:
        stranger = Bench(tmp_path, steps)
        stranger.run()
        job = await bench.jobs.start("reindex", ASKED)
        followed = [found async for found in bench.jobs.follow(job.id, 0) if found is not None]
        assert followed[-1].state == "done"
        assert len({one.progress for one in followed}) >= 3
        await stranger.stop()

    with_bench(tmp_path, steps, check)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadOptions("no such pool"), "bad_options"),
        (ValueError("unforeseen"), "internal"),
        (KeyError(), "internal"),
    ],
)
def test_work_that_fails_says_why_and_the_next_may_start(tmp_path: Path, error: Exception, code: str) -> None:
    async def fail(job: Job, tell: Tell) -> dict[str, Any]:
        raise error

    async def check(bench: Bench) -> None:
        bench.run()
        for _ in range(2):
            job = await bench.jobs.start("reindex", ASKED)
            ended = await bench.until(job.id, lambda job: not job.open)
            assert ended.error is not None
            assert (ended.state, ended.error.code) == ("failed", code)
            assert "unforeseen" not in ended.error.detail

    with_bench(tmp_path, fail, check)


def test_a_cancelled_job_ends_its_work_and_cleans_up_first(tmp_path: Path) -> None:
    async def check(bench: Bench) -> None:
        bench.run()
        job = await bench.jobs.start("reindex", ASKED)
        await bench.until(job.id, lambda job: job.stage == "waiting")
        asked = await bench.jobs.cancel(job.id)
        assert (asked.state, asked.cancelling) == ("running", True)
        ended = await bench.until(job.id, lambda job: not job.open)
        assert (ended.state, bench.task.cleaned) == ("cancelled", 1)
        assert await bench.jobs.cancel(job.id) == ended
        again = await bench.jobs.start("reindex", ASKED)
        await bench.until(again.id, lambda job: job.stage == "waiting")

    with_bench(tmp_path, endless, check)


@pytest.mark.parametrize(("attempts", "state", "error"), [(1, "failed", INTERRUPTED), (3, "queued", None)])
def test_a_runner_that_stops_fails_its_job_or_hands_it_on(
    tmp_path: Path, attempts: int, state: str, error: Any
) -> None:
    async def check(bench: Bench) -> None:
        runner = bench.run(attempts=attempts)
        job = await bench.jobs.start("reindex", ASKED)
        await bench.until(job.id, lambda job: job.stage == "waiting")
        runner.cancel()
        with suppress(asyncio.CancelledError):
            await runner
        left = await bench.jobs.get(job.id)
        assert (left.state, left.error) == (state, error)
        if attempts > 1:
            bench.run(attempts=attempts)
            again = await bench.until(job.id, lambda job: job.state == "running")
            assert again.attempt == 1

    with_bench(tmp_path, endless, check)


def test_a_runner_that_is_stopped_while_it_claims_hands_the_job_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, claiming = JobStore.claim, asyncio.Event()

    async def check(bench: Bench) -> None:
        loop = asyncio.get_running_loop()

        def slowly(*of: Any, **how: Any) -> Any:
            loop.call_soon_threadsafe(claiming.set)
            time.sleep(0.3)
            return claim(*of, **how)

        monkeypatch.setattr(JobStore, "claim", slowly)
        runner = bench.run(attempts=3)
        job = await bench.jobs.start("reindex", ASKED)
        await asyncio.wait_for(claiming.wait(), 10)
        runner.cancel()
        await asyncio.wait({runner})
        left = await bench.jobs.get(job.id)
        assert (left.state, left.attempt, left.worker) == ("queued", 0, None)

    with_bench(tmp_path, endless, check)


def test_a_runner_that_lost_its_lease_stops_and_says_nothing(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    async def act(job: Job, tell: Tell) -> dict[str, Any]:
        try:
            return await endless(job, tell)
        finally:
            stopped.set()

    async def check(bench: Bench) -> None:
        bench.run(attempts=3)
        job = await bench.jobs.start("reindex", ASKED)
        held = await bench.until(job.id, lambda job: job.stage == "waiting")
        path = tmp_path / "jobs" / f"{job.id}.json"
        stolen = json.loads(path.read_text()) | {"worker": "another", "attempt": 2}
        path.write_text(json.dumps(stolen))
        await asyncio.wait_for(stopped.wait(), 10)
        await asyncio.sleep(0.5)
        assert json.loads(path.read_text()) == stolen
        assert held.attempt == 1
        assert bench.task.cleaned == 0

    with_bench(tmp_path, act, check)


def test_a_full_disk_stops_neither_the_work_nor_the_news_of_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.stores import jobs as stored

    write, full = stored.write_json, [False]

    def write_json(path: Path, value: Any) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        write(path, value)

    monkeypatch.setattr(stored, "write_json", write_json)
    worked = asyncio.Event()

    async def act(job: Job, tell: Tell) -> dict[str, Any]:
        full[0] = True
        tell(0.5, "full")
        await asyncio.sleep(1.5)
        worked.set()
        return {"ok": True}

    async def check(bench: Bench) -> None:
        bench.run()
        job = await bench.jobs.start("reindex", ASKED)
        await asyncio.wait_for(worked.wait(), 20)
        await asyncio.sleep(0.5)
        assert (await bench.jobs.get(job.id)).state == "running"
        full[0] = False
        assert (await bench.until(job.id, lambda job: not job.open)).result == {"ok": True}

    with_bench(tmp_path, act, check)


def test_so_many_may_follow_at_once_and_who_leaves_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_FOLLOWERS", 2)
    monkeypatch.setattr(module, "ALIVE_S", 0.2)
    monkeypatch.setattr(module, "LOOK_S", 0.1)

    async def check(bench: Bench) -> None:
        job = await bench.jobs.start("reindex", ASKED)
        streams = [bench.jobs.follow(job.id, 0) for _ in range(2)]
        for stream in streams:
            assert (await anext(stream)) is not None
            assert (await anext(stream)) is None  # alive, and nothing to tell
        with pytest.raises(Overloaded):
            bench.jobs.follow(job.id, 0)
        await streams[0].aclose()  # type: ignore[attr-defined]
        assert bench.jobs._followers == 1
        await streams[1].aclose()  # type: ignore[attr-defined]
        assert bench.notices._listeners == {}

    with_bench(tmp_path, steps, check)


def test_whoever_looks_for_work_does_not_disturb_those_who_have_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each notice wakes whoever runs the job and all who follow it."""
    monkeypatch.setattr(module, "LOOK_S", 0.05)

    began = asyncio.Event()

    async def act(job: Job, tell: Tell) -> dict[str, Any]:
        began.set()
        await asyncio.sleep(600)
        return {}

    async def check(bench: Bench) -> None:
        bench.run()
        job = await bench.jobs.start("reindex", ASKED)
        await asyncio.wait_for(began.wait(), 10)
        with bench.notices.listen(module.topic_of(job.id)) as listener:
            bench.run()
            assert await listener.wait(1.0) == frozenset()  # in twenty looks

    with_bench(tmp_path, act, check)


def test_a_job_whose_worker_is_gone_waits_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE_S", 0.05)

    async def check(bench: Bench) -> None:
        job = await bench.jobs.start("reindex", ASKED)
        hint = await bench.queue.take(1)
        assert hint is not None
        await asyncio.to_thread(bench.records.claim, job.id, "gone", attempts=3, lease_s=0.3)
        freeing = module.free_lapsed("reindex", bench.records, bench.notices, bench.queue)
        bench.running.append(asyncio.create_task(freeing))
        await asyncio.sleep(0.1)
        assert (await bench.jobs.get(job.id)).state == "running"
        waits = await bench.until(job.id, lambda job: job.state == "queued")
        assert (waits.attempt, waits.worker) == (1, None)  # held against it
        hint = await bench.queue.take(1)
        assert hint is not None
        assert hint.job_id == job.id

    with_bench(tmp_path, steps, check)


WORKER = """
import asyncio, sys
from pathlib import Path
from service.work.jobs import Runner
from service.stores.jobs import JobStore
from service.stores.memory import MemoryNotices, MemoryQueue

class Task:
    async def __call__(self, job, tell):
        Path(sys.argv[1], f"began-{job.attempt}").touch()
        tell(0.5, "waiting")
        await asyncio.sleep(600 if job.attempt == 1 else 0)
        return {"attempt": job.attempt}
    async def clean_up(self):
        pass

store = Path(sys.argv[1])
asyncio.run(Runner("reindex", Task(), JobStore(store), MemoryNotices(), MemoryQueue(), attempts=3,
                   lease_s=float(sys.argv[2])).run())
"""


@pytest.mark.parametrize(
    ("blow", "lease_s"),
    [
        pytest.param(signal.SIGKILL, 600.0, id="killed"),
        pytest.param(signal.SIGSTOP, 2.0, id="frozen", marks=pytest.mark.slow),
    ],
)
def test_the_job_of_a_worker_that_is_gone_is_taken_up_once(
    tmp_path: Path, blow: signal.Signals, lease_s: float
) -> None:
    """Killed: at once, on the same machine. Frozen: when its lease has run out; thawed, it finds that out."""
    job = JobStore(tmp_path).create("reindex", ASKED)
    start = [sys.executable, "-c", WORKER, str(tmp_path), str(lease_s)]
    first = subprocess.Popen(start)
    second = None
    try:
        wait_for(tmp_path / "began-1")
        second = subprocess.Popen(start)
        time.sleep(1.5)
        assert not (tmp_path / "began-2").exists()
        os.kill(first.pid, blow)
        wait_for(tmp_path / "began-2")
        end_s = time.monotonic() + 30
        while JobStore(tmp_path).get(job.id).open and time.monotonic() < end_s:
            time.sleep(0.05)
        ended = JobStore(tmp_path).get(job.id)
        assert (ended.state, ended.result) == ("done", {"attempt": 2})
        if blow == signal.SIGSTOP:
            os.kill(first.pid, signal.SIGCONT)
            time.sleep(2.5)
            assert first.poll() is None
            assert JobStore(tmp_path).get(job.id) == ended
    finally:
        for child in (first, second):
            if child is not None:
                child.kill()
                child.wait()


def wait_for(path: Path) -> None:
    end_s = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end_s, f"{path.name} does not come"
        time.sleep(0.02)
