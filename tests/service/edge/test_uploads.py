import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from service import errors
from service.edge import uploads
from service.edge.uploads import receive

MAX_BYTES = 6_000_000


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    errors.install(app)

    @app.post("/")
    async def take(request: Request) -> dict[str, object]:
        with (upload := await receive(request, MAX_BYTES)).file:
            seen = upload.path.read_bytes()
            name = upload.path.readlink().name
            digest = hashlib.sha256(seen).hexdigest()
            assert len(seen) == upload.size_bytes
            assert digest == upload.sha256
            return {"sha256": digest, "options": upload.options, "deleted": name.endswith("(deleted)")}

    return TestClient(app)


def noise(size: int) -> bytes:
    return hashlib.shake_256(b"video").digest(size)


@pytest.mark.parametrize("size", [1, 1000, 1 << 20, (1 << 20) + 1, 4 << 20, (4 << 20) + 1, MAX_BYTES])
def test_the_same_bytes_arrive_either_way(client: TestClient, size: int) -> None:
    video = noise(size)
    raw = client.post("/", content=video).json()
    form = client.post("/", files={"video": ("secret-product.mp4", video)}, data={"options": "{}"}).json()
    digest = hashlib.sha256(video).hexdigest()
    assert raw == {"sha256": digest, "options": None, "deleted": True}
    assert form == {"sha256": digest, "options": "{}", "deleted": True}


def test_curl_without_a_content_type_of_its_own_sends_a_raw_body(client: TestClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}  # what curl --data-binary says
    assert client.post("/", content=b"a=b", headers=headers).status_code == 200


@pytest.mark.parametrize("form", [True, False])
def test_nothing_is_empty(client: TestClient, form: bool) -> None:
    answer = client.post("/", files={"video": ("a.mp4", b"")}) if form else client.post("/", content=b"")
    assert (answer.status_code, answer.json()["code"]) == (422, "empty_body")


@pytest.mark.parametrize("form", [True, False])
def test_one_byte_too_many(client: TestClient, form: bool) -> None:
    video = noise(MAX_BYTES + 1)
    answer = client.post("/", files={"video": ("a.mp4", video)}) if form else client.post("/", content=video)
    assert (answer.status_code, answer.json()["code"]) == (413, "video_too_large")


def test_an_announced_giant_is_refused_unread(client: TestClient) -> None:
    headers = {"content-length": str(10**12), "content-type": "video/mp4"}
    assert client.post("/", content=b"x", headers=headers).status_code == 413


def test_an_endless_body_is_refused_soon_and_leaves_no_file(client: TestClient) -> None:
    drawn = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal drawn
        while True:
            drawn += 1
            yield bytes(100_000)

    scope = {"type": "http", "method": "POST", "headers": [], "path": "/", "query_string": b""}
    source = endless()

    async def receive_message() -> dict[str, object]:
        return {"type": "http.request", "body": await anext(source), "more_body": True}

    async def draw() -> None:
        await receive(Request(scope, receive_message), MAX_BYTES)

    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(uploads.VideoTooLarge):
        asyncio.run(draw())
    assert drawn == MAX_BYTES // 100_000 + 1
    assert (set(Path("/proc/self/fd").iterdir()) - before) == set()


def test_a_disk_without_room_for_a_body_is_said_and_leaves_no_file(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[IO[bytes]] = []

    def full() -> IO[bytes]:  # the kernel itself refuses to write there
        opened.append(Path("/dev/full").open("w+b"))  # noqa: SIM115  # whether ours closes it is asked
        return opened[-1]

    monkeypatch.setattr(uploads, "TemporaryFile", full)
    answer = client.post("/", content=noise(MAX_BYTES))
    assert (answer.status_code, answer.json()["code"]) == (503, "not_stored")
    packets = iter(
        [bytes(4 << 20), bytes(1 << 20)]
    )  # the first fits into memory and is moved with the second

    async def receive_message() -> dict[str, object]:
        return {"type": "http.request", "body": next(packets), "more_body": True}

    scope = {"type": "http", "method": "POST", "headers": [], "path": "/", "query_string": b""}
    with pytest.raises(OSError, match="No space left"):
        asyncio.run(receive(Request(scope, receive_message), MAX_BYTES))
    assert [file.closed for file in opened] == [True, True]


@pytest.mark.parametrize(
    ("files", "data", "named"),
    [
        ({"video": (None, b"cut.mp4")}, {}, "-F video=@FILE"),  # curl -F video=cut.mp4, the @ forgotten
        ({"film": ("a.mp4", b"x")}, {}, "film"),
        ({"video": ("a.mp4", b"x"), "options": ("o.json", b"{}")}, {}, "options"),
        ({"video": ("a.mp4", b"x")}, {"top_k": "3"}, "top_k"),
        ({"video": ("a.mp4", b"x")}, {"options": ["{}", "{}"]}, "twice"),
        ({"video": ("a.mp4", b"x")}, {"options": "x" * 70_000}, "form"),
    ],
)
def test_a_form_with_other_fields_is_refused(
    client: TestClient, files: dict[str, tuple[str | None, bytes]], data: dict[str, str], named: str
) -> None:
    answer = client.post("/", files=files, data=data)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
    assert named in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"--x\r\n", b"nonsense", b"--x\r\nContent-Disposition: form-data\r\n\r\nz\r\n--x--"]
)
def test_a_broken_form_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 422
    no_boundary = client.post("/", content=body, headers={"content-type": "multipart/form-data"})
    assert no_boundary.status_code == 422


def test_a_route_without_json_says_so(client: TestClient) -> None:
    answer = client.post(
        "/", content=json.dumps({"frames": []}), headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")


def test_a_client_that_leaves_in_the_middle_harms_nobody(client: TestClient) -> None:
    messages = iter(
        [{"type": "http.request", "body": b"x" * 10, "more_body": True}, {"type": "http.disconnect"}]
    )
    sent: list[dict[str, object]] = []

    async def receive_message() -> dict[str, object]:
        return next(messages)

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"video/mp4")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": b"",
        "headers": headers,
        "root_path": "",
    }
    asyncio.run(client.app(scope | {"http_version": "1.1"}, receive_message, send))
    assert sent[0]["status"] == 499


def test_no_file_has_a_name(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = client.post("/", content=b"".join([bytes(100_000)] * 25))
    assert answer.status_code == 200
    assert list(tmp_path.iterdir()) == []


PART = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"".join(PART % (b"f%d" % i, b"", b"1") for i in range(5)),
        b"".join(PART % (b"f%d" % i, b'; filename="a"', b"1") for i in range(3)),
        b"--x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\nz\r\n",
        b"--x\r\nX: " + b"y" * 100_000 + b"\r\n\r\nz\r\n",
        b'--x\r\nContent-Disposition: form-data; name="' + b"n" * 100_000 + b'"\r\n\r\nz\r\n',
        b'--x\r\nContent-Disposition: form-data; name="video"; filename="'
        + b"n" * 100_000
        + b'"\r\n\r\nz\r\n',
        b"--x\r\n" * 20_000,
    ],
    ids=["fields", "files", "headers", "header", "name", "file name", "boundaries"],
)
def test_forms_of_many_or_giant_parts_are_refused(client: TestClient, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/", content=body + b"--x--", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
    assert len(answer.content) < 1000


def test_what_surrounds_the_video_in_a_form_is_counted_too(client: TestClient) -> None:
    """A video of the right size, and megabytes before its first and behind its last boundary."""
    part = PART % (b"video", b'; filename="a"', b"1") + b"--x--"
    headers = {"content-type": "multipart/form-data; boundary=x"}
    for body in (bytes(MAX_BYTES + 200_000) + b"\r\n" + part, part + b"\r\n" + bytes(MAX_BYTES + 200_000)):
        answer = client.post("/", content=body, headers=headers)
        assert answer.status_code in (413, 422)


KILLED = """
import asyncio, os, signal, sys, tempfile
from starlette.requests import Request
from service.edge.uploads import receive
tempfile.tempdir = sys.argv[1]
sent = 0
async def receive_message():
    global sent
    sent += 1
    if sent == 30:
        os.kill(os.getpid(), signal.SIGKILL)
    start = b'--x\\r\\nContent-Disposition: form-data; name="video"; filename="a"\\r\\n\\r\\n'
    return {"type": "http.request", "body": (start if sent == 1 else b"") + bytes(100_000), "more_body": True}
scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"",
         "headers": [(b"content-type", sys.argv[2].encode())]}
asyncio.run(receive(Request(scope, receive_message), 10_000_000))
"""


@pytest.mark.parametrize("kind", ["video/mp4", "multipart/form-data; boundary=x"])
def test_a_server_that_is_killed_in_the_middle_leaves_no_file(tmp_path: Path, kind: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), kind], check=False, timeout=60)
    assert done.returncode == -9
    assert list(tmp_path.iterdir()) == []
