import errno
import inspect
import logging
from collections.abc import Callable

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from model import errors as tree
from model.errors import YuyinError
from service import errors
from service.edge.logs import RequestLog

ALL = [one for _, one in inspect.getmembers(tree, inspect.isclass) if issubclass(one, YuyinError)]
LEAVES = [one for one in ALL if not one.__subclasses__() and one.__module__ == "model.errors"]

# design section 6, by hand
DESIGN = {
    "not_media": 415,
    "no_video_stream": 415,
    "video_too_large": 413,
    "video_too_long": 413,
    "video_too_costly": 413,
    "empty_body": 422,
    "encrypted": 422,
    "cannot_decode": 422,
    "bad_options": 422,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "reindex_running": 409,
    "overloaded": 429,
    "not_ready": 503,
}


def answering(raiser: Callable[[], None]) -> TestClient:
    app = FastAPI()
    errors.install(app)
    app.add_middleware(RequestLog)

    @app.get("/")
    def route(number: int = 0) -> None:
        raiser()

    return TestClient(app, raise_server_exceptions=False)


def raising(error: Exception) -> TestClient:
    def raiser() -> None:
        raise error

    return answering(raiser)


@pytest.mark.parametrize(("code", "status"), DESIGN.items())
def test_the_statuses_are_those_of_the_design(code: str, status: int) -> None:
    assert errors.STATUS[code][0] == status


@pytest.mark.parametrize("error", LEAVES)
def test_every_error_has_a_status_and_the_one_form(error: type[YuyinError]) -> None:
    answer = raising(error("what to do")).get("/")
    status, title = errors.STATUS[error.code]
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) >= {"type", "title", "status", "detail", "code", "request_id"}
    assert (body["status"], body["title"], body["code"]) == (status, title, error.code)
    assert body["request_id"] == answer.headers["x-request-id"]


def test_who_must_wait_is_told_for_how_long() -> None:
    for error in (tree.Overloaded, tree.NotReady):
        assert int(raising(error("later")).get("/").headers["retry-after"]) >= 1
    assert "retry-after" not in raising(tree.NotFound("none")).get("/").headers


def test_who_has_no_key_is_told_how_to_send_one() -> None:
    assert raising(tree.Unauthenticated("send one")).get("/").headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("/srv/secret/store/snapshots/1"),
        KeyError("secret"),
        OSError(errno.ENOENT, "none", "/srv/secret"),
        OSError(errno.ENOSPC, "none left", "/srv/secret"),
        YuyinError("/srv/secret"),
        tree.Corrupt("/srv/secret/embeddings.npy differs from its snapshot.json: build it again"),
        tree.Mismatch("/srv/secret was trained on other features"),
        tree.NoAccelerator("cuda failed while it ran /srv/secret/model.onnx (no memory)"),
    ],
)
def test_nothing_internal_gets_out(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "yuyin"):
        answer = raising(error).get("/")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"]
    said = " ".join(str(vars(record)) for record in caplog.records)
    assert "secret" in said or "secret" in caplog.text  # but the operator can find it


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_without_room_is_said_wherever_it_is_met(number: int) -> None:
    answer = raising(OSError(number, "no", "jobs/1.json")).get("/")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_stored")
    assert "full or read-only" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EIO, None])
def test_any_other_fault_of_the_disk_is_unforeseen(number: int | None) -> None:
    error = OSError() if number is None else OSError(number, "no", "jobs/1.json")
    answer = raising(error).get("/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")


def test_the_frameworks_own_errors_take_the_same_form() -> None:
    client = answering(lambda: None)
    for answer, code, status in (
        (client.get("/none"), "not_found", 404),
        (client.post("/"), "method_not_allowed", 405),
        (client.get("/?number=x"), "bad_options", 422),
        (raising(HTTPException(400, "There was an error parsing the body")).get("/"), "bad_request", 400),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
    assert client.post("/").headers["allow"] == "GET"
    assert "number" in client.get("/?number=x").json()["detail"]
