"""`yuyin recommend --server` against servers that are none of ours, or break."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from yuyin.cli import main

Answer = tuple[int, dict[str, str], bytes]
Say = Callable[[Answer | None], str]


@pytest.fixture
def seen() -> list[tuple[str, str | None]]:
    """(method, Authorization) of every request."""
    return []


@pytest.fixture
def say(seen: list[tuple[str, str | None]]) -> Iterator[Say]:
    """Starts a server that gives every request one answer, or hangs up; returns its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer | None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                seen.append((self.command, self.headers["Authorization"]))
                self.rfile.read(int(self.headers["Content-Length"] or 0))
                if answer is None:
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Not into the test's output."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,)).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], str]:
    """What the command says of a server, on one line; it prints nothing else and exits with 2."""

    def recommend(server: str) -> str:
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(b"a cut")
        words = ["yuyin", "recommend", str(cut), "--server", server, "--key", "SECRET"]
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        out, told = capsys.readouterr()
        assert (ended.value.code, out) == (2, "")
        return " ".join(told.split())

    return recommend


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {}, b"<html>"), "not as a YuYin server does"),
        ((200, {}, b'{"results": 1}'), "not as a YuYin server does"),
        ((200, {"Content-Length": "100"}, b"{"), "does not answer"),
        ((502, {}, b"[]"), "answered 502"),
        ((502, {}, b"<html>"), "answered 502"),
        ((502, {"Content-Length": "100"}, b"{"), "answered 502"),
        ((404, {}, b'{"code": "not_found", "detail": "no such thing"}'), "not_found: no such thing"),
        (None, "does not answer"),
    ],
)
def test_whatever_comes_is_one_sentence(
    say: Say, complaint: Callable[[str], str], answer: Answer | None, said: str
) -> None:
    assert said in complaint(say(answer))


def test_a_key_goes_nowhere_else(
    say: Say, complaint: Callable[[str], str], seen: list[tuple[str, str | None]]
) -> None:
    other = f"{say((200, {}, b'{}'))}/v1/recommend"
    told = complaint(say((302, {"Location": other}, b"")))
    assert other in told.replace(" ", "")
    assert seen == [("POST", "Bearer SECRET")]
