import json
import logging
import logging.config
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import av
import httpx
import numpy as np
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


@pytest.mark.parametrize("given", ["a", "job-17_b.c", "0" * 64])
def test_a_sane_id_of_the_caller_is_kept(client: TestClient, given: str) -> None:
    answer = client.get("/tracks/a", headers={"X-Request-ID": given})
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize(
    "given", ["", "0" * 65, "a b", "a\tb", "ü".encode(), '"}', "a/b", "${jndi:x}", "%0a"]
)
def test_an_id_that_could_be_taken_for_something_else_is_not(client: TestClient, given: str) -> None:
    answer = client.get("/tracks/a", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_every_ended_request_is_told(caplog: pytest.LogCaptureFixture) -> None:
    told: list[tuple[object, ...]] = []
    app = FastAPI()
    app.add_middleware(RequestLog, ended=lambda *facts: told.append(facts))

    @app.get("/broken/{what}")
    def broken(what: str) -> None:
        raise ValueError(what)

    with TestClient(app, raise_server_exceptions=False) as client, caplog.at_level("INFO", "yuyin.http"):
        assert client.get("/broken/one").status_code == 500
        assert client.get("/none").status_code == 404
    assert [facts[:4] for facts in told] == [
        ("GET", "/broken/{what}", 500, "internal"),
        ("GET", "none", 404, None),
    ]
    lines = [json.loads(JsonFormatter().format(one)) for one in caplog.records if one.name == "yuyin.http"]
    assert [line["code"] for line in lines] == ["internal", None]
    assert all(isinstance(facts[4], float) and 0 < facts[4] < 60 for facts in told)


@pytest.mark.parametrize(("level", "logged"), [("debug", True), ("info", True), ("warning", False)])
def test_the_level_is_a_setting(level: str, logged: bool) -> None:
    loggers = log_config(level)["loggers"]
    assert (logging.getLevelName(loggers["yuyin"]["level"]) <= logging.INFO) is logged
    assert loggers["uvicorn.access"]["level"] == "WARNING"


SECRET = "unreleased-product"


def hostile(folder: Path) -> bytes:
    """A short clip whose every name and tag says what must not be told."""
    path = folder / f"{SECRET}.mp4"
    with av.open(str(path), "w", options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update({"title": SECRET, "comment": f"{SECRET}\n\x1b[31m", SECRET: SECRET})
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.metadata["handler_name"] = SECRET
        for i in range(25):
            picture = np.full((48, 64, 3), 9 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.slow
def test_nothing_of_a_cut_is_in_the_log_of_a_real_server(built_store: Path, tmp_path: Path) -> None:
    """At the chattiest level, with the decoder's own output: every line is JSON of ours and tells nothing."""
    server = subprocess.Popen(
        [sys.executable, "-m", "yuyin", "serve", "--store", str(built_store), "--port", "0"],
        env=os.environ | {"YUYIN_LOG_LEVEL": "debug", "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert server.stderr is not None
    said: list[str] = []
    try:
        for line in server.stderr:
            said.append(line)
            if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                break
        assert found
        url = f"http://127.0.0.1:{found[1]}"
        whole = hostile(tmp_path)
        broken = [
            whole[: len(whole) // 2],
            whole[:200] + SECRET.encode() * 50 + whole[200:],
            SECRET.encode() * 100,
        ]
        with httpx.Client(base_url=url, timeout=120) as client:
            for video, status in ((whole, {200}), *((each, {200, 415, 422}) for each in broken)):
                for name in (f"{SECRET}.mp4", f'{SECRET}"\n{{"level": "info"}}.mp4', f"../../{SECRET}"):
                    files = {"video": (name, video, f"video/{SECRET}")}
                    assert client.post("/recommend", files=files).status_code in status
            client.post("/recommend", files={SECRET: (SECRET, b"x")})
            client.post("/recommend", params={SECRET: SECRET}, content=whole)
            client.get(f"/v1/tracks/{SECRET}/audio", params={"signature": SECRET, "expires": 1})
            client.get(
                f"/{SECRET}",
                headers={"X-API-Key": SECRET, "User-Agent": SECRET, "X-Request-ID": f"{SECRET}!"},
            )
            client.request(SECRET.upper(), "/livez")
        with socket.create_connection(("127.0.0.1", int(found[1]))) as raw:
            raw.sendall(f"GET /{SECRET} {SECRET}\r\n{SECRET}\x00\r\n\r\n".encode())
            raw.recv(1000)
    finally:
        server.terminate()
        said += server.communicate(timeout=60)[1].splitlines()
    requests = [json.loads(line) for line in said if line.strip()]
    assert sum(line["message"] == "request" for line in requests) >= 16
    told = "\n".join(said).lower()
    for word in (SECRET, "product", str(tmp_path).lower(), "/proc/", ".mp4"):
        assert word not in told, [line for line in said if word in line.lower()]
