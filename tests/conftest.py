"""Fixtures that every test may use: real media, the system's Chromium, a Redis, and who decodes."""

import importlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real media beside the checkout; see its README for licences."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside this checkout: the checks on real media cannot run")
    return SHARED_DATA


# Without these Chromium looks for its maker's hosts; without a GPU and as root the first two are needed.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Skips where there is none, unless YUYIN_NEED_BROWSER says that there must be (CI on Debian does).

    Of one module, not of the session: while Playwright runs, its event loop counts as this thread's, and
    `asyncio.run` of any test after it would fail.
    """
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        reason = "no Chromium on this machine: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("YUYIN_NEED_BROWSER") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., Any]]:
    """Opens an address; afterwards no page may have raised an error or asked another host for anything."""
    pages: list[tuple[Any, str, list[str]]] = []

    def open_page(url: str, *, width_px: int = 1280, height_px: int = 800, **context: Any) -> Any:
        viewport = {"width": width_px, "height": height_px}
        page = browser.new_context(base_url=url, viewport=viewport, **context).new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if _is_fault(said) else None)
        page.on("request", lambda asked: faults.append(asked.url) if _is_foreign(asked.url, url) else None)
        pages.append((page, url, faults))
        page.goto(url)
        return page

    yield open_page
    for page, _, faults in pages:
        page.context.close()
        assert faults == []


def _is_fault(said: Any) -> bool:
    """Refused requests are logged by the browser itself; the page has words for them."""
    return said.type == "error" and "Failed to load resource" not in said.text


def _is_foreign(asked: str, url: str) -> bool:
    return not asked.startswith((url, "blob:", "data:"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """`redis-server` on a port and in a folder of its own, which tests may kill, freeze and start again."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program, self._folder = program, folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            self._program,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        command += ["--dir", str(self._folder), "--daemonize", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + 20
        while time.monotonic() < end_s:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked:
                asked.sendall(b"PING\r\n")
                if asked.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.02)
        raise AssertionError("redis-server does not start")

    def kill(self) -> None:
        """As power loss does it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGCONT)
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It takes connections and never answers."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def _redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine: apt-get install redis-server")
    server = RedisServer(program, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_server(_redis_server: RedisServer) -> RedisServer:
    """Running and empty when the test begins."""
    if _redis_server._process is None:
        _redis_server.start()
    _redis_server.thaw()
    with socket.create_connection(("127.0.0.1", _redis_server.port), timeout=5) as asked:
        asked.sendall(b"FLUSHALL\r\n")
        assert asked.recv(16).startswith(b"+OK")
    return _redis_server


class Decoding:
    """Decoding processes, as the kernel lists them."""

    @staticmethod
    def children(of: int) -> list[int]:
        listed = Path(f"/proc/{of}/task").glob("*/children")
        return [int(pid) for path in listed for pid in path.read_text().split()]

    @classmethod
    def server(cls) -> int:
        """The fork server that this process started last; the kernel lists them by the thread that did."""
        found: list[tuple[int, int]] = []
        for pid in cls.children(os.getpid()):
            with suppress(OSError):
                if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    found.append((int(after_name[19]), pid))  # starttime, see proc_pid_stat(5)
        return max(found)[1]

    @classmethod
    def at_work(cls, server: int) -> list[int]:
        """Children that are confined, so that they have a video; the spare one may still open files."""
        return [pid for pid in cls.children(server) if cls._open_files(pid) == "0"]

    @classmethod
    def spares(cls, server: int) -> list[int]:
        """Children that wait for a video."""
        return [pid for pid in cls.children(server) if cls._open_files(pid) not in ("0", "")]

    @staticmethod
    def running(pid: int) -> bool:
        """Neither gone nor a zombie."""
        with suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    @staticmethod
    def _open_files(pid: int) -> str:
        """How many it may have; empty where it is gone."""
        with suppress(OSError):
            limits = Path(f"/proc/{pid}/limits").read_text()
            return limits.partition("Max open files")[2].split(maxsplit=1)[0] if limits else ""
        return ""


@pytest.fixture(scope="session")
def decoding() -> type[Decoding]:
    """Who decodes for this process."""
    return Decoding


@pytest.fixture
def benchmark_module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A module of benchmarks/, which are scripts and import each other by their names."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def wait_until(condition: Callable[[], object], within_s: float = 120.0, about: object = "") -> float:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < within_s, f"not within {within_s:g} s: {about}"
        time.sleep(0.01)
    return time.monotonic() - began_s


@pytest.fixture(scope="session")
def until() -> Callable[..., float]:
    """Waits for what others do; returns how many seconds it took until the condition held."""
    return wait_until
