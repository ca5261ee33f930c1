import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.errors import BadOptions
from service import errors
from service.app import create_app
from service.settings import Settings

HOST = "http://127.0.0.1:8000"
KEYS = {"editor": "recommend", "music": "catalogue", "operator": "admin"}
# what each scope opens; every other route is in OPEN or ANY_KEY
GUARDED = {
    ("get", "/v1/samples"): "recommend",
    ("get", "/v1/samples/{name}"): "recommend",
    ("get", "/v1/facets"): "recommend or catalogue",
    ("post", "/v1/media-links"): "recommend or catalogue",
    ("post", "/recommend"): "recommend",
    ("post", "/v1/recommend"): "recommend",
    ("post", "/v1/feedback"): "recommend",
    ("get", "/v1/tracks"): "catalogue",
    ("get", "/v1/tracks/{track_id}"): "catalogue",
    ("get", "/v1/tracks/{track_id}/audio"): "catalogue",
    ("get", "/v1/tracks/{track_id}/peaks"): "catalogue",
    ("get", "/v1/tracks/{track_id}/eligibility"): "catalogue",
    ("patch", "/admin/tracks/{track_id}"): "admin",
    ("post", "/v1/uploads"): "recommend",
    ("get", "/v1/uploads/{upload_id}"): "recommend",
    ("delete", "/v1/uploads/{upload_id}"): "recommend",
    ("get", "/v1/jobs/{job_id}"): "recommend or admin",
    ("get", "/v1/jobs/{job_id}/events"): "recommend or admin",
    ("delete", "/v1/jobs/{job_id}"): "recommend or admin",
    ("post", "/admin/reindex"): "admin",
    ("get", "/admin/snapshots"): "admin",
    ("get", "/metrics"): "admin",
    ("post", "/admin/snapshots/{snapshot_id}/activate"): "admin",
}
ANY_KEY = {("get", "/version")}
OPEN = {("get", "/livez"), ("get", "/readyz")}


@pytest.fixture(scope="module")
def guarded(built_store: Path) -> Any:
    keys = {
        name: {"sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": [scope]}
        for name, scope in KEYS.items()
    }
    settings = Settings.model_validate({"store": built_store, "host": "0.0.0.0", "keys": keys})
    with TestClient(create_app(settings), base_url="http://music.example") as client:
        yield client


def routes(client: TestClient) -> set[tuple[str, str]]:
    paths = client.get("/openapi.json").json()["paths"]
    plain = {(method, path.replace(":path", "")) for path, methods in paths.items() for method in methods}
    return {(method, path) for method, path in plain}


def call(client: TestClient, method: str, path: str, **headers: str) -> Any:
    place = re.sub(r"\{.*?\}", "0" * 32, path)
    return client.request(method, place, headers=headers, content=b"{" if method == "post" else None)


def test_every_route_is_listed_here(client: TestClient) -> None:
    assert routes(client) == set(GUARDED) | ANY_KEY | OPEN


@pytest.mark.parametrize(("route", "scope"), GUARDED.items())
def test_a_route_opens_to_its_scope_only(guarded: TestClient, route: tuple[str, str], scope: str) -> None:
    for answer in (call(guarded, *route), call(guarded, *route, **{"X-API-Key": "stranger"})):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    for key, has in KEYS.items():
        for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
            status = call(guarded, *route, **headers).status_code
            assert (status not in (401, 403)) is (has in scope.split(" or ")), (key, status)
            assert status in (200, 201, 403, 404, 415, 422)


def test_probes_are_open_and_the_rest_is_not(guarded: TestClient) -> None:
    for route in OPEN:
        assert call(guarded, *route).status_code == 200
    for route in ANY_KEY:
        assert call(guarded, *route).status_code == 401
        for key in KEYS:
            assert call(guarded, *route, **{"X-API-Key": key}).status_code == 200


def test_with_keys_any_host_and_origin_may_ask(guarded: TestClient) -> None:
    headers = {"X-API-Key": "music", "Origin": "https://nle.example", "Host": "music.example"}
    assert guarded.get("/v1/tracks", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.10", "music.example", ""])
def test_without_keys_it_will_not_listen_to_others(tmp_path: Path, host: str) -> None:
    with pytest.raises(BadOptions, match="YUYIN_KEYS"):
        create_app(Settings(store=tmp_path, host=host))


def test_without_keys_every_scope_is_open_to_this_machine_and_to_no_web_page(client: TestClient) -> None:
    assert client.get("/admin/snapshots").status_code == 200
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        answer = client.get("/admin/snapshots", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_unknown_routes_and_methods_take_the_one_form(client: TestClient) -> None:
    for answer, status, code in (
        (client.get("/none"), 404, "not_found"),
        (client.get("/recommend"), 405, "method_not_allowed"),
        (client.delete("/v1/tracks"), 405, "method_not_allowed"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"


def test_the_documentation_fetches_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert re.findall(r"https?://|//[a-z]+\.[a-z]", re.sub(r"//.*$", "", page.text, flags=re.M)) == []
    assert set(re.findall(r'(?:src|href|fetch)\s*[=(]\s*"([^"#]+)"', page.text)) == {"/openapi.json"}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(one) for one in value.values())) if value else own
    return set().union(*(references(one) for one in value)) if isinstance(value, list) else set()


def test_the_description_is_whole(client: TestClient) -> None:
    api = client.get("/openapi.json").json()
    for reference in references(api):
        assert reference.removeprefix("#/components/schemas/") in api["components"]["schemas"], reference
    assert {one["code"] for one in api["x-errors"]} == set(errors.STATUS)
    operations = [one for methods in api["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(one["description"] for one in operations)
    assert api["components"]["schemas"]["Options"]["examples"]
    for operation in operations:  # every error that is described has the one form
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert set(answer["content"]) == {"application/problem+json"}, (
                    operation["operationId"],
                    status,
                )


def test_the_examples_in_the_description_are_accepted(client: TestClient, clip: bytes) -> None:
    api = client.get("/openapi.json").json()
    form = api["paths"]["/v1/recommend"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    examples = [json.dumps(one) for one in api["components"]["schemas"]["Options"]["examples"]]
    for options in [*examples, *form["properties"]["options"]["examples"]]:
        answer = client.post("/v1/recommend", files={"video": ("a.mp4", clip)}, data={"options": options})
        assert answer.status_code == 200, answer.text
