"""Every block of the front page and of the docs is run as it is printed, top to bottom, one folder per page.

    ```sh       in bash, any failure fails the page; curl fails on HTTP errors too
    ```python   with this interpreter
    ```js       as a module, with the Node that Playwright brings
    ```json     its fields must be ones that the server really sends

A server (`yuyin serve`) runs in the background until the page ends or the next one starts. Three things
are not as printed: the port, so that two runs do not meet, and what STAND_INS names. A block that cannot run
here is preceded by `<!-- not run: REASON -->`; the reasons are printed.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import playwright
import pytest
from markdown_it import MarkdownIt

from service.schemas.health import Problem

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: the pages call it"),
]

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README",
    *(f"docs/{n}" for n in ("editor", "integrator", "music-manager", "ml-engineer", "operator", "gpu")),
)
STAND_INS = {
    "make run": "yuyin serve",  # the demo itself is run from nothing by tests/e2e/test_demo.py
    "make test": ":",  # is what runs this
    "/path/to/music": "music",
}
SERVER = re.compile(r"^.*\byuyin serve\b.*$", re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)
NODE = Path(playwright.__file__).parent / "driver" / "node"
READY_WITHIN_S, BLOCK_WITHIN_S = 90, 240


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    where: str  # page and line
    language: str
    text: str
    reason: str | None  # why it is not run


def blocks(page: str) -> Iterator[Block]:
    """All blocks of a page, in order."""
    reason = None
    for token in MarkdownIt().parse((ROOT / f"{page}.md").read_text("utf-8")):
        if token.type == "fence":
            where = f"{page}.md:{(token.map or [0])[0] + 1}"
            yield Block(where, token.info, token.content, reason)
        found = NOT_RUN.search(token.content) if token.type == "html_block" else None
        reason = found[1] if found else None


class Session:
    """A visitor's folder, shell and server while a page is worked through."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self.folder = folder
        self._exits = exits
        self._server = exits.enter_context(ExitStack())
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        home = folder / "home"
        home.mkdir()
        (home / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("YUYIN", "PYTHON"))}
        (folder / ".venv").symlink_to(sys.prefix)
        path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{kept['PATH']}"
        self._environment = kept | {"PATH": path, "HOME": str(home), "YUYIN_PORT": str(self.port)}

    def run(self, block: Block) -> None:
        """Do what the block says; raises AssertionError with what was printed if that fails."""
        text = block.text.replace(":8000", f":{self.port}")
        for printed, stand_in in STAND_INS.items():
            text = re.sub(rf"(?m)^{printed}\b.*$" if "make" in printed else printed, stand_in, text)
        match block.language:
            case "sh":
                self._shell(block, text)
            case "python":
                self._finish(block, [sys.executable, "-c", text])
            case "js":
                (self.folder / "snippet.mjs").write_text(text)
                self._finish(block, [str(NODE), "snippet.mjs"])
            case "json":
                self._compare(block, json.loads(text))
            case language:
                assert language in ("text", "nginx"), f"{block.where}: nobody checks {language!r}"

    def _shell(self, block: Block, text: str) -> None:
        start = 0
        for server in [*SERVER.finditer(text), None]:
            part = text[start : server.start() if server else len(text)]
            if part.strip():
                self._finish(block, ["bash", "-euo", "pipefail", "-c", part])
            if server:
                self._server.close()
                self._server.enter_context(self._serving(block, server[0]))
                start = server.end()

    def _finish(self, block: Block, command: list[str]) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, f"{block.where}\n{block.text}\n{done.stdout}\n{done.stderr}"

    @contextmanager
    def _serving(self, block: Block, command: str) -> Iterator[None]:
        log = self.folder / "home" / "server.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=self.folder,
                env=self._environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            until = time.monotonic() + READY_WITHIN_S
            while f":{self.port}" not in log.read_text("utf-8"):  # uvicorn's line, once it listens
                assert process.poll() is None, f"{block.where}\n{block.text}\n{log.read_text('utf-8')}"
                assert time.monotonic() < until, f"{block.where}: no server within {READY_WITHIN_S} s"
                time.sleep(0.1)
            yield
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)

    def _compare(self, block: Block, printed: dict[str, Any]) -> None:
        if "code" in printed:
            Problem.model_validate(printed)
            return
        address = f"http://127.0.0.1:{self.port}/recommend"
        with urllib.request.urlopen(address, (self.folder / "cut.mp4").read_bytes(), timeout=60) as answer:
            _same_fields(printed, json.load(answer), block.where)


def _same_fields(printed: Any, sent: Any, where: str) -> None:
    """Every printed field is one that was sent, of the same JSON type."""
    assert type(printed) is type(sent), (where, printed, sent)
    if isinstance(printed, dict):
        for name, value in printed.items():
            assert name in sent, f"{where}: the server sends no {name!r}"
            _same_fields(value, sent[name], f"{where} {name}")
    elif isinstance(printed, list) and isinstance(printed[0], dict):
        _same_fields(printed[0], sent[0], where)


@pytest.mark.parametrize("page", PAGES)
def test_the_page_runs_from_top_to_bottom(page: str, shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "visitor"
    shutil.copytree(shop, folder)
    with ExitStack() as exits:
        session = Session(folder, exits)
        for block in blocks(page):
            if block.reason is None:
                session.run(block)
            else:
                sys.stdout.write(f"not run: {block.where}: {block.reason}\n")


def test_a_command_that_fails_fails_its_page(shop: Path, tmp_path: Path) -> None:
    """The fence around the test above: an error in the middle of a block, or of HTTP, is not swallowed."""
    folder = tmp_path / "visitor"
    shutil.copytree(shop, folder)
    with ExitStack() as exits:
        session = Session(folder, exits)
        session.run(Block("here", "sh", "make run    # set up\n", None))
        for text in (
            "false\ntrue\n",
            "yuyin index activate 0123456789abcdef\ntrue\n",
            "curl :8000/nowhere\n",
        ):
            with pytest.raises(AssertionError, match="here"):
                session.run(Block("here", "sh", text.replace(" :8000", " http://127.0.0.1:8000"), None))
        with pytest.raises(AssertionError, match="no 'mood'"):
            session.run(Block("here", "json", '{"results": [{"mood": "happy"}]}', None))
        session.run(Block("here", "sh", "curl http://127.0.0.1:8000/readyz\n", None))
