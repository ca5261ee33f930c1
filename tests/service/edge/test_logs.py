import json
import logging
import logging.config

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.edge.logs import JsonFormatter, RequestLog, log_config


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    app.add_middleware(RequestLog)

    @app.get("/tracks/{track_id}")
    def track(track_id: str) -> str:
        return track_id

    return TestClient(app)


def test_one_line_a_request_without_what_callers_call_things(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "yuyin.http"):
        answer = client.get("/tracks/unreleased-product?options=secret", headers={"X-API-Key": "key"})
    (record,) = caplog.records
    line = json.loads(JsonFormatter().format(record))
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/tracks/{track_id}", 200)
    assert line["duration_ms"] > 0
    for word in ("unreleased", "secret", "key"):
        assert word not in json.dumps(line)


def test_ids_differ(client: TestClient) -> None:
    assert len({client.get("/tracks/a").headers["x-request-id"] for _ in range(20)}) == 20


def test_the_configuration_is_one_that_logging_takes() -> None:
    configuration = log_config()
    logging.config.DictConfigurator(configuration)  # type: ignore[attr-defined]  # checks, sets nothing
    formatter = configuration["formatters"]["json"]["()"]
    assert formatter == f"{JsonFormatter.__module__}.{JsonFormatter.__qualname__}"


def test_an_exception_is_part_of_the_line() -> None:
    record = logging.makeLogRecord({"msg": "broke", "exc_info": (ValueError, ValueError("why"), None)})
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "broke"
    assert "ValueError: why" in line["exception"]
