"""Keys that change while the server runs; every attempt goes through HTTP, against the app itself."""

import hashlib
import json
import logging
import os
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.edge.keybook import Keybook
from service.edge.keys import load_keys
from service.settings import Settings

HOST = "http://127.0.0.1:8000"
LATEST_S = 5.0  # of a single change


def facts(key: str, *scopes: str, **more: Any) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": list(scopes), **more}


def write(file: Path, entries: dict[str, Any] | str) -> None:
    """As an editor does it, in place."""
    file.write_text(entries if isinstance(entries, str) else json.dumps(entries))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "keys.json", {"editor": facts("one", "recommend"), "ops": facts("two", "admin")})
    return tmp_path / "keys.json"


@pytest.fixture
def book(file: Path) -> Keybook:
    settings = Settings(keys_file=file)
    return Keybook(settings, load_keys(settings))


def test_keys_are_swapped_whole(book: Keybook, file: Path) -> None:
    before = book.ring
    book.follow()
    write(file, {"editor": facts("three", "recommend")})
    book.follow()
    assert {name: each.sha256 for name, each in book.ring.entries.items()} == {
        "editor": hashlib.sha256(b"three").hexdigest()
    }
    assert set(before.entries) == {"editor", "ops"}  # whoever held the ring goes on with it
    assert book.refused is None


@pytest.mark.parametrize(
    "broken",
    ["", "{", "[]", "null", '{"a": 1}', '{"editor": {"sha256": "0"}}', "gone", "a folder", '{"a": {}}'],
)
def test_a_broken_file_keeps_the_keys_and_says_so_once(
    book: Keybook, file: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = book.ring
    if broken in ("gone", "a folder"):
        file.unlink()
        if broken == "a folder":
            file.mkdir()
    else:
        write(file, broken)
    with caplog.at_level(logging.ERROR, "yuyin.service"):
        for _ in range(3):
            book.follow()
    assert book.ring is before
    assert book.refused is not None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    if file.is_dir():
        file.rmdir()
    write(file, {"late": facts("late", "admin")})
    book.follow()
    assert (set(book.ring.entries), book.refused) == ({"late"}, None)


def test_a_file_that_is_put_back_as_it_was_is_no_longer_refused(book: Keybook, file: Path) -> None:
    book.follow()
    text = file.read_text()
    write(file, "half of i")
    book.follow()
    assert book.refused is not None
    write(file, text)
    book.follow()
    assert book.refused is None


def test_a_change_within_one_tick_of_the_clock_is_seen(book: Keybook, file: Path) -> None:
    """The same size, the same times, the same inode: only the bytes differ."""
    book.follow()
    at = file.stat()
    write(file, {"editor": facts("uno", "recommend"), "ops": facts("due", "admin")})
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (at.st_size, at.st_mtime_ns)
    book.follow()
    assert book.ring.caller("uno") == "editor"


def test_a_file_without_a_key_locks_and_never_opens(book: Keybook, file: Path) -> None:
    write(file, {})
    book.follow()
    assert book.ring
    assert dict(book.ring.entries) == {}


@pytest.fixture
def served(built_store: Path, file: Path) -> Iterator[TestClient]:
    settings = Settings(store=built_store, host="0.0.0.0", keys_file=file)
    with TestClient(create_app(settings), base_url=HOST) as client:
        yield client


def status(client: TestClient, key: str) -> int:
    return int(client.get("/admin/snapshots", headers={"X-API-Key": key}).status_code)


def test_a_server_takes_the_new_keys_and_drops_the_old_within_a_second(
    served: TestClient, file: Path, until: Callable[..., float]
) -> None:
    """Judged by the middle one of several changes: the machine may have other work during any of them."""
    assert (status(served, "two"), status(served, "three")) == (200, 401)
    aside = file.with_name("aside")
    write(aside, {"ops": facts("three", "admin")})
    aside.replace(file)
    took_s = [until(lambda: status(served, "two") == 401, LATEST_S)]
    assert status(served, "three") == 200

    write(file, "{broken")
    took_s.append(until(lambda: served.get("/readyz").json()["status"] == "degraded", LATEST_S))
    ready = served.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["parts"]["keys"].startswith("refused")
    assert str(file) not in ready.text
    assert status(served, "three") == 200

    write(file, {})
    took_s.append(until(lambda: status(served, "three") == 401, LATEST_S))
    for key in ("one", "two", "three", ""):
        assert status(served, key) == 401
    assert served.get("/admin/snapshots").status_code == 401
    assert served.get("/readyz").json()["parts"]["keys"] == "ok"
    assert statistics.median(took_s) < 1.0, took_s


def test_attacks_over_http(served: TestClient) -> None:
    def of(**given: Any) -> Any:
        return served.get("/admin/snapshots", **given)

    assert of(headers={"Authorization": "Bearer two"}).status_code == 200
    refused: list[Any] = [
        of(params={name: "two"}) for name in ("api_key", "key", "x-api-key", "token", "access_token")
    ]
    wrong: list[list[tuple[str, Any]]] = [
        [("X-API-Key", "tw")],
        [("X-API-Key", "two two")],
        [("X-API-Key", "two\x00")],
        [("X-API-Key", "two,two")],
        [("X-API-Key", "x" * 30_000)],
        [("X-API-Key", "twö".encode())],
        [("X-API-Key", b"\xff\xfe")],
        [("X-API-Key", "")],
        [("X-API-Key", "two"), ("X-API-Key", "wrong")],
        [("X-API-Key", "wrong"), ("X-API-Key", "two")],
        [("X-API-Key", "two"), ("Authorization", "Bearer wrong")],
        [("X-API-Key", "wrong"), ("Authorization", "Bearer two")],
        [("Authorization", "Bearer two"), ("Authorization", "Bearer wrong")],
        [("Authorization", "Basic two")],
        [("Authorization", "two")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer \t")],
        [("Cookie", "X-API-Key=two")],
    ]
    refused += [of(headers=headers) for headers in wrong]
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), answer.request.headers
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "two" not in answer.text
    forbidden = of(headers={"X-API-Key": "one"})
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "forbidden")
