"""What the callers of benchmarks/ say of a server that answers as none should: all of it, and aloud."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
KINDS = ("good", "mutant", "wrong_options", "empty", "too_large", "stalls")
HANGS_UP = b""
NO_BODY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
NO_MAPPING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
HIT = b"HTTP/1.1 200 OK\r\nX-YuYin-Cache: hit\r\nContent-Length: 2\r\n\r\n{}"
MISS = HIT.replace(b": hit", b": miss")


@contextmanager
def answering(reply: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that says the same to every request, or nothing: its port, and the requests that came."""
    asked: list[bytes] = []

    class Answering(StreamRequestHandler):
        timeout = 0.2  # of a body that does not come

        def handle(self) -> None:
            with suppress(OSError):
                while first := self.rfile.readline():
                    asked.append(first)
                    self._read_the_rest()
                    if not reply:
                        return
                    self.wfile.write(reply)

        def _read_the_rest(self) -> None:
            length = 0
            while (line := self.rfile.readline().lower()).strip():
                length = int(line.split()[1]) if line.startswith(b"content-length:") else length
            with suppress(TimeoutError):
                self.rfile.read(length)

    with ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1], asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def call(benchmark_module: Callable[[str], ModuleType]) -> Callable[[int, str], Any]:
    """A port and a kind of request in, what its caller says of it out."""
    callers = benchmark_module("callers")
    crowd = callers.Crowd({"clip": bytes(5000)}, [bytes(range(256)) * 20], {}, {})

    def once(port: int, kind: str) -> Any:
        caller = callers.Caller(port, 1, crowd)
        return caller._called(getattr(caller, f"_{kind}"))

    return once


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_hangs_up_is_a_fault(call: Callable[[int, str], Any], kind: str) -> None:
    with answering(HANGS_UP) as (port, _):
        said = call(port, kind)
    assert (said.kind, said.status, said.code) == (kind, 0, "lost")
    assert "no answer" in said.fault


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "stalls"])
def test_a_refusal_without_a_body_is_a_fault_that_names_its_status(
    call: Callable[[int, str], Any], kind: str
) -> None:
    with answering(NO_BODY) as (port, _):
        said = call(port, kind)
    assert said.status == 502
    assert "status 502" in said.fault


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_is_none_of_ours_is_a_fault(call: Callable[[int, str], Any], kind: str) -> None:
    with answering(NO_MAPPING) as (port, _):
        assert call(port, kind).fault


@pytest.mark.parametrize(
    "reply",
    [
        HANGS_UP,
        NO_BODY,
        NO_MAPPING,
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}",  # it does not say where the job is
        b"HTTP/1.1 202 Accepted\r\nLocation: /v1/jobs/1\r\nContent-Length: 0\r\n\r\n",  # nor in which state
    ],
)
def test_a_swap_that_fails_is_a_fault(benchmark_module: Callable[[str], ModuleType], reply: bytes) -> None:
    fleet, load = benchmark_module("fleet"), benchmark_module("load")
    found, stock = load.Found(), fleet.Stock(Path("store"), {}, {"brass": "b", "strings": "s"})
    with answering(reply) as (port, _):
        found.swap(port, stock, 2)  # a reindex
    assert [fault.partition(":")[0] for fault in found.faults] == ["swap"]
    assert not found.swaps


def test_all_that_was_looked_up_is_counted(benchmark_module: Callable[[str], ModuleType]) -> None:
    with answering(HIT) as (port, asked):
        took_ms = benchmark_module("repeats").repeats(port, bytes(5000), 3, 0.3)
    assert len(took_ms) == len(asked) > 3


@pytest.mark.parametrize("reply", [HANGS_UP, NO_BODY, MISS])
def test_repeats_that_are_not_looked_up_are_no_figure(
    benchmark_module: Callable[[str], ModuleType], reply: bytes
) -> None:
    with answering(reply) as (port, _), pytest.raises(ConnectionError, match="not looked up"):
        benchmark_module("repeats").repeats(port, bytes(5000), 2, 0.3)


def test_the_process_that_asks_for_repeats_fails_with_them(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(5000))
    with answering(NO_BODY) as (port, _):
        command = [sys.executable, str(FOLDER / "overhead.py"), "--call", str(port), str(body), "0.3", "2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "502" in done.stderr


def test_a_redis_that_does_not_answer_does_not_stay(
    benchmark_module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = benchmark_module("fleet")
    fake = tmp_path / "redis-server"
    fake.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(fleet, "WITHIN_S", 1.0)
    with pytest.raises(TimeoutError):
        fleet.Redis(tmp_path)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
