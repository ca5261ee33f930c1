"""An address of their own for admins: what is answered where, in memory and by real servers."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families as parse

from model.errors import BadOptions
from service.app import create_app
from service.settings import Settings, read_settings

HOST = "http://127.0.0.1"
FOR_ADMINS = ["/metrics", "/admin/snapshots", "/admin", "/admin/", "/%61dmin/snapshots", "/metrics?x=1"]
FOR_ALL = ["/livez", "/readyz", "/version", "/v1/tracks", "/openapi.json", "/"]


@pytest.fixture(scope="module")
def both(built_store: Path) -> Iterator[tuple[TestClient, TestClient]]:
    """The same app as the one port and the other see it."""
    app = create_app(Settings(store=built_store, admin_host="127.0.0.1", admin_port=9000))
    with TestClient(app, base_url=f"{HOST}:8000") as public:
        yield public, TestClient(app, base_url=f"{HOST}:9000")


@pytest.mark.parametrize("path", FOR_ADMINS)
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "127.0.0.1:9000", "localhost:9000"])
def test_on_the_public_port_admin_routes_are_unknown(
    both: tuple[TestClient, TestClient], path: str, host: str
) -> None:
    """Whatever the request says of the port that it came in by."""
    for method in ("GET", "POST", "PATCH"):
        answer = both[0].request(method, path, headers={"Host": host})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_on_their_own_port_all_is_answered(both: tuple[TestClient, TestClient]) -> None:
    for path in ("/metrics", "/admin/snapshots", *FOR_ALL):
        assert both[1].get(path).status_code == 200, path
    for path in FOR_ALL:
        assert both[0].get(path).status_code == 200, path


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.10", "::"])
def test_without_keys_admins_are_on_this_machine(built_store: Path, host: str) -> None:
    with pytest.raises(BadOptions, match="YUYIN_ADMIN_HOST"):
        create_app(Settings(store=built_store, admin_host=host, admin_port=9000))


@pytest.mark.parametrize(
    "given",
    [{"admin_host": "127.0.0.1"}, {"admin_port": 9000}, {"admin_host": "127.0.0.1", "admin_port": 8000}],
)
def test_half_an_address_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadOptions, match="admin_port"):
        read_settings(**given)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"{HOST}:{port}{path}", timeout=30)


def is_ready(port: int) -> bool:
    with suppress(httpx.TransportError):
        return get(port, "/readyz").status_code == 200
    return False


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_real_servers_listen_twice_and_count_together(
    built_store: Path, tmp_path: Path, redis_server: Any, until: Callable[..., float], processes: int
) -> None:
    public, admin = free_port(), free_port()
    environment = {
        "YUYIN_REDIS_URL": redis_server.url,
        "YUYIN_PROCESSES": str(processes),
        "YUYIN_PORT": str(public),
        "YUYIN_ADMIN_HOST": "127.0.0.1",
        "YUYIN_ADMIN_PORT": str(admin),
        "TMPDIR": str(tmp_path),
        "YUYIN_LOG_LEVEL": "warning",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "yuyin", "serve", "--store", str(built_store)],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: is_ready(public))
        for path, statuses in (
            ("/metrics", (404, 200)),
            ("/admin/snapshots", (404, 200)),
            ("/livez", (200, 200)),
        ):
            assert tuple(get(port, path).status_code for port in (public, admin)) == statuses
        assert get(public, "/admin/snapshots").json()["code"] == "not_found"

        def counted() -> dict[str, float]:
            """`/version` requests by process."""
            (family,) = (each for each in parse(get(admin, "/metrics").text) if each.name == "yuyin_requests")
            return {
                sample.labels["process"]: sample.value
                for sample in family.samples
                if sample.labels["route"] == "/version"
            }

        for _ in range(40):
            assert get(public, "/version").status_code == 200
        until(lambda: sum(counted().values()) == 40, 15)
        until(lambda: len(re.findall(r"process_open_fds\{", get(admin, "/metrics").text)) == processes, 30)
    finally:
        server.terminate()
        said = server.communicate(timeout=60)[1]
    assert server.returncode in (0, -signal.SIGTERM), said  # uvicorn ends by the signal that it was sent
    assert not list(tmp_path.glob("yuyin-metrics-*")), "the counts of ended processes were left behind"
    assert [line for line in said.splitlines() if '"level": "info"' in line] == []
