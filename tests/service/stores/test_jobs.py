import json
from pathlib import Path

import pytest

from model.errors import NotFound
from service.schemas.jobs import Job
from service.stores.jobs import JobStore, now


def job(number: int, state: str = "running") -> Job:
    return Job.model_validate(
        {"id": f"{number:032x}", "kind": "reindex", "state": state, "progress": 0.5, "created_at": now()}
    )


def test_what_is_put_is_found_again_also_by_the_next_process(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    jobs.put(job(1, "done"))
    assert jobs.get(job(1).id).state == "done"
    assert JobStore(tmp_path).get(job(1).id).state == "done"
    stored = json.loads((tmp_path / "jobs" / f"{job(1).id}.json").read_text())
    assert set(stored) >= {"id", "kind", "state", "progress", "error", "result"}


def test_progress_is_seen_at_once_and_costs_no_write(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    jobs.put(job(1))
    before = (tmp_path / "jobs" / f"{job(1).id}.json").stat().st_mtime_ns
    jobs.put(job(1).model_copy(update={"progress": 0.75}), durable=False)
    assert jobs.get(job(1).id).progress == 0.75
    assert (tmp_path / "jobs" / f"{job(1).id}.json").stat().st_mtime_ns == before


def test_what_a_killed_server_left_open_has_failed(tmp_path: Path) -> None:
    first = JobStore(tmp_path)
    for number, state in enumerate(["queued", "running", "done", "failed"]):
        first.put(job(number, state))
    (tmp_path / "jobs" / "half.json").write_text('{"id": ')
    second = JobStore(tmp_path)
    second.end_interrupted()
    assert [second.get(job(n).id).state for n in range(4)] == ["failed", "failed", "done", "failed"]
    error = second.get(job(0).id).error
    assert error is not None
    assert error.code == "interrupted"


@pytest.mark.parametrize(
    "job_id", ["", "none", "f" * 32, "../jobs/" + "0" * 32, "0" * 31, "0" * 33, "\x00" * 32]
)
def test_other_ids_are_not_found(tmp_path: Path, job_id: str) -> None:
    jobs = JobStore(tmp_path)
    jobs.put(job(0, "done"))
    with pytest.raises(NotFound):
        jobs.get(job_id)


def test_a_store_without_jobs_has_none(tmp_path: Path) -> None:
    JobStore(tmp_path / "none").end_interrupted()
    with pytest.raises(NotFound):
        JobStore(tmp_path / "none").get("0" * 32)
