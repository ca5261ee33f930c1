import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from model.errors import JobEnded, NotFound, Overloaded
from service.schemas.jobs import Job, JobError
from service.stores import holder
from service.stores import jobs as module
from service.stores.jobs import INTERRUPTED, AlreadyRunning, JobStore, LeaseLost

ASKED = {"pool": "house", "bundle": "shipped", "recompute": False}


def record(store: Path, job: Job) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((store / "jobs" / f"{job.id}.json").read_text())
    return found


def edit(store: Path, job: Job, **values: Any) -> None:
    (store / "jobs" / f"{job.id}.json").write_text(json.dumps(record(store, job) | values))


def past() -> str:
    return (datetime.now(UTC) - timedelta(seconds=1)).isoformat()


def test_a_job_goes_from_queued_to_done_and_every_process_sees_it(tmp_path: Path) -> None:
    ours, theirs = JobStore(tmp_path), JobStore(tmp_path)
    job = ours.create("reindex", ASKED)
    assert (job.state, job.asked, job.attempt) == ("queued", ASKED, 0)
    assert theirs.get(job.id) == job
    held = theirs.claim(job.id, "w", attempts=3)
    assert held is not None
    assert (held.state, held.worker, held.attempt) == ("running", "w", 1)
    told = theirs.beat(held, progress=0.25, stage="embed")
    assert ours.get(job.id) == told
    ended = theirs.end(held, "done", result={"snapshot": "x"})
    assert ours.get(job.id) == ended
    assert (ended.state, ended.progress, ended.result) == ("done", 1.0, {"snapshot": "x"})
    assert [job.version, held.version, told.version, ended.version] == [2, 3, 4, 5]
    assert ours.open_jobs("reindex") == []
    assert list((tmp_path / "jobs" / "open").iterdir()) == []  # nothing to look through later
    assert set(record(tmp_path, job)) >= {"id", "kind", "state", "progress", "error", "result"}


def test_one_at_a_time_and_the_other_is_named(tmp_path: Path) -> None:
    job = JobStore(tmp_path).create("reindex", ASKED)
    for _ in range(2):
        with pytest.raises(AlreadyRunning) as refusal:
            JobStore(tmp_path).create("reindex", ASKED)
        assert refusal.value.members == {"job": job.id, "job_url": f"/v1/jobs/{job.id}"}
    JobStore(tmp_path).cancel(job.id)
    assert JobStore(tmp_path).create("reindex", ASKED).id != job.id


def test_of_many_processes_that_claim_at_once_one_gets_the_job(tmp_path: Path) -> None:
    job = JobStore(tmp_path).create("reindex", ASKED)
    script = (
        "import sys; from pathlib import Path; from service.stores.jobs import JobStore\n"
        "store = JobStore(Path(sys.argv[1]))\nprint('ready', flush=True); sys.stdin.readline()\n"
        "print(store.claim(sys.argv[2], sys.argv[3], attempts=9) is not None)"
    )
    start = [sys.executable, "-c", script, str(tmp_path), job.id]
    children = [
        subprocess.Popen([*start, f"w{n}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    said = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        said.append(child.communicate()[0].strip())
    assert sorted(said) == ["False", "False", "True"]


def test_of_many_threads_that_create_at_once_one_does(tmp_path: Path) -> None:
    made: list[Job | None] = []
    stores = [JobStore(tmp_path) for _ in range(2)]

    def create(store: JobStore) -> None:
        try:
            made.append(store.create("reindex", ASKED))
        except AlreadyRunning:
            made.append(None)

    threads = [threading.Thread(target=create, args=(stores[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(job is not None for job in made) == 1


def test_threads_with_one_store_lose_no_change_of_each_other(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    held = jobs.claim(jobs.create("reindex", ASKED).id, "w", attempts=1)
    assert held is not None

    def tell(thread: int) -> None:
        for step in range(20):
            jobs.beat(held, progress=(20 * thread + step) / 100, stage=None)

    threads = [threading.Thread(target=tell, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jobs.get(held.id).version == held.version + 4 * 20


@pytest.mark.parametrize("after", ["the mark", "the record"])
def test_jobs_that_could_not_be_recorded_take_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """A full disk: else 256 failures would end async recommending for good."""
    write = module.write_json

    def full(path: Path, value: Any) -> None:
        if after == "the record":  # that it is durable is what fails
            write(path, value)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    jobs = JobStore(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_json", full)
        for _ in range(module.MAX_OPEN):
            with pytest.raises(OSError, match="No space"):
                jobs.create("recommend", ASKED)
    assert [path.name for path in (tmp_path / "jobs").rglob("*") if path.is_file()] == ["lock"]
    assert jobs.create("recommend", ASKED).state == "queued"


def test_marks_that_a_kill_left_are_removed_and_no_others(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    marks = tmp_path / "jobs" / "open"
    waits, ended, newer = (jobs.create("recommend", ASKED) for _ in range(3))
    jobs.cancel(ended.id)
    edit(tmp_path, newer, field="of a later version")
    for name in (ended.id, *(f"{number:032x}" for number in range(module.MAX_OPEN))):
        (marks / name).touch()
    with pytest.raises(Overloaded):
        jobs.create("recommend", ASKED)
    assert jobs.prune() == 0
    assert {path.name for path in marks.iterdir()} == {waits.id, newer.id}
    assert jobs.create("recommend", ASKED).state == "queued"


def test_a_lease_that_ran_out_lets_the_next_one_in_and_the_first_one_out(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    job = jobs.create("reindex", ASKED)
    first = jobs.claim(job.id, "first", attempts=3, lease_s=0.05)
    assert first is not None
    assert jobs.claim(job.id, "second", attempts=3) is None
    time.sleep(0.1)
    second = jobs.claim(job.id, "second", attempts=3)
    assert second is not None
    assert (second.worker, second.attempt) == ("second", 2)
    for late in (
        lambda: jobs.beat(first, progress=0.9, stage=None),
        lambda: jobs.end(first, "done", result={}),
        lambda: jobs.give_back(first),
    ):
        with pytest.raises(LeaseLost):
            late()
    assert jobs.get(job.id) == second


def test_a_beat_renews_the_lease_and_writes_only_what_is_news(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    held = jobs.claim(jobs.create("reindex", ASKED).id, "w", attempts=1, lease_s=60)
    assert held is not None
    assert jobs.beat(held, progress=0.0, stage=None, lease_s=60) == held
    assert jobs.beat(held, progress=0.5, stage="embed", lease_s=60).version == held.version + 1
    edit(tmp_path, held, lease_until=(datetime.now(UTC) + timedelta(seconds=20)).isoformat())
    renewed = jobs.beat(held, progress=0.5, stage="embed", lease_s=60)
    assert datetime.fromisoformat(renewed.lease_until or "") > datetime.now(UTC) + timedelta(seconds=50)


def test_what_kills_its_holder_again_and_again_has_failed(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    job = jobs.create("reindex", ASKED)
    for attempt in (1, 2):
        held = jobs.claim(job.id, "w", attempts=2)
        assert held is not None
        assert held.attempt == attempt
        edit(tmp_path, job, lease_until=past())
    assert [one.state for one in jobs.free("reindex")] == ["queued"]  # waiting does not wash it clean
    assert jobs.claim(job.id, "w", attempts=2) is None
    assert (jobs.get(job.id).state, jobs.get(job.id).error) == ("failed", INTERRUPTED)
    assert jobs.free("reindex") == []


def test_a_job_that_is_given_back_is_taken_up_at_once_and_not_held_against_it(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    held = jobs.claim(jobs.create("reindex", ASKED).id, "w", attempts=1)
    assert held is not None
    freed = jobs.give_back(held)
    assert (freed.state, freed.worker, freed.attempt) == ("queued", None, 0)
    again = jobs.claim(held.id, "other", attempts=1)
    assert again is not None
    assert again.attempt == 1


def test_cancelling(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    waiting = jobs.create("reindex", ASKED)
    assert jobs.cancel(waiting.id).state == "cancelled"
    assert jobs.cancel(waiting.id) == jobs.get(waiting.id)  # again is fine
    assert jobs.claim(waiting.id, "w", attempts=1) is None

    held = jobs.claim(jobs.create("reindex", ASKED).id, holder.me(), attempts=1)
    assert held is not None
    assert (jobs.cancel(held.id).state, jobs.cancel(held.id).cancelling) == ("running", True)
    assert jobs.beat(held, progress=0.0, stage=None).cancelling
    jobs.end(held, "done", result={})  # it was quicker
    with pytest.raises(JobEnded, match="done"):
        jobs.cancel(held.id)

    lost = jobs.claim(jobs.create("reindex", ASKED).id, "w", attempts=9)
    assert lost is not None
    jobs.cancel(lost.id)
    edit(tmp_path, lost, lease_until=past())
    assert jobs.claim(lost.id, "other", attempts=9) is None  # nobody takes up what is not wanted
    assert jobs.get(lost.id).state == "cancelled"

    gone = jobs.claim(jobs.create("reindex", ASKED).id, "w", attempts=9, lease_s=0.01)
    assert gone is not None
    time.sleep(0.05)
    assert jobs.cancel(gone.id).state == "cancelled"  # nobody is left to ask


@pytest.mark.parametrize(
    "job_id", ["", "none", "f" * 32, "../jobs/" + "0" * 32, "0" * 31, "0" * 33, "\x00" * 32, "lock", "open"]
)
def test_other_ids_are_not_found(tmp_path: Path, job_id: str) -> None:
    jobs = JobStore(tmp_path)
    jobs.create("reindex", ASKED)
    with pytest.raises(NotFound):
        jobs.get(job_id)
    with pytest.raises(NotFound):
        jobs.cancel(job_id)
    assert jobs.claim(job_id, "w", attempts=1) is None


def test_a_store_without_jobs_has_none_and_gets_no_folder(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path / "none")
    assert jobs.open_jobs("reindex") == []
    with pytest.raises(NotFound):
        jobs.get("0" * 32)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("step", ["mark", "record", "unmark"])
def test_a_kill_between_the_steps_of_a_write_loses_nothing(tmp_path: Path, step: str) -> None:
    jobs = JobStore(tmp_path)
    if step == "mark":  # a mark without a record
        (tmp_path / "jobs" / "open").mkdir(parents=True)
        (tmp_path / "jobs" / "open" / ("0" * 32)).touch()
        assert jobs.open_jobs("reindex") == []
        return
    job = jobs.create("reindex", ASKED)
    if step == "unmark":  # a record that ended under a mark
        jobs.cancel(job.id)
        (tmp_path / "jobs" / "open" / job.id).touch()
        assert jobs.open_jobs("reindex") == []
        assert jobs.create("reindex", ASKED).state == "queued"
    else:
        assert [one.id for one in jobs.open_jobs("reindex")] == [job.id]


def test_a_process_is_told_from_its_twin_by_when_it_began() -> None:
    say = [sys.executable, "-c", "from service.stores import holder; print(holder.me())"]
    births = []
    for _ in range(2):
        births.append(
            int(subprocess.run(say, capture_output=True, text=True, check=True).stdout.split(":")[2])
        )
        time.sleep(0.05)
    ours = int(holder.me().split(":")[2])
    assert ours < births[0] < births[1]
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    assert births[1] / os.sysconf("SC_CLK_TCK") == pytest.approx(uptime_s, abs=30)


def test_who_is_dead() -> None:
    assert not holder.surely_dead(holder.me())
    assert not holder.surely_dead("elsewhere:1:2:3")
    assert not holder.surely_dead("what is this")
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from service.stores import holder; print(holder.me(), flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    assert not holder.surely_dead(name)
    os.kill(child.pid, signal.SIGSTOP)
    assert not holder.surely_dead(name)  # it may go on
    os.kill(child.pid, signal.SIGKILL)
    for _ in range(200):  # a zombie counts
        if holder.surely_dead(name):
            break
        time.sleep(0.02)
    assert holder.surely_dead(name)
    child.communicate()
    host, pid, birth, machine = holder.me().rsplit(":", 3)
    assert holder.surely_dead(f"{host}:{pid}:{int(birth) - 1}:{machine}")  # its number was given again


class Protocol(RuleBasedStateMachine):
    """Several workers over one job, in any order: against what the record may say, in words."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.jobs = JobStore(Path(self.folder.name))
        self.job = self.jobs.create("reindex", ASKED)
        self.held: dict[str, Job] = {}
        self.owner: str | None = None
        self.ended = False
        self.lapsed = False
        self.seen = 0

    def teardown(self) -> None:
        self.folder.cleanup()

    @rule(worker=st.sampled_from("abc"))
    def claim(self, worker: str) -> None:
        got = self.jobs.claim(self.job.id, worker, attempts=1000, lease_s=1000)
        may = not self.ended and (self.owner is None or self.lapsed)
        cancelled = self.jobs.get(self.job.id).state == "cancelled"
        assert (got is not None) == (may and not cancelled)
        if got is not None:
            self.held[worker], self.owner, self.lapsed = got, worker, False
        self.ended = self.ended or cancelled

    @rule(worker=st.sampled_from("abc"), progress=st.sampled_from([0.1, 0.5]))
    def beat(self, worker: str, progress: float) -> None:
        if worker not in self.held:
            return
        try:
            self.jobs.beat(self.held[worker], progress=progress, stage=None, lease_s=1000)
            assert worker == self.owner
            assert not self.ended
            self.lapsed = False
        except LeaseLost:
            assert (
                self.ended
                or worker != self.owner
                or self.jobs.get(self.job.id).attempt > self.held[worker].attempt
            )

    @rule(worker=st.sampled_from("abc"), state=st.sampled_from(["done", "failed", "cancelled"]))
    def end(self, worker: str, state: Any) -> None:
        if worker not in self.held:
            return
        try:
            self.jobs.end(self.held[worker], state, error=JobError(code="c", detail="d"))
            assert worker == self.owner
            assert not self.ended
            self.ended = True
        except LeaseLost:
            assert self.ended or worker != self.owner

    @precondition(lambda self: self.owner is not None and not self.ended)
    @rule()
    def lapse(self) -> None:
        edit(Path(self.folder.name), self.job, lease_until=past())
        self.lapsed = True

    @rule()
    def free(self) -> None:
        freed = self.jobs.free("reindex")
        assert bool(freed) == (self.lapsed and not self.ended)
        if freed:
            self.owner, self.lapsed = None, False
            self.ended = freed[0].state == "cancelled"

    @rule()
    def cancel(self) -> None:
        try:
            job = self.jobs.cancel(self.job.id)
            self.ended = self.ended or job.state == "cancelled"
        except JobEnded:
            assert self.ended

    @invariant()
    def versions_grow_and_an_end_is_an_end(self) -> None:
        job = self.jobs.get(self.job.id)
        assert job.version >= self.seen
        self.seen = job.version
        assert job.open == (not self.ended)
        assert bool(self.jobs.open_jobs("reindex")) == job.open


TestProtocol = Protocol.TestCase
TestProtocol.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
