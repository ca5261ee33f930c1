"""What the benchmarks share: a row's head, quantiles, clips of known length, and a server to measure."""

import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile

import av

READY_WITHIN_S = 120.0


PACKAGES = ("av", "numpy", "onnxruntime", "faiss-cpu")  # whose versions a row names, unless told others


def head(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Date, commit and machine of a row."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    machine = f"{len(os.sched_getaffinity(0))} cores {platform.machine()}, Python {platform.python_version()}"
    return [f"{datetime.now(UTC):%Y-%m-%d}", commit, f"{machine}, {versions}"]


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], packages: Sequence[str] = PACKAGES) -> None:
    """Print rows, each behind the head, as Markdown."""
    heading = ["date", "commit", "software", *columns]
    for cells in (heading, ["---"] * len(heading), *([*head(packages), *row] for row in rows)):
        print("| " + " | ".join(cells) + " |")


def p50_p95(values: Sequence[float], decimals: int = 0) -> str:
    """Median and 95th percentile."""
    high = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    return f"{statistics.median(values):.{decimals}f} / {high:.{decimals}f}"


def decode_ms(clip: Path) -> float:
    """Decode a clip fully and alone, as fast as PyAV does it by itself: the named alternative."""
    began_s = time.perf_counter()
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass
    return (time.perf_counter() - began_s) * 1000


@dataclass(frozen=True, slots=True)
class Server:
    """A running `yuyin serve`."""

    process: int
    port: int
    ready_s: float  # from its start to the first 200 of /readyz

    def post(self, path: str, body: bytes) -> bytes:
        """The answer's body; anything but 200 ends the benchmark."""
        return _ask(self.port, "POST", path, body)

    def family(self) -> list[int]:
        """Process ids of it and all its children."""
        return list(_family(self.process))

    def cpu_s(self) -> float:
        """CPU seconds of it and all its children so far, those included that have ended."""
        ticks = 0
        for process in _family(self.process):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime, stime, and both of children waited for
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> tuple[float, float]:
        """Resident (RSS) and proportional (PSS: shared pages counted once) MB with all its children."""
        kinds = {"Rss:": 0, "Pss:": 0}
        for process in _family(self.process):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                name, *rest = line.split()
                if name in kinds:
                    kinds[name] += int(rest[0])
        return kinds["Rss:"] / 1024, kinds["Pss:"] / 1024


def _family(process: int) -> Iterator[int]:
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _ask(port: int, method: str, path: str, body: bytes | None = None) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=READY_WITHIN_S)
    try:
        connection.request(method, path, body, {"Content-Type": "application/octet-stream"})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise ConnectionError(f"{method} {path} answered {response.status}: {answer.decode()}")
    return answer


@contextmanager
def serve(store: Path, *, cached: bool = False) -> Iterator[Server]:
    """`yuyin serve` on a free port of this machine, ready; ends with the block.

    Unless `cached`, a repeat is worked on, not looked up.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "yuyin", "serve", "--store", str(store), "--port", str(port)]
    began_s = time.perf_counter()
    with TemporaryFile("w+") as log:
        settings = os.environ | ({} if cached else {"YUYIN_CACHE_S": "0"})
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=settings)
        try:
            yield Server(process.pid, port, _wait(process, port, began_s))
        except (ConnectionError, TimeoutError):
            log.seek(0)
            sys.stderr.writelines(line for line in log if '"level": "info"' not in line)
            raise
        finally:
            process.terminate()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, began_s: float) -> float:
    while time.perf_counter() - began_s < READY_WITHIN_S and process.poll() is None:
        try:
            _ask(port, "GET", "/readyz")
            return time.perf_counter() - began_s
        except ConnectionError:
            time.sleep(0.01)
    raise TimeoutError(f"the server is not ready after {READY_WITHIN_S:g} s: run `yuyin serve` by hand")
