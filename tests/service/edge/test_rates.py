"""So many requests a second and key, over HTTP, in one process and with a Redis that comes and goes."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

HOST = "http://127.0.0.1:8000"
SLOW = {"rate_per_s": 0.01, "rate_burst": 3}  # a hundred seconds each: the test's own pace does not matter


def entry(key: str, **more: Any) -> dict[str, Any]:
    scopes = ["recommend", "catalogue", "admin"]
    return {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": scopes, **more}


@contextmanager
def served(store: Path, *, keys: bool = True, **settings: Any) -> Iterator[TestClient]:
    named = {
        "one": entry("one"),
        "two": entry("two"),
        "quick": entry("quick", rate_per_s=1000, burst=1000),
        "free": entry("free", rate_per_s=0),
        "single": entry("single", burst=1),
    }
    given = {"store": store, "keys": named if keys else {}, **SLOW, **settings}
    with TestClient(create_app(Settings.model_validate(given)), base_url=HOST) as client:
        yield client


def ask(client: TestClient, key: str, path: str = "/recommend") -> Any:
    return client.post(path, headers={"X-API-Key": key})


def statuses(client: TestClient, key: str, times: int) -> list[int]:
    return [ask(client, key).status_code for _ in range(times)]


def test_beyond_its_burst_a_key_waits_and_others_do_not(built_store: Path) -> None:
    with served(built_store) as client:
        assert statuses(client, "one", 5) == [422, 422, 422, 429, 429]
        assert statuses(client, "two", 4) == [422, 422, 422, 429]
        assert statuses(client, "single", 2) == [422, 429]
        refused = ask(client, "one")
        assert refused.json()["code"] == "rate_limited"
        assert refused.headers["content-type"] == "application/problem+json"
        assert 90 < int(refused.headers["retry-after"]) <= 100
        assert client.get("/v1/tracks", headers={"X-API-Key": "one"}).status_code == 200  # costs nothing
        assert client.get("/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("key", ["quick", "free"])
def test_a_key_may_have_a_rate_of_its_own(built_store: Path, key: str) -> None:
    with served(built_store) as client:
        assert set(statuses(client, key, 10)) == {422}


def test_without_keys_or_with_a_rate_of_0_there_is_no_limit(built_store: Path) -> None:
    with served(built_store, keys=False) as client:
        assert set(statuses(client, "one", 10)) == {422}
    with served(built_store, rate_per_s=0) as client:
        assert set(statuses(client, "one", 10)) == {422}


def test_strangers_use_up_nobodys_requests(built_store: Path) -> None:
    with served(built_store) as client:
        assert set(statuses(client, "stranger", 10)) == {401}
        assert statuses(client, "one", 4) == [422, 422, 422, 429]


def test_all_that_costs_work_counts_together(built_store: Path) -> None:
    with served(built_store) as client:
        paths = ("/recommend", "/v1/feedback", "/admin/reindex")
        assert 429 not in [ask(client, "one", path).status_code for path in paths]
        for path in (*paths, "/v1/recommend", "/v1/uploads"):
            assert ask(client, "one", path).status_code == 429


def test_who_waits_as_told_is_admitted(built_store: Path) -> None:
    with served(built_store, rate_per_s=2, rate_burst=1) as client:
        assert ask(client, "one").status_code == 422
        refused = ask(client, "one")
        assert refused.status_code == 429
        time.sleep(int(refused.headers["retry-after"]))
        assert ask(client, "one").status_code == 422


def test_two_processes_share_a_count_and_keep_their_own_while_redis_is_away(
    built_store: Path, redis_server: Any
) -> None:
    with (
        served(built_store, redis_url=redis_server.url) as one,
        served(built_store, redis_url=redis_server.url) as two,
    ):
        assert [*statuses(one, "one", 2), *statuses(two, "one", 2)] == [422, 422, 422, 429]
        redis_server.kill()
        for process in (one, two):
            assert statuses(process, "two", 5) == [422, 422, 422, 429, 429]
        assert one.get("/readyz").json()["parts"]["redis"].startswith("away")
