"""The client of client/, which is no part of the package, and the servers of tests/service to ask."""

import asyncio
import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "client"))  # as if it were installed

_spec = importlib.util.spec_from_file_location("fixtures_of_service", ROOT / "tests/service/conftest.py")
assert _spec is not None
assert _spec.loader is not None
_service = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = _service
_spec.loader.exec_module(_service)

pool, bundles, built_store, store = _service.pool, _service.bundles, _service.built_store, _service.store
clip, live, live_long = _service.clip, _service.live, _service.live_long


@pytest.fixture(params=["blocking", "awaited"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`ask(url, "method", *arguments, key=..., retries=..., **named)`, by either client."""
    from yuyin_client import AsyncClient, Client

    def blocking(
        url: str, method: str, *args: Any, client: dict[str, Any] | None = None, **named: Any
    ) -> Any:
        with Client(url, **(client or {})) as one:
            found = getattr(one, method)(*args, **named)
            return list(found) if method == "follow" else found

    def awaited(url: str, method: str, *args: Any, client: dict[str, Any] | None = None, **named: Any) -> Any:
        async def run() -> Any:
            async with AsyncClient(url, **(client or {})) as one:
                found = getattr(one, method)(*args, **named)
                return [each async for each in found] if method == "follow" else await found

        return asyncio.run(run())

    return {"blocking": blocking, "awaited": awaited}[request.param]


class Faulty(ThreadingHTTPServer):
    """A real server that answers by a script: (status, headers, body), "hang up", or a function."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Any] = []
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []  # method, path, headers, body
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def handle_error(self, *args: Any) -> None:
        """Clients that give up are what is tested."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Faulty

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, self._body()))
        answer = self.server.script.pop(0)
        answer = answer(self) if callable(answer) else answer
        if answer == "hang up":
            self.close_connection = True
        else:
            self._send(*answer)

    do_GET = do_DELETE = do_PATCH = do_POST  # noqa: N815

    def _send(self, status: int, more: dict[str, str], said: Any) -> None:
        said = said if isinstance(said, bytes) else json.dumps(said).encode()
        kind = "application/json" if status < 400 else "application/problem+json"
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(said)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)
        if int(more.get("Content-Length", 0)) > len(said):
            self.close_connection = True

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    """All that its script says must have been asked for."""
    server = Faulty()
    yield server
    server.stop()
    assert server.script == []


@pytest.fixture
def other() -> Iterator[Faulty]:
    """A second one."""
    server = Faulty()
    yield server
    server.stop()
