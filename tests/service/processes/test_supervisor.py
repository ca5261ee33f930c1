"""`yuyin serve` with several processes and `yuyin worker`, as operators start them; any of them is killed."""

import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from index_builder import snapshot as snapshots
from model.errors import BadOptions
from service.processes.supervisor import HUNG_S, _one_of, check
from service.settings import Settings

WHOLE_S = 5.0  # issue 6: the service is whole again so soon after any process is killed


class Run:
    """A command of ours in the background, its log lines, and the processes that it started."""

    def __init__(self, *words: str, **environment: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "yuyin", *words],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"message": line.strip()})

    def said(self, message: str, within_s: float = 60.0) -> dict[str, Any]:
        wait_until(lambda: any(line["message"] == message for line in self.lines), within_s, self.lines)
        return next(line for line in self.lines if line["message"] == message)

    def children(self) -> list[int]:
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in found if alive(int(pid))]

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = 60.0) -> int:
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(within_s)
        self._reader.join(30)  # what it started has ended too then: nobody holds the pipe
        assert self._process.stderr is not None
        self._process.stderr.close()
        return status


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], within_s: float = 30.0, about: object = "") -> float:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < within_s, about
        time.sleep(0.02)
    return time.monotonic() - began_s


@pytest.fixture
def run(redis_server: Any) -> Iterator[Callable[..., Run]]:
    pytest.importorskip("service.stores.redis")
    started: list[Run] = []

    def start(*words: str, **environment: str) -> Run:
        started.append(Run(*words, **{"YUYIN_REDIS_URL": redis_server.url} | environment))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        kind = "application/json" if path.startswith("/admin") else "video/mp4"
        connection.request(method, path, body=body, headers={"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def ready(port: int) -> bool:
    try:
        return ask(port, "/readyz")[0] == 200
    except OSError:
        return False


def in_force(port: int, asks: int = 12) -> set[str]:
    """What several connections, and so several processes, answer from."""
    return {ask(port, "/version")[1]["snapshot"] for _ in range(asks)}


def test_several_processes_need_redis(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="YUYIN_REDIS_URL"):
        check(Settings(store=tmp_path, processes=2))
    check(Settings(store=tmp_path, processes=1))
    said = subprocess.run(
        [sys.executable, "-m", "yuyin", "serve", "--processes", "2", "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert said.returncode == 2
    assert "YUYIN_PROCESSES=2 needs YUYIN_REDIS_URL" in said.stderr


def test_a_process_gets_its_share_and_all_the_settings(tmp_path: Path) -> None:
    chosen = Settings.model_validate(
        {
            "store": tmp_path,
            "processes": 3,
            "in_flight": 8,
            "queue": 0,
            "redis_url": "redis://:secret@h/1",
            "keys": {"a": {"sha256": "0" * 64, "scopes": ["admin", "recommend"]}},
            "pools": {"house": tmp_path},
        }
    )
    passed = Settings.model_validate(json.loads(json.dumps(_one_of(chosen))))
    assert passed == chosen.model_copy(update={"in_flight": 3})
    assert passed.redis_url is not None
    assert passed.redis_url.get_secret_value() == "redis://:secret@h/1"
    assert "secret" not in repr(chosen) + str(chosen)


def test_a_worker_says_what_it_lacks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "yuyin", "worker", "--store", str(tmp_path)]
    for given, wanted in (
        ({}, "YUYIN_REDIS_URL"),
        ({"YUYIN_REDIS_URL": "redis://127.0.0.1:1"}, "YUYIN_POOLS"),
    ):
        said = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=os.environ | given
        )
        assert said.returncode == 2
        assert wanted in said.stderr


@pytest.mark.slow
def test_any_service_process_may_be_killed_and_the_port_outlives_it(
    store: Path, run: Callable[..., Run], clip: bytes
) -> None:
    server = run("serve", "--store", str(store), "--port", "0", "--processes", "2")
    port = server.said("serving")["port"]
    wait_until(lambda: ready(port), 60)
    wait_until(lambda: sum(line["message"] == "snapshot in force" for line in server.lines) == 2, 60)
    failed: list[object] = []
    stop = threading.Event()

    def keep_asking() -> None:
        while not stop.is_set():
            try:
                status, _ = ask(port, "/livez")
                if status != 200:
                    failed.append(status)
            except OSError as error:
                failed.append(error)

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        for _ in range(2):
            victim = server.children()[0]
            os.kill(victim, signal.SIGKILL)
            took_s = wait_until(lambda pid=victim: len(set(server.children()) - {pid}) == 2)  # type: ignore[misc]
            assert took_s < WHOLE_S
            wait_until(lambda: ready(port), 60)
            time.sleep(2)
    finally:
        stop.set()
        asking.join()
    assert len(failed) <= 2  # at most the request inside each
    assert ask(port, "/recommend", "POST", clip)[0] == 200

    children = server.children()
    os.kill(server.pid, signal.SIGKILL)  # nobody is left to end them
    wait_until(lambda: not any(alive(pid) for pid in children), 40)
    again = run("serve", "--store", str(store), "--port", str(port), "--processes", "2")
    wait_until(lambda: ready(port), 60)
    assert again.stop() == 0
    assert not ready(port)


@pytest.mark.slow
def test_a_process_that_hangs_is_killed_and_one_that_drains_is_missed_by_nobody(
    store: Path, run: Callable[..., Run], clip: bytes
) -> None:
    server = run("serve", "--store", str(store), "--port", "0", "--processes", "2")
    port = server.said("serving")["port"]
    wait_until(lambda: sum(line["message"] == "snapshot in force" for line in server.lines) == 2, 60)
    wait_until(lambda: ready(port), 60)
    time.sleep(1)  # their first pulse
    victim = server.children()[0]
    os.kill(victim, signal.SIGSTOP)
    took_s = wait_until(lambda: not alive(victim), HUNG_S + 10)
    assert took_s > HUNG_S / 2
    assert server.said("a service process hangs")["pid"] == victim
    wait_until(lambda: len(server.children()) == 2, WHOLE_S)
    wait_until(lambda: sum(line["message"] == "snapshot in force" for line in server.lines) == 3, 60)
    assert ask(port, "/recommend", "POST", clip)[0] == 200

    drained = server.children()[0]
    os.kill(drained, signal.SIGTERM)
    seen = []
    while alive(drained):
        seen.append(ask(port, "/version")[0])
    assert set(seen) == {200}
    wait_until(lambda: len(set(server.children()) - {drained}) == 2, WHOLE_S)
    assert sum(line["message"] == "a service process hangs" for line in server.lines) == 1
    assert server.stop() == 0


@pytest.mark.slow
def test_a_process_that_cannot_be_started_now_ends_no_other(store: Path, run: Callable[..., Run]) -> None:
    """Short of descriptors here, as it may be of processes or memory."""
    server = run("serve", "--store", str(store), "--port", "0", "--processes", "2")
    port = server.said("serving")["port"]
    wait_until(lambda: sum(line["message"] == "snapshot in force" for line in server.lines) == 2, 60)
    victim, other = server.children()
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (4, before[1]))
    os.kill(victim, signal.SIGKILL)
    server.said("no service process can be started")
    assert ready(port)
    assert server.children() == [other]
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    wait_until(lambda: len(server.children()) == 2)
    assert server.stop() == 0


@pytest.mark.slow
def test_a_start_that_cannot_work_ends_with_a_reason(store: Path, run: Callable[..., Run]) -> None:
    server = run("serve", "--store", str(store), "--port", "0", "--processes", "2", YUYIN_HOST="0.0.0.0")
    wait_until(lambda: server._process.poll() is not None, 60)
    assert server._process.returncode == 2
    assert any("without API keys" in line["message"] for line in server.lines)


@pytest.mark.slow
def test_a_reindex_by_a_worker_that_is_killed_is_finished_by_another_and_all_replicas_follow(
    both: Any, pool: Path, bundles: tuple[Path, Path], run: Callable[..., Run], clip: bytes, redis_server: Any
) -> None:
    new = json.loads((bundles[1] / "bundle.json").read_text())["id"]
    pools = {"YUYIN_POOLS": json.dumps({"house": str(pool)})}
    replicas = [
        run("serve", "--store", str(both.store), "--port", "0", "--processes", "2", **pools) for _ in range(2)
    ]
    ports = [server.said("serving")["port"] for server in replicas]
    for port in ports:
        wait_until(lambda port=port: ready(port), 60)  # type: ignore[misc]
        assert in_force(port) == {both.old}
    first = run("worker", "--store", str(both.store), **pools)
    first.said("the worker waits for jobs")

    asked = json.dumps({"bundle": new, "recompute": True}).encode()
    status, job = ask(ports[0], "/admin/reindex", "POST", asked)
    assert status == 202
    place = f"/v1/jobs/{job['id']}"
    wait_until(lambda: ask(ports[1], place)[1]["stage"] == "embed", 60)
    assert ask(ports[1], "/admin/reindex", "POST", asked)[1]["job"] == job["id"]

    os.kill(first.pid, signal.SIGKILL)
    redis_server.kill()  # and Redis with it: the record is the truth
    second = run("worker", "--store", str(both.store), **pools)
    wait_until(lambda: ask(ports[1], place)[1]["attempt"] == 2, 60)
    redis_server.start()
    wait_until(lambda: ask(ports[1], place)[1]["state"] == "done", 120)
    ended_s = time.monotonic()
    for port in ports:
        wait_until(lambda port=port: in_force(port) == {both.new}, 10)  # type: ignore[misc]
    assert time.monotonic() - ended_s < 10
    assert snapshots.current(both.store) == both.new
    assert ask(ports[0], "/recommend", "POST", clip)[1]["snapshot"] == both.new

    status, job = ask(ports[0], "/admin/reindex", "POST", asked)
    assert status == 202
    place = f"/v1/jobs/{job['id']}"
    wait_until(lambda: ask(ports[1], place)[1]["state"] == "running", 60)
    assert second.stop() == 0  # a rolling update of the worker
    assert ask(ports[1], place)[1]["state"] == "queued"
    run("worker", "--store", str(both.store), **pools)
    wait_until(lambda: ask(ports[1], place)[1]["stage"] == "embed", 60)
    assert ask(ports[1], place, "DELETE")[0] == 202
    wait_until(lambda: ask(ports[0], place)[1]["state"] == "cancelled", 60)


@pytest.mark.slow
def test_activate_on_one_replica_is_in_force_on_the_others_within_a_second(
    both: Any, run: Callable[..., Run]
) -> None:
    """By notice: the look at the store comes much later here."""
    late = {"YUYIN_FOLLOW_S": "600"}
    replicas = [run("serve", "--store", str(both.store), "--port", "0", **late) for _ in range(2)]
    ports = [int(server.said("Application startup complete.") and port_of(server)) for server in replicas]
    assert ask(ports[0], f"/admin/snapshots/{both.new}/activate", "POST")[0] == 200
    took_s = wait_until(lambda: in_force(ports[1], 1) == {both.new}, 20)
    assert took_s < 5


def port_of(server: Run) -> int:
    wait_until(lambda: any("running on" in line["message"] for line in server.lines), 30, server.lines)
    line = next(line["message"] for line in server.lines if "running on" in line["message"])
    return int(line.split("127.0.0.1:")[1].split()[0])
