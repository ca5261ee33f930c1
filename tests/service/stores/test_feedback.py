"""Nothing that was acknowledged is ever lost, whatever is killed; what is torn or twice does not count."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from model.errors import NotStored
from service.schemas.feedback import FeedbackEvent
from service.stores.feedback import FeedbackLog, read_feedback, record_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def line(event_id: str, **more: object) -> bytes:
    event = FeedbackEvent.model_validate(
        {"request_id": "r", "track_id": "t", "event": "kept", "event_id": event_id, **more}
    )
    return record_of(event, NOW).model_dump_json(exclude_none=True).encode()


def ids(store: Path) -> list[str]:
    return [record.event_id for record in read_feedback(store)]


def test_a_store_without_feedback_has_none(tmp_path: Path) -> None:
    assert ids(tmp_path) == []


def test_every_field_comes_back_and_nothing_else_is_kept(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path)
    sent = {"start_s": 3.5, "video_sha256": "a" * 64, "snapshot": "0123456789abcdef", "rank": 2}
    log.append([line("event-01", at="2026-02-28T23:30:00+01:00", **sent)])
    log.close()
    (path,) = tmp_path.glob("feedback/*/*.jsonl")
    assert path.parent.name == datetime.now(UTC).date().isoformat()
    assert json.loads(path.read_text()) == {
        "event_id": "event-01",
        "received_at": "2026-03-01T12:00:00.000+00:00",
        "at": "2026-02-28T22:30:00.000+00:00",
        "request_id": "r",
        "track_id": "t",
        "event": "kept",
        **sent,
    }
    (record,) = read_feedback(tmp_path)
    assert (record.start_s, record.rank, record.event) == (3.5, 2, "kept")


def test_an_event_that_came_twice_counts_once_whichever_process_kept_it(tmp_path: Path) -> None:
    first, second = FeedbackLog(tmp_path), FeedbackLog(tmp_path)
    first.append([line("event-01"), line("event-02")])
    second.append([line("event-02"), line("event-03")])
    first.append([line("event-01")])
    assert sorted(ids(tmp_path)) == ["event-01", "event-02", "event-03"]
    assert len(list(tmp_path.glob("feedback/*/*.jsonl"))) == 2
    first.close()
    second.close()


def test_each_day_has_its_own_folder_and_is_read_in_order(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path)
    log.append([line("event-of-monday")], day="2026-03-02")
    log.append([line("event-of-tuesday")], day="2026-03-03")
    log.append([line("more-of-monday")], day="2026-03-02")  # a clock that was set back: another file
    log.close()
    found = ids(tmp_path)
    assert sorted(found[:2]) == ["event-of-monday", "more-of-monday"]
    assert found[2:] == ["event-of-tuesday"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(cut=-1, whole=1)  # only the line end is missing
@given(cut=st.integers(0, 1000), whole=st.integers(0, 4))
def test_a_file_that_ends_anywhere_gives_all_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, cut: int, whole: int
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    day = folder / "feedback" / "2026-03-01"
    day.mkdir(parents=True)
    kept = b"".join(line(f"event-{i:02}") + b"\n" for i in range(whole))
    last = line("event-torn") + b"\n"
    (day / "a.jsonl").write_bytes(kept + last[: cut % len(last)])
    (day / "b.jsonl").write_bytes(line("event-of-another") + b"\n")
    assert ids(folder) == [*(f"event-{i:02}" for i in range(whole)), "event-of-another"]


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    log = FeedbackLog(tmp_path)

    def write(worker: int) -> None:
        for i in range(10):
            log.append([line(f"event-{worker}-{i}", track_id="x" * 900)])

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert sorted(ids(tmp_path)) == sorted(f"event-{w}-{i}" for w in range(6) for i in range(10))


def test_a_full_disk_is_said_and_the_next_batch_is_not_behind_a_torn_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes some bytes of a batch, then none; later it has room again."""
    log = FeedbackLog(tmp_path)
    log.append([line("event-before")])
    write, calls = os.write, 0

    def full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:20])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(NotStored, match="send the same again"):
        log.append([line("event-torn")])
    monkeypatch.undo()
    log.append([line("event-after")])
    log.close()
    assert sorted(ids(tmp_path)) == ["event-after", "event-before"]


def test_a_store_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "feedback").write_text("a file where a folder should be")
    with pytest.raises(NotStored):
        FeedbackLog(tmp_path).append([line("event-01")])


WRITER = """
import sys
from pathlib import Path
from service.stores.feedback import FeedbackLog
log, number = FeedbackLog(Path(sys.argv[1])), 0
while True:
    log.append([b'{"event_id": "%s-%07d", "received_at": "t", "at": "t", "request_id": "r", '
                b'"track_id": "%s", "event": "kept"}' % (sys.argv[2].encode(), number, b"x" * 2000)])
    print(number, flush=True)  # the answer: sent when the event is on disk, not before
    number += 1
"""


def test_kill_9_of_writers_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for round_ in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path), f"writer-{round_}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(5):
                assert process.stdout.readline()
            time.sleep(0.01 * round_)
            process.send_signal(signal.SIGKILL)
            said = 4 + len(process.stdout.read().splitlines())
        acknowledged |= {f"writer-{round_}-{i:07d}" for i in range(said + 1)}
    found = ids(tmp_path)
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    assert len(found) <= len(acknowledged) + 3  # at most one a writer was on disk and not yet acknowledged
