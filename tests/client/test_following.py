"""Jobs followed over streams that break, end early, or never come through."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yuyin_client
from hypothesis import given
from hypothesis import strategies as st
from yuyin_client import Retries, following

Ask = Callable[..., Any]

QUICK = {"client": {"retries": Retries(tries=2, first_wait_s=0.01)}}
STREAM = {"Content-Type": "text/event-stream", "Connection": "close"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "AGAIN_S", 0.01)


def record(version: int, state: str = "running") -> dict[str, Any]:
    return {"id": "j", "state": state, "version": version, "error": None}


def event(version: int, state: str = "running") -> str:
    return f"id: {version}\nevent: job\ndata: {json.dumps(record(version, state))}\n\n"


def stream(*parts: str, announced: int = 0) -> tuple[int, dict[str, str], bytes]:
    """`announced`: promises more bytes than come."""
    said = ("retry: 1000\n\n" + "".join(parts)).encode()
    more = {"Content-Length": str(len(said) + announced)} if announced else {}
    return 200, STREAM | more, said


def versions(seen: list[Any]) -> list[int]:
    return [each["version"] for each in seen]


def test_a_whole_stream(ask: Ask, faulty: Any) -> None:
    faulty.script = [stream(event(1), ": alive\n\n", event(2), event(3, "done"))]
    assert versions(ask(faulty.url, "follow", "j", **QUICK)) == [1, 2, 3]
    assert faulty.seen[0][1] == "/v1/jobs/j/events"
    assert "last-event-id" not in faulty.seen[0][2]


def test_a_broken_stream_goes_on_where_it_was(ask: Ask, faulty: Any) -> None:
    half = event(3)[:-1]  # all but the blank line that ends it
    faulty.script = [stream(event(1), event(2), half, announced=500), stream(event(3), event(4, "done"))]
    assert versions(ask(faulty.url, "follow", "j", **QUICK)) == [1, 2, 3, 4]
    assert faulty.seen[1][2]["last-event-id"] == "2"


def test_a_server_that_starts_again_is_come_back_to(ask: Ask, faulty: Any) -> None:
    faulty.script = [stream(event(1)), "hang up", (200, {}, record(2)), stream(event(3, "done"))]
    assert versions(ask(faulty.url, "follow", "j", **QUICK)) == [1, 2, 3]


def test_where_no_stream_comes_through_it_is_polled(ask: Ask, faulty: Any) -> None:
    proxy = (502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>")
    faulty.script = [proxy, (200, {}, record(1)), proxy, (200, {}, record(1)), proxy]
    faulty.script += [(200, {}, record(4, "done"))]
    assert ask(faulty.url, "wait", "j", **QUICK) == record(4, "done")


def test_an_end_that_was_told_before_is_asked_for(ask: Ask, faulty: Any) -> None:
    faulty.script = [stream(event(5)), (204, {}, b""), (200, {}, record(5, "failed"))]
    with pytest.raises(yuyin_client.JobFailed) as failed:
        ask(faulty.url, "wait", "j", **QUICK)
    assert failed.value.job == record(5, "failed")


def test_why_it_failed_is_in_the_exception(ask: Ask, faulty: Any) -> None:
    said = record(2, "failed") | {"error": {"code": "bad_pool", "detail": "correct the catalogue"}}
    faulty.script = [stream(f"id: 2\ndata: {json.dumps(said)}\n\n")]
    with pytest.raises(yuyin_client.JobFailed, match="correct the catalogue") as failed:
        ask(faulty.url, "wait", "j", **QUICK)
    assert failed.value.code == "bad_pool"


def test_a_job_that_is_not_there_is_not_followed(ask: Ask, faulty: Any) -> None:
    faulty.script = [(404, {}, {"code": "not_found", "detail": "there is no job of this id"})]
    with pytest.raises(yuyin_client.NotFound):
        ask(faulty.url, "wait", "j", **QUICK)


def test_a_job_that_takes_too_long(ask: Ask, faulty: Any) -> None:
    faulty.script = [lambda asked: stream() if "events" in asked.path else (200, {}, record(1))] * 200
    with pytest.raises(TimeoutError, match=r"still running after 0\.2 s"):
        ask(faulty.url, "wait", "j", 0.2, **QUICK)
    faulty.script = []


@given(st.lists(st.tuples(st.integers(1, 99), st.text("ab\u266b {}:", min_size=1)), max_size=5), st.data())
def test_lines_are_read_as_the_standard_has_them(events: list[tuple[int, str]], data: Any) -> None:
    """Comments anywhere, a space after the colon or none, fields in any order; a blank line ends an event."""
    lines: list[str] = []
    for number, text in events:
        fields = [f"id:{data.draw(st.sampled_from(['', ' ']))}{number}", f"data: {text}", "event: job"]
        fields += data.draw(st.lists(st.sampled_from([": alive", "retry: 7", "unknown"]), max_size=2))
        lines += [*data.draw(st.permutations(fields)), ""]
    reader, seen = following.Events(), []
    for line in lines:
        found = reader.feed(line)
        if found is not None:
            seen.append((int(reader.last_id), found))
    assert seen == events
