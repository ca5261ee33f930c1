"""What a browser is told beside the answer, and who may read it across origins."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.errors import BadOptions
from service.app import create_app
from service.edge.headers import HEADERS
from service.settings import Settings, read_settings

HOST = "http://127.0.0.1:8000"
PANEL = "https://panel.example"
EVERY_ANSWER = [
    ("GET", "/livez", 200),
    ("GET", "/v1/tracks", 200),
    ("GET", "/v1/tracks/alpha/audio", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/docs", 200),
    ("GET", "/", 200),
    ("GET", "/page/app.js", 200),
    ("GET", "/none", 404),
    ("DELETE", "/v1/tracks", 405),
    ("POST", "/recommend", 422),
]


@pytest.mark.parametrize(("method", "path", "status"), EVERY_ANSWER)
def test_every_answer_has_them(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert name in answer.headers
        if name not in ("Content-Security-Policy", "Cache-Control"):
            assert answer.headers.get_list(name) == [value]
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


def test_refusals_outside_of_the_routes_have_them(client: TestClient) -> None:
    answer = client.get("/v1/tracks", headers={"Host": "evil.example"})
    assert answer.status_code == 403
    assert set(map(str.lower, HEADERS)) <= set(answer.headers)


def test_an_unforeseen_error_has_them_too(built_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(Settings(store=built_store))
    with TestClient(app, base_url=HOST, raise_server_exceptions=False) as client:
        monkeypatch.setattr(app.state.parts.current, "peek", lambda: 1 / 0)
        answer = client.get("/version")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert set(map(str.lower, HEADERS)) <= set(answer.headers)
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_what_states_rights_is_not_kept_and_media_may_be_asked_for_again(client: TestClient) -> None:
    for path in ("/v1/tracks", "/v1/tracks/alpha", "/v1/tracks/alpha/eligibility", "/v1/facets"):
        assert client.get(path).headers["cache-control"] == "no-store"
    audio = client.get("/v1/tracks/alpha/audio")
    assert audio.headers["cache-control"] == "private, no-cache"
    again = client.get("/v1/tracks/alpha/audio", headers={"If-None-Match": audio.headers["etag"]})
    assert again.status_code == 304


def test_the_policy_of_the_docs_names_what_is_in_them(client: TestClient) -> None:
    """The oracle: hashes by the shell's own tools would be the same; a changed script needs another one."""
    import base64

    page = client.get("/docs")
    policy = page.headers["content-security-policy"]
    for tag in ("script", "style"):
        inline = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", page.text, re.DOTALL)
        assert len(inline) == 1
        digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"\son\w+=|\sstyle=", page.text.split("<script>")[0])


@pytest.fixture(scope="module")
def listed(built_store: Path) -> Iterator[TestClient]:
    keys = {"editor": {"sha256": hashlib.sha256(b"one").hexdigest(), "scopes": ["recommend", "catalogue"]}}
    settings = Settings.model_validate(
        {"store": built_store, "host": "0.0.0.0", "keys": keys, "cors_origins": (PANEL,)}
    )
    with TestClient(create_app(settings), base_url="http://music.example") as client:
        yield client


def preflight(client: TestClient, origin: str, method: str = "POST", headers: str = "x-api-key") -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }
    return client.options("/recommend", headers=asked)


def test_cross_origin_reading_is_off(client: TestClient) -> None:
    answer = client.get("/v1/tracks", headers={"Origin": HOST})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert preflight(client, PANEL).status_code == 403


def test_a_listed_origin_may_ask_and_read_without_cookies(listed: TestClient) -> None:
    allowed = preflight(listed, PANEL)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == PANEL
    answer = listed.get("/v1/tracks", headers={"Origin": PANEL, "X-API-Key": "one"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, PANEL)
    assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    refused = listed.post("/recommend", headers={"Origin": PANEL})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PANEL)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{PANEL}:444", "https://x.panel.example"]
)
def test_no_other_origin_may(listed: TestClient, origin: str) -> None:
    for answer in (
        preflight(listed, origin),
        listed.post("/recommend", headers={"Origin": origin, "X-API-Key": "one"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers
    read = listed.get("/v1/tracks", headers={"Origin": origin, "X-API-Key": "one"})
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize(
    "origin", ["*", "https://panel.example/", "panel.example", "https://Panel.example", "https://a b", ""]
)
def test_what_is_no_origin_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(BadOptions, match="YUYIN_CORS_ORIGINS"):
        read_settings(cors_origins=(origin,))
    for fine in (PANEL, "http://localhost:3000", "null", "http://[::1]:3000", "app://panel"):
        assert read_settings(cors_origins=(fine,)).cors_origins == (fine,)
