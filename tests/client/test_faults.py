"""The client and what goes wrong on the way, by a real server that breaks on purpose."""

import io
import json
import logging
import os
import threading
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import yuyin_client
from yuyin_client import AsyncClient, Client, Retries

Ask = Callable[..., Any]

QUICK = {"client": {"retries": Retries(tries=3, first_wait_s=0.01)}}
BUSY = (429, {"Retry-After": "0"}, {"code": "overloaded", "detail": "later", "status": 429})
FINE = (200, {}, {"results": []})


def refusal(status: int, code: str, **headers: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    return status, headers, {"code": code, "detail": "a sentence", "status": status, "request_id": "r1"}


@pytest.mark.parametrize("kind", ["path", "bytes", "file"])
def test_a_busy_server_gets_the_same_again_under_the_same_key(
    ask: Ask, faulty: Any, tmp_path: Path, kind: str
) -> None:
    data = os.urandom(700_000)
    path = tmp_path / "cut.mp4"
    path.write_bytes(data)
    opened = io.BytesIO(b"--" + data)
    opened.seek(2)
    faulty.script = [BUSY, "hang up", FINE]
    video = {"path": path, "bytes": data, "file": opened}[kind]
    assert ask(faulty.url, "recommend", video, top_k=3, **QUICK) == {"results": []}
    assert len(faulty.seen) == 3
    assert all(seen == faulty.seen[0] for seen in faulty.seen)
    method, address, headers, body = faulty.seen[0]
    assert (method, body) == ("POST", data)
    assert address == "/v1/recommend?options=%7B%22top_k%22%3A3%7D"
    assert len(headers["idempotency-key"]) >= 32
    assert headers["content-length"] == str(len(data))
    assert "transfer-encoding" not in headers


def test_an_upload_that_is_gone_after_a_lost_answer_was_deleted(ask: Ask, faulty: Any) -> None:
    gone = refusal(404, "not_found")
    faulty.script = ["hang up", gone]
    assert ask(faulty.url, "delete_upload", "u", **QUICK) is None
    faulty.script = [gone]
    with pytest.raises(yuyin_client.NotFound):
        ask(faulty.url, "delete_upload", "u", **QUICK)
    faulty.script = ["hang up", gone]
    with pytest.raises(yuyin_client.NotFound):
        ask(faulty.url, "uploaded", "u", **QUICK)


def test_another_call_has_another_key(ask: Ask, faulty: Any) -> None:
    faulty.script = [FINE, FINE]
    for _ in range(2):
        ask(faulty.url, "recommend", b"same")
    first, second = (headers["idempotency-key"] for _, _, headers, _ in faulty.seen)
    assert first != second


def test_a_form_is_the_same_again_too(ask: Ask, faulty: Any) -> None:
    faulty.script = [BUSY, FINE]
    ask(faulty.url, "recommend", b"video", filters={"include_ids": ["x" * 9000]}, **QUICK)
    assert faulty.seen[0] == faulty.seen[1]
    assert b"\r\n\r\nvideo\r\n--" in faulty.seen[0][3]


def test_a_pipe_is_sent_once(ask: Ask, faulty: Any) -> None:
    faulty.script = [BUSY]
    reader, writer = os.pipe()
    os.write(writer, b"video")
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe, pytest.raises(yuyin_client.Overloaded):
        ask(faulty.url, "recommend", pipe, **QUICK)
    assert faulty.seen[0][3] == b"video"


def test_feedback_that_is_sent_again_has_the_same_ids(ask: Ask, faulty: Any) -> None:
    faulty.script = ["hang up", (201, {}, {"event_ids": ["a"]})]
    assert ask(faulty.url, "feedback", {"request_id": "r", "track_id": "t", "event": "kept"}, **QUICK) == [
        "a"
    ]
    first, second = (json.loads(body) for _, _, _, body in faulty.seen)
    assert first == second
    assert len(first[0]["event_id"]) == 36


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(422, "bad_options"), yuyin_client.BadOptions),
        (refusal(404, "not_found"), yuyin_client.NotFound),
        (refusal(500, "internal"), yuyin_client.ServerFault),
        (
            refusal(503, "not_installed"),
            yuyin_client.Unavailable,
        ),  # without Retry-After: waiting does not help
        (refusal(429, "overloaded", **{"Retry-After": "3600"}), yuyin_client.Overloaded),
        (refusal(422, "idempotency_mismatch"), yuyin_client.IdempotencyMismatch),
        (refusal(418, "a_code_of_a_later_version"), yuyin_client.RequestRefused),
        ((502, {"Content-Length": "0", "Content-Type": "text/html"}, b""), yuyin_client.Unavailable),
    ],
    ids=lambda value: (
        str(value[2].get("code") if isinstance(value[2], dict) else value[0])
        if isinstance(value, tuple)
        else ""
    ),
)
def test_what_does_not_pass_is_said_at_once(ask: Ask, faulty: Any, answer: Any, kind: type) -> None:
    faulty.script = [answer]
    tries = 1 if answer[0] == 502 else 3
    with pytest.raises(kind) as refused:
        ask(faulty.url, "recommend", b"video", client={"retries": Retries(tries=tries, first_wait_s=0.01)})
    assert refused.value.status == answer[0]
    assert len(faulty.seen) == 1


def test_the_last_refusal_is_the_one_that_is_said(ask: Ask, faulty: Any) -> None:
    faulty.script = [BUSY, BUSY, refusal(503, "not_ready", **{"Retry-After": "0"})]
    with pytest.raises(yuyin_client.NotReady) as refused:
        ask(faulty.url, "version", **QUICK)
    assert refused.value.retry_after_s == 0
    assert refused.value.request_id == "r1"


def test_the_same_call_still_being_answered_is_waited_for(ask: Ask, faulty: Any) -> None:
    faulty.script = [refusal(409, "idempotency_running"), FINE]
    assert ask(faulty.url, "recommend", b"video", **QUICK) == {"results": []}


def test_readiness_is_told_as_it_is_now(ask: Ask, faulty: Any) -> None:
    faulty.script = [refusal(503, "not_ready", **{"Retry-After": "0"})]
    with pytest.raises(yuyin_client.NotReady):
        ask(faulty.url, "readyz", **QUICK)


def test_an_answer_that_breaks_off_is_asked_for_again(ask: Ask, faulty: Any) -> None:
    faulty.script = [(200, {"Content-Length": "5000"}, b'{"results"'), FINE]
    assert ask(faulty.url, "recommend", b"video", **QUICK) == {"results": []}


def test_a_server_that_hangs_is_given_up(ask: Ask, faulty: Any) -> None:
    go_on = threading.Event()
    faulty.script = [lambda _: (go_on.wait(20), FINE)[1]]
    with pytest.raises(yuyin_client.Unreachable) as slow:
        ask(faulty.url, "version", client={"timeout_s": 0.2})
    go_on.set()
    assert slow.value.code == "timeout"


def test_something_else_that_answers_is_noticed(ask: Ask, faulty: Any) -> None:
    faulty.script = [(200, {"Content-Type": "text/html"}, b"<h1>It works!</h1>")]
    with pytest.raises(yuyin_client.ServerFault, match="is this a YuYin server"):
        ask(faulty.url, "version")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_the_key_follows_no_redirect(ask: Ask, faulty: Any, other: Any, status: int) -> None:
    other.script = [FINE]
    faulty.script = [(status, {"Location": f"{other.url}/v1/recommend"}, b"")]
    with pytest.raises(yuyin_client.YuyinError) as refused:
        ask(faulty.url, "recommend", b"video", client={"key": "yuyin_secret"})
    assert refused.value.code == "redirected"
    assert other.seen == []
    assert faulty.seen[0][2]["authorization"] == "Bearer yuyin_secret"


def test_the_key_is_never_shown(ask: Ask, faulty: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    faulty.script = [refusal(403, "forbidden"), FINE]
    with pytest.raises(yuyin_client.Forbidden) as refused:
        ask(faulty.url, "version", client={"key": "yuyin_secret"})
    ask(faulty.url, "recommend", b"video", client={"key": "yuyin_secret"})
    shown = caplog.text + repr(refused.value) + repr(refused.value.__dict__)
    for kind in (Client, AsyncClient):
        client = kind(faulty.url, "yuyin_secret")
        shown += repr(client) + repr(client._http.headers)
        with pytest.raises(ValueError, match="characters") as cut_off:
            kind(faulty.url, "yuyin_secret\n")
        shown += str(cut_off.value)
    assert "httpx" in caplog.text
    assert "secret" not in shown


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "ftp://host", "http://", "http://a:b@host", "", "http://h/?key=1"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Client(url)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("7", 7.0), ("0", 0.0), ("", None), ("soon", None), ("-3", None), (formatdate(0, usegmt=True), 0.0)],
)
def test_when_to_come_again(said: str, seconds: float | None) -> None:
    from yuyin_client.calls import Answer

    assert Answer(429, {"retry-after": said}, b"").retry_after_s == seconds


def test_waits_grow_and_stay_within_what_was_asked() -> None:
    retries = Retries(tries=5, first_wait_s=1.0, longest_wait_s=4.0)
    plain = yuyin_client.Overloaded("overloaded", "", status=429)
    for _ in range(50):
        waits = [retries.wait_s(plain, tried) for tried in range(1, 6)]
        assert waits[4] is None
        for wait, step in zip(waits[:4], (1, 2, 4, 4), strict=True):
            assert wait is not None
            assert step / 2 <= wait <= step
    told = yuyin_client.Overloaded("overloaded", "", status=429, retry_after_s=3)
    wait = retries.wait_s(told, 1)
    assert wait is not None
    assert 3 <= wait <= 3.5
    assert retries.wait_s(yuyin_client.Overloaded("", "", status=429, retry_after_s=5), 1) is None
