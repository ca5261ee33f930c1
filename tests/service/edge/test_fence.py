import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from service.edge.fence import Fence, is_loopback
from service.edge.logs import RequestLog


async def inside(_: Request) -> PlainTextResponse:
    return PlainTextResponse("inside")


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = Starlette(routes=[Route("/", inside, methods=["GET", "POST"])])
    return TestClient(RequestLog(Fence(app)))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:80", "127.9.9.9", "[::1]:8000"]
)
def test_this_machine_may(client: TestClient, host: str) -> None:
    assert client.post("/", headers={"host": host}).text == "inside"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8000",
        "192.168.0.10:8000",
        "0.0.0.0",
        "127.0.0.1@evil.example",
        "[::ffff:8.8.8.8]",
        "[::1",
        "",
        "2130706433",  # 127.0.0.1 as one number: browsers resolve it, we need not
    ],
)
def test_a_name_rebound_to_this_machine_may_not(client: TestClient, host: str) -> None:
    answer = client.post("/", headers={"host": host})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "forbidden"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "origin", ["http://localhost:8000", "https://localhost:8000", "HTTP://LOCALHOST:8000"]
)
def test_its_own_page_may(client: TestClient, origin: str) -> None:
    assert client.post("/", headers={"host": "localhost:8000", "origin": origin}).text == "inside"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost:8001",  # another program of this machine, perhaps showing a stranger's page
        "http://localhost",
        "file://",
        "http://localhost:8000.evil.example",
        "",
    ],
)
def test_pages_of_other_origins_may_not(client: TestClient, origin: str) -> None:
    assert client.post("/", headers={"host": "localhost:8000", "origin": origin}).status_code == 403


def test_one_foreign_origin_among_several_is_enough(client: TestClient) -> None:
    headers = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "https://evil.example")]
    assert client.post("/", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("", False)],
)
def test_addresses_to_listen_on(host: str, own: bool) -> None:
    assert is_loopback(host) is own


@pytest.fixture(scope="module")
def keyed() -> TestClient:
    """As a server with keys has it, for whom one foreign origin is listed."""
    app = Starlette(routes=[Route("/", inside, methods=["GET", "POST", "PATCH", "DELETE", "OPTIONS"])])
    return TestClient(RequestLog(Fence(app, keyless=False, origins=["https://panel.example"])))


HOSTS = ["music.example", "music.example:8443", "192.168.0.10:8000", "[2001:db8::1]:8000", "localhost"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "OPTIONS"])
def test_with_keys_any_host_and_its_own_page_may(keyed: TestClient, host: str, method: str) -> None:
    for headers in ({}, {"origin": f"https://{host}"}, {"origin": f"http://{host}".upper()}):
        assert keyed.request(method, "/", headers={"host": host, **headers}).text == "inside"


FOREIGN = [
    "https://evil.example",
    "null",
    "",
    "https://sub.music.example",
    "https://music.example.evil.example",
    "https://example",
    "https://music.example:444",
    "https://music.example@evil.example",
    "ftp://music.example",
    "https://panel.example:444",
    "https://sub.panel.example",
    "http://panel.example",
    "*",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_with_keys_a_foreign_page_may_change_nothing(keyed: TestClient, origin: str) -> None:
    headers = {"host": "music.example", "origin": origin}
    for method in ("POST", "PATCH", "DELETE", "OPTIONS"):
        answer = keyed.request(method, "/", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert keyed.get("/", headers=headers).text == "inside"  # for want of a key it reads nothing


@pytest.mark.parametrize("origin", ["https://panel.example", "HTTPS://Panel.Example"])
def test_a_listed_origin_may(keyed: TestClient, origin: str) -> None:
    assert keyed.post("/", headers={"host": "music.example", "origin": origin}).text == "inside"


@pytest.mark.parametrize(("keyless", "status"), [(True, 403), (False, 200)])
def test_a_request_without_a_host_is_nobodys_here_and_anybodys_with_keys(keyless: bool, status: int) -> None:
    """HTTP/1.0 knows no Host."""
    app = Fence(Starlette(routes=[Route("/", inside, methods=["POST"])]), keyless=keyless)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == status
