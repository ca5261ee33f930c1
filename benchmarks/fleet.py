"""Folders in, a running deployment out: Redis, service processes, a worker; and what each of them holds.

For load.py, overhead.py and the tests of tests/e2e that need the same. The store has two snapshots, of two
pools without a common track: an answer that mixed them would show it.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from index_builder import snapshot as snapshots

WITHIN_S = 60.0
RATE_HZ = 22_050
POOLS = ("brass", "strings")
LENGTHS_S = (8, 13, 17, 21, 26, 34)


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one request; status 0 where there was none."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body) if self.body else None


def ask(
    port: int,
    path: str,
    body: Any = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 120.0,
) -> Answer:
    """One request on a connection of its own; a mapping as body goes as JSON.

    Raises:
        OSError, HTTPException: if there is no answer.
    """
    given = dict(headers or {})
    if isinstance(body, dict):
        body, given = json.dumps(body).encode(), {"Content-Type": "application/json"} | given
    with closing(HTTPConnection("127.0.0.1", port, timeout=timeout_s)) as connection:
        connection.request(method or ("GET" if body is None else "POST"), path, body, given)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, found, answer.read())


def wait_until(condition: Callable[[], object], within_s: float = WITHIN_S, about: object = "") -> float:
    """Seconds until it held; raises `TimeoutError`."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > within_s:
            raise TimeoutError(f"not within {within_s:g} s: {about}")
        time.sleep(0.02)
    return time.monotonic() - began_s


def ready(port: int, **headers: str) -> bool:
    """Whether /readyz is 200."""
    with suppress(OSError, HTTPException):
        return ask(port, "/readyz", headers=headers, timeout_s=5).status == 200
    return False


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """A program in the background, with its output in a file."""

    def __init__(self, words: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.environment = os.environ | dict(environment or {})
        with log.open("ab") as file:
            self.process = subprocess.Popen(words, stdout=file, stderr=file, env=self.environment)
        self.pid = self.process.pid

    def said(self, text: str, within_s: float = WITHIN_S) -> dict[str, Any]:
        """The first of its log lines whose message is `text`, once it is there."""

        def found() -> list[dict[str, Any]]:
            if self.process.poll() is not None:
                raise TimeoutError(self.log.read_text())
            return self.lines(text)

        wait_until(found, within_s, self.log)
        return found()[0]

    def lines(self, text: str) -> list[dict[str, Any]]:
        """Of its log, those whose message is `text`, so far."""
        whole = [
            line for line in self.log.read_text().splitlines() if line.startswith("{") and line[-1] == "}"
        ]
        return [line for line in map(json.loads, whole) if line["message"] == text]

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM and its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def children(pid: int) -> list[int]:
    """Process ids of those that a process started and that are there yet."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in listed.read_text().split() if alive(int(child))]
    return found


def is_confined(pid: int) -> bool:
    """Whether it may open nothing: a decoder that has its video, not the spare one."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/limits").read_text().partition("Max open files")[2].split()[:1] == ["0"]
    return False


def alive(pid: int) -> bool:
    """Whether it runs: neither gone nor a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def resident_mb(pid: int) -> float:
    """RSS."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def descriptors(pid: int, but_to: int = 0) -> int:
    """How many are open, but for connections to a port of this machine, such as a pool of those to Redis."""
    pooled = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].rpartition(":")[2], 16) == but_to:
            pooled.add(f"socket:[{fields[9]}]")
    found = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(name not in pooled for name in found)


def write_pool(folder: Path, name: str, seed: int) -> Path:
    """Six short tracks whose ids begin with the pool's name."""
    folder.mkdir(parents=True)
    rows = ["path,track_id,title,artist"]
    for i, length_s in enumerate(LENGTHS_S):
        t = np.arange(RATE_HZ * length_s) / RATE_HZ
        pitch_hz, pulse_hz = 110 * 2 ** ((i + seed / 2) / 3), 1.0 + 0.35 * ((i + seed) % 6)
        tone = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k ** (1 + i / 4) for k in range(1, 7))
        samples = tone * np.exp(-5 * ((t * pulse_hz) % 1)) * (0.3 + 0.5 * t / t[-1])
        with wave.open(str(folder / f"{name}-{i}.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes((samples / np.abs(samples).max() * 16_000).astype("<i2").tobytes())
        rows.append(f"{name}-{i}.wav,{name}-{i},Title {i},Artist {i % 2}")
    (folder / "catalogue.csv").write_text("\n".join(rows) + "\n")
    return folder


@dataclass(frozen=True, slots=True)
class Stock:
    """Two pools and a store with a snapshot of each."""

    store: Path
    pools: dict[str, Path]
    snapshots: dict[str, str]  # by pool; CURRENT names that of the last

    def environment(self) -> dict[str, str]:
        """What servers and workers have to be told of it."""
        pools = {name: str(folder) for name, folder in self.pools.items()}
        return {"YUYIN_STORE": str(self.store), "YUYIN_POOLS": json.dumps(pools)}


def make_stock(folder: Path) -> Stock:
    """With the shipped bundle, by the builder's own command."""
    store, pools, made = folder / "store", {}, {}
    for seed, name in enumerate(POOLS):
        pools[name] = write_pool(folder / name, name, seed)
        command = [sys.executable, "-m", "yuyin", "index", "build", str(pools[name]), "--store", str(store)]
        subprocess.run(command, check=True, capture_output=True)
        made[name] = str(snapshots.current(store))
    return Stock(store, pools, made)


class Redis(Program):
    """On a port of its own; nothing is kept."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("no redis-server on this machine: apt-get install redis-server")
        kept = ["--save", "", "--appendonly", "no", "--dir", str(folder)]
        words = [program, "--port", str(self.port), "--bind", "127.0.0.1", *kept]
        super().__init__(words, folder / "redis.log")
        try:
            wait_until(self._answers, WITHIN_S, "redis-server")
        except BaseException:  # nobody has it yet who could stop it
            self.kill()
            raise

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
            asked.sendall(b"PING\r\n")
            return asked.recv(16).startswith(b"+PONG")
        return False


class Fleet:
    """One Redis, one worker, and `yuyin serve`; each can be killed and started again."""

    def __init__(self, folder: Path, stock: Stock, **settings: str) -> None:
        """Args: `settings` are those of all, as YUYIN_<NAME>."""
        self._folder, self._stock = folder, stock
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.redis = Redis(folder)
        self._environment = stock.environment() | settings
        self._environment |= {"YUYIN_REDIS_URL": self.redis.url, "TMPDIR": str(self.temporary)}
        self._begun = 0
        self.servers: list[Program] = []
        self.worker: Program | None = None

    def start_redis(self) -> None:
        """Again, on the same port."""
        self.redis = Redis(self._folder, self.redis.port)

    def start_worker(self) -> Program:
        """`yuyin worker`."""
        self.worker = self._yuyin("worker")
        return self.worker

    def serve(self, *, processes: int = 1, port: int | None = None, **settings: str) -> int:
        """`yuyin serve`; returns its port once it is ready."""
        port = port or free_port()
        words = ("serve", "--port", str(port), "--processes", str(processes))
        server = self._yuyin(*words, **settings)
        self.servers.append(server)
        wait_until(lambda: ready(port) or server.process.poll() is not None, about=server.log)
        if server.process.poll() is not None:
            raise ChildProcessError(server.log.read_text())
        return port

    def _yuyin(self, *words: str, **settings: str) -> Program:
        self._begun += 1
        log = self._folder / f"{words[0]}-{self._begun}.log"
        return Program([sys.executable, "-m", "yuyin", *words], log, self._environment | settings)

    def service_processes(self) -> list[int]:
        """Of the last server with several: the supervisor's children."""
        return children(self.servers[-1].pid)

    def decoders(self) -> list[int]:
        """Children at work on a video, of all service processes."""
        fork_servers = [one for process in self.service_processes() for one in children(process)]
        return [decoder for one in fork_servers for decoder in children(one) if is_confined(decoder)]

    def stop(self) -> None:
        """All of it."""
        running = [*self.servers, *([self.worker] if self.worker else []), self.redis]
        try:
            for program in running:
                program.stop()
        finally:
            for program in running:
                program.kill()


@contextmanager
def fleet(folder: Path, stock: Stock, **settings: str) -> Iterator[Fleet]:
    """Ends with the block."""
    started = Fleet(folder, stock, **settings)
    try:
        yield started
    finally:
        started.stop()
