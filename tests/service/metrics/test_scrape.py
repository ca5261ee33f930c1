"""/metrics as Prometheus reads it: its own parser is the oracle, the requests made are the counts."""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from service.app import create_app
from service.metrics.exchange import ALONE, STALE_S, Exchange
from service.metrics.state import State
from service.settings import Settings
from service.stores.jobs import JobStore

HOST = "http://127.0.0.1:8000"


@pytest.fixture
def fresh(built_store: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=built_store)), base_url=HOST) as client:
        yield client


def scraped(client: TestClient, **headers: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse(answer.text)
        for sample in family.samples
    }


def value(found: dict[Any, float], name: str, **labels: str) -> float:
    return found[name, frozenset({**labels, "process": ALONE}.items())]


def total(found: dict[Any, float], name: str, **labels: str) -> float:
    return sum(v for (n, have), v in found.items() if n == name and labels.items() <= dict(have).items())


def test_counts_are_the_requests_that_were_made(fresh: TestClient) -> None:
    for _ in range(3):
        assert fresh.get("/v1/tracks/alpha").status_code == 200
    for _ in range(2):
        assert fresh.get("/v1/tracks/none").status_code == 404
    assert fresh.post("/recommend").status_code == 422
    assert fresh.request("BREW", "/coffee/latte?secret=1").status_code == 404
    found = scraped(fresh)
    route = "/v1/tracks/{track_id:path}"
    assert value(found, "yuyin_requests_total", method="GET", route=route, status="200") == 3
    assert value(found, "yuyin_requests_total", method="GET", route=route, status="404") == 2
    assert value(found, "yuyin_requests_total", method="POST", route="/recommend", status="422") == 1
    assert value(found, "yuyin_requests_total", method="other", route="none", status="404") == 1
    assert total(found, "yuyin_requests_total") == 7
    assert value(found, "yuyin_request_seconds_count", route=route) == 5
    assert value(found, "yuyin_refusals_total", code="not_found") == 3
    assert value(found, "yuyin_refusals_total", code="empty_body") == 1
    assert total(scraped(fresh), "yuyin_requests_total") == 8  # and the scrape itself


def test_what_nobody_foresaw_is_counted_as_such(fresh: TestClient) -> None:
    app: Any = fresh.app

    @app.get("/broken")
    def broken() -> None:
        raise ValueError("unforeseen")

    with pytest.raises(ValueError, match="unforeseen"):  # the client's way to say that a server would log it
        fresh.get("/broken")
    found = scraped(fresh)
    assert value(found, "yuyin_requests_total", method="GET", route="/broken", status="500") == 1
    assert value(found, "yuyin_refusals_total", code="internal") == 1


def test_no_caller_makes_a_series(fresh: TestClient) -> None:
    for i in range(20):
        fresh.request(f"M{i}", f"/made-up/{i}")
        fresh.get(f"/v1/tracks/made-up-{i}")
        fresh.get("/livez", headers={"Host": f"made-up-{i}"})
    found = scraped(fresh)
    assert "made-up" not in str(found)
    assert len({key for key in found if key[0] == "yuyin_requests_total"}) == 3


def test_an_answer_is_counted_with_its_stages(fresh: TestClient, clip: bytes) -> None:
    answers = [fresh.post("/recommend", content=clip).json() for _ in range(2)]
    computed = 1 if answers[0]["timings_ms"].keys() != answers[1]["timings_ms"].keys() else 2
    found = scraped(fresh)
    assert value(found, "yuyin_recommendations_total") == computed
    assert value(found, "yuyin_cache_total", result="miss") == computed
    flagged = sum(bool(answer["no_good_match"]) for answer in answers[:computed])
    assert value(found, "yuyin_no_good_match_total") == flagged
    for stage in ("decode", "search", "total"):
        assert value(found, "yuyin_stage_seconds_count", stage=stage) == computed
    assert value(found, "yuyin_decoders") == 0
    assert value(found, "yuyin_decoders_ended_total", how="answered") >= computed
    assert value(found, "yuyin_exposure_window") == computed * len(answers[0]["results"])
    assert value(found, "yuyin_exposure_top_percent_share") == pytest.approx(1 / 5)  # each of five came once


def test_how_things_stand(fresh: TestClient, built_store: Path) -> None:
    found, ready = scraped(fresh), fresh.get("/readyz").json()
    facts = {"snapshot": ready["snapshot"], "bundle": ready["bundle"], "rights": "none"}
    assert value(found, "yuyin_serving_info", **facts) == 1
    assert value(found, "yuyin_device_info", part="search", provider="cpu") == 1
    assert value(found, "yuyin_tracks") == 5
    assert value(found, "yuyin_places") == ready["places"]
    assert value(found, "yuyin_videos_inside") == value(found, "yuyin_queue_depth") == 0
    assert value(found, "yuyin_requests_in_flight") == value(found, "yuyin_draining") == 0
    manifest = built_store / "snapshots" / ready["snapshot"] / "snapshot.json"
    age_s = time.time() - manifest.stat().st_mtime
    assert value(found, "yuyin_snapshot_age_seconds") == pytest.approx(age_s, abs=5)
    for part in ("snapshot", "rights", "keys"):
        assert value(found, "yuyin_refused", part=part) == 0
    assert total(found, "yuyin_jobs") == 0
    assert value(found, "process_open_fds") > 3
    assert not [name for name, _ in found if name.endswith("_created")]


def test_jobs_are_counted_by_kind_and_state_and_once_for_all_processes(
    fresh: TestClient, store: Path, tmp_path: Path
) -> None:
    """Three processes on one store: a sum over them is the store's."""
    app: Any = fresh.app
    records = JobStore(store)
    asked = [records.create("recommend", {}) for _ in range(4)]
    records.create("reindex", {})
    records.claim(asked[0].id, "w", attempts=1)
    records.cancel(asked[1].id)
    parts = dataclasses.replace(app.state.parts, settings=Settings(store=store))
    exchanges = []
    for process in range(3):
        registry = CollectorRegistry()
        registry.register(State(parts, app.state.door))
        exchanges.append(Exchange(registry, tmp_path / f"{process}.json"))
    for exchange in exchanges:
        exchange.publish()
    pages = [parse(exchange.page("")[0].decode()) for exchange in exchanges]
    for page in [{family.name: family.samples for family in page} for page in pages]:
        jobs = {
            (one.labels["kind"], one.labels["state"]): (one.value, one.labels["process"])
            for one in page["yuyin_jobs"]
        }
        assert len(jobs) == len(page["yuyin_jobs"])
        assert jobs == {
            ("recommend", "queued"): (2, ALONE),
            ("recommend", "running"): (1, ALONE),
            ("reindex", "queued"): (1, ALONE),
            ("reindex", "running"): (0, ALONE),
        }
        assert len(page["yuyin_places"]) == 3


def test_openmetrics_where_it_is_asked_for(fresh: TestClient) -> None:
    answer = fresh.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert {"yuyin_requests", "yuyin_serving"} <= {family.name for family in parse_openmetrics(answer.text)}
    assert fresh.get("/metrics").headers["content-type"].startswith("text/plain")


def test_two_apps_share_nothing_and_a_second_life_of_one_works(built_store: Path) -> None:
    one, two = (create_app(Settings(store=built_store)) for _ in range(2))
    with TestClient(one, base_url=HOST) as first, TestClient(two, base_url=HOST) as second:
        first.get("/v1/tracks")
        assert total(scraped(second), "yuyin_requests_total") == 0
    with TestClient(one, base_url=HOST) as first:
        assert value(scraped(first), "yuyin_tracks") == 5


def test_it_takes_a_key_with_the_scope_admin(built_store: Path) -> None:
    keys = {
        name: {"sha256": hashlib.sha256(name.encode()).hexdigest(), "scopes": [scope]}
        for name, scope in (("ops", "admin"), ("editor", "recommend"))
    }
    settings = Settings.model_validate({"store": built_store, "keys": keys})
    with TestClient(create_app(settings), base_url=HOST) as client:
        statuses = [
            client.get("/metrics", headers={"X-API-Key": key}).status_code for key in ("ops", "editor")
        ]
        assert [*statuses, client.get("/metrics").status_code] == [200, 403, 401]


def test_whoever_is_asked_answers_for_all_processes(tmp_path: Path) -> None:
    """Three processes with counts of their own; each one's page has all of them."""
    exchanges = []
    for process in range(3):
        registry = CollectorRegistry()
        counter = Counter("made", "Things.", ["kind"], registry=registry)
        counter.labels("a").inc(process + 1)
        exchanges.append(Exchange(registry, tmp_path / f"{process}.json"))
    for exchange in exchanges:
        exchange.publish()
    (tmp_path / "half.json").write_text('[["made", ')  # of a process that died just then
    for exchange in exchanges:
        page, _ = exchange.page("")
        (family,) = parse(page.decode())
        assert len(family.samples) == 3
        assert {sample.labels["process"]: sample.value for sample in family.samples} == {
            "0": 1,
            "1": 2,
            "2": 3,
        }
    long_ago_s = time.time() - STALE_S - 1
    os.utime(tmp_path / "1.json", (long_ago_s, long_ago_s))  # it died and nobody came in its place
    (family,) = parse(exchanges[0].page("")[0].decode())
    assert {sample.labels["process"] for sample in family.samples} == {"0", "2"}
    assert json.loads((tmp_path / "2.json").read_text())[0][0] == "made"
