"""A small hub on 127.0.0.1 that answers huggingface_hub 2.4 as the real one does: info, files, requests."""

import hashlib
import json
import struct
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.backbones.catalogue import BACKBONES
from model.hub.remote import COMMIT

LARGE = (".safetensors", ".bin", ".onnx", ".msgpack")  # kept in large-file storage
Files = dict[str, bytes]


def safetensors(values: int = 500, seed: int = 0) -> bytes:
    """A file of one tensor, by the format's own description."""
    data = np.random.default_rng(seed).standard_normal(values).astype("<f4").tobytes()
    header = json.dumps({"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, len(data)]}}).encode()
    return struct.pack("<Q", len(header)) + header + data


@dataclass
class Repo:
    """What one repository holds."""

    commits: dict[str, Files] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    licence: str | list[str] | None = "apache-2.0"
    requests: list[dict[str, Any]] = field(default_factory=list)  # pull requests
    gated: bool = False  # to all but the token "good"

    def commit(
        self, files: Files, ref: str = "main", on: str | None = None, revision: str | None = None
    ) -> str:
        """Add a commit, named as git does by what is in it and under it, or as the catalogue knows it."""
        text = repr((sorted((name, hashlib.sha1(data).hexdigest()) for name, data in files.items()), on))
        revision = revision or hashlib.sha1(text.encode()).hexdigest()
        self.commits[revision], self.refs[ref] = files, revision
        self.parents[revision] = [on, *self.parents[on]] if on else []
        return revision

    def propose(self, files: Files, on: str, **facts: Any) -> str:
        """Add a pull request, by default the bot's."""
        number = len(self.requests) + 1
        usual = {
            "author": "SFconvertbot",
            "title": "Adding `safetensors` variant of this model",
            "status": "open",
        }
        self.requests.append({"num": number, **usual, **facts})
        return self.commit(files, f"refs/pr/{number}", on)


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that goes away is what half of these tests are about."""


class FakeHub:
    """The server; its knobs break what it serves, and `log` says what it was asked."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.log: list[tuple[str, str, dict[str, str]]] = []  # method, path, headers in lower case
        self.cuts: dict[str, list[int]] = {}  # file name: break its next answers off after so many bytes
        self.instead: dict[str, bytes] = {}  # file name: other bytes than those that are listed
        self.parts = True  # does it know Range
        self.status: dict[str, int] = {}  # a part of the path: what to answer
        self.page: dict[str, bytes] = {}  # the same, with this body and 200
        self.listed: Callable[[dict[str, Any]], None] = lambda _info: None  # changes what the API says
        self.held = threading.Event()  # set: an answer that is cut stays open until `release`
        self.release = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def do_HEAD(self) -> None:
                hub.answer(self)

            def log_message(self, *_: Any) -> None:
                """Not on standard error."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def asked(self, part: str) -> list[dict[str, str]]:
        """Headers of the requests whose path has this in it."""
        return [headers for _, path, headers in self.log if part in path]

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in to.headers.items()}
        self.log.append((to.command, to.path, headers))
        address = urllib.parse.urlsplit(to.path)
        for part, status in self.status.items():
            if part in to.path:
                return send(to, status, b"")
        for part, body in self.page.items():
            if part in to.path:
                return send(to, 200, body, {"Content-Type": "text/html"})
        words = address.path.strip("/").split("/")
        if words[0] == "cdn":
            return self._bytes(to, headers, bytes.fromhex(words[1]), words[2])
        name = "/".join(words[2:4] if words[:2] == ["api", "models"] else words[:2])
        repo = self.repos.get(name)
        if repo is None:
            return send(to, 404, b"", {"X-Error-Code": "RepoNotFound"})
        if words[0] == "api":
            return self._api(to, name, repo, words[4:])
        return self._resolve(to, headers, repo, words[3:])

    def _api(self, to: BaseHTTPRequestHandler, name: str, repo: Repo, words: list[str]) -> None:
        if words[:1] == ["discussions"]:
            repository = {"name": name, "type": "model"}
            found = [
                each
                | {"author": {"name": each["author"]}, "createdAt": "2024-01-01T00:00:00.000Z"}
                | {"isPullRequest": True, "repo": repository}
                for each in repo.requests
            ]
            return send_json(to, {"count": len(found), "start": 0, "discussions": found})
        asked = urllib.parse.unquote(words[1]) if words else "main"
        revision = repo.refs.get(asked, asked)
        if revision not in repo.commits:
            return send(to, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        if words[:1] == ["commits"]:
            history = [revision, *repo.parents[revision]]
            return send_json(to, [{"id": each, "title": "", "authors": []} for each in history])
        siblings = [described(name, data) for name, data in repo.commits[revision].items()]
        info = {"id": name, "sha": revision, "siblings": siblings, "tags": [], "private": False}
        info["cardData"] = {"license": repo.licence} if repo.licence else None
        self.listed(info)
        return send_json(to, info)

    def _resolve(
        self, to: BaseHTTPRequestHandler, headers: dict[str, str], repo: Repo, words: list[str]
    ) -> None:
        revision, name = urllib.parse.unquote(words[0]), "/".join(words[1:])
        if repo.gated and headers.get("authorization") != "Bearer good":
            return send(
                to, 401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"}
            )
        data = repo.commits.get(repo.refs.get(revision, revision), {}).get(name)
        if data is None:
            return send(to, 404, b"", {"X-Error-Code": "EntryNotFound"})
        if name.endswith(LARGE):
            digest = hashlib.sha256(data).hexdigest()
            target = f"http://localhost:{self.port}/cdn/{digest}/{name}"  # another host, as the real one's
            more = {
                "X-Repo-Commit": revision,
                "X-Linked-Size": str(len(data)),
                "X-Linked-Etag": f'"{digest}"',
            }
            return send(to, 302, b"", {"Location": target, **more})
        return self._send_file(
            to, headers, name, data, {"X-Repo-Commit": revision, "ETag": f'"{git_sha1(data)}"'}
        )

    def _bytes(self, to: BaseHTTPRequestHandler, headers: dict[str, str], digest: bytes, name: str) -> None:
        everything = (
            data for repo in self.repos.values() for files in repo.commits.values() for data in files.values()
        )
        data = next(data for data in everything if hashlib.sha256(data).digest() == digest)
        self._send_file(to, headers, name, data, {"ETag": f'"{digest.hex()}"'})

    def _send_file(
        self,
        to: BaseHTTPRequestHandler,
        headers: dict[str, str],
        name: str,
        data: bytes,
        more: dict[str, str],
    ) -> None:
        data = self.instead.get(name, data)
        status, start = 200, 0
        if self.parts and "range" in headers:
            start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                return send(to, 416, b"", {"Content-Range": f"bytes */{len(data)}"})
            status, more = 206, more | {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        cut = self.cuts[name].pop(0) if self.cuts.get(name) else None
        send(to, status, data[start:], more, cut)
        if cut is not None:
            if self.held.is_set():
                self.release.wait(200)
            to.close_connection = True
            to.connection.close()


def send(
    to: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    cut: int | None = None,
) -> None:
    to.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
        to.send_header(name, value)
    to.end_headers()
    if to.command != "HEAD":
        to.wfile.write(body[:cut])
        to.wfile.flush()


def send_json(to: BaseHTTPRequestHandler, value: Any) -> None:
    send(to, 200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def described(name: str, data: bytes) -> dict[str, Any]:
    """A file as the API lists it with `blobs=True`."""
    entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
    if name.endswith(LARGE):
        sha256 = hashlib.sha256(data).hexdigest()
        pointer = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
        )
        entry |= {"blobId": git_sha1(pointer)}
        entry["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": len(pointer)}
    return entry


@pytest.fixture
def fake_hub() -> Iterator[FakeHub]:
    """A hub that has the three repositories of the catalogue, with small files of the right names."""
    hub = FakeHub()
    for seed, spec in enumerate(BACKBONES.values()):
        repo = hub.repos[spec.source.repo] = Repo(licence=spec.source.licence)
        files = {name: b'{"of": "%s"}' % spec.name.encode() for name in spec.source.files}
        files |= {"README.md": b"# a card", "../../evil.json": b"{}", "/evil.txt": b"evil"}
        files |= {"model.safetensors": safetensors(20_000, seed), "pytorch_model.bin": b"\x80\x04."}
        pinned = spec.source.revision
        repo.commit(files, revision=pinned if COMMIT.fullmatch(pinned) else None)
    yield hub
    hub.close()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture(scope="session")
def tensors() -> Callable[..., bytes]:
    """`tensors(values=500, seed=0)`: the bytes of a small safetensors file."""
    return safetensors
