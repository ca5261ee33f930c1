import email.utils
from pathlib import Path

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from service import errors
from service.edge.ranges import byte_range, file_answer

DATA = bytes(range(256)) * 4000  # 1,024,000 bytes: several chunks


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    path: Path = tmp_path_factory.mktemp("media") / "preview.m4a"
    path.write_bytes(DATA)
    app = FastAPI()
    errors.install(app)

    @app.api_route("/file", methods=["GET", "HEAD"])
    def file(request: Request) -> Response:
        return file_answer(request, path, "audio/mp4")

    @app.get("/none")
    def none(request: Request) -> Response:
        return file_answer(request, path.with_name("none"), "audio/mp4")

    return TestClient(app)


def test_the_whole_file(client: TestClient) -> None:
    answer = client.get("/file")
    assert (answer.status_code, answer.content) == (200, DATA)
    assert answer.headers["content-type"] == "audio/mp4"
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=1-", slice(1, None)),
        ("bytes=-1", slice(-1, None)),
        ("bytes=-9999999", slice(0, None)),
        ("bytes=300000-700000", slice(300_000, 700_001)),
        ("bytes=1000-99999999", slice(1000, None)),
    ],
)
def test_a_part_is_that_slice_of_the_file(client: TestClient, header: str, part: slice) -> None:
    answer = client.get("/file", headers={"Range": header})
    first, end, _ = part.indices(len(DATA))
    assert answer.status_code == 206
    assert answer.content == DATA[part]
    assert answer.headers["content-range"] == f"bytes {first}-{end - 1}/{len(DATA)}"
    assert answer.headers["content-length"] == str(end - first)


@pytest.mark.parametrize("header", ["bytes=1024000-", "bytes=2000000-2000001", "bytes=-0"])
def test_a_part_outside_is_416_and_says_the_size(client: TestClient, header: str) -> None:
    answer = client.get("/file", headers={"Range": header})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(DATA)}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=5-2",
        "bytes=-",
        "lines=1-2",
        "bytes=0-1,5-6",
        "bytes=a-b",
        "x",
        *(
            pytest.param(form.replace("N", "9" * 5000), id=form)
            for form in ("bytes=0-N", "bytes=N-", "bytes=-N")
        ),
    ],
)
def test_what_is_no_single_byte_range_is_ignored(client: TestClient, header: str) -> None:
    assert client.get("/file", headers={"Range": header}).status_code == 200


def test_a_known_file_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/file").headers["etag"]
    for sent in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = client.get("/file", headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert client.get("/file", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_range_of_another_version_gives_the_whole_file(client: TestClient) -> None:
    etag = client.get("/file").headers["etag"]
    assert client.get("/file", headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    stale = email.utils.formatdate(0, usegmt=True)
    for sent in ('"other"', stale):
        assert client.get("/file", headers={"Range": "bytes=0-9", "If-Range": sent}).status_code == 200


def test_head_says_the_size_and_sends_nothing(client: TestClient) -> None:
    answer = client.head("/file")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(DATA))


def test_a_missing_file_is_not_found(client: TestClient) -> None:
    answer = client.get("/none")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@given(st.integers(0, 50), st.integers(0, 60), st.integers(0, 60))
def test_every_range_is_what_the_slice_says(size: int, first: int, last: int) -> None:
    whole = bytes(size)
    header = f"bytes={first}-{last}"
    if last < first:
        assert byte_range(header, size) is None
    elif not whole[first : last + 1]:
        with pytest.raises(HTTPException):
            byte_range(header, size)
    else:
        begin, end = byte_range(header, size) or (0, 0)
        assert (begin, end - begin) == (first, len(whole[first : last + 1]))


def test_an_answer_that_nobody_reads_holds_no_file_open(tmp_path: Path) -> None:
    path = tmp_path / "preview.m4a"
    path.write_bytes(DATA)
    scope = {"type": "http", "method": "GET", "headers": []}
    answer = file_answer(Request(scope), path, "audio/mp4")  # the player may be gone before the first byte
    held = [Path(link).resolve() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert answer.status_code == 200
    assert path.resolve() not in held
