"""POST /v1/feedback: what is answered 201 is on disk, what is refused is not; a copy goes to the stream."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.edge.keys import sha256_of_key
from service.settings import KeyEntry, Settings
from service.stores.feedback import read_feedback

HOST = "http://127.0.0.1:8000"
EVENT = {"request_id": "9f2c", "track_id": "alpha", "event": "exported"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[TestClient]:
    """Needs no index: what was recommended an hour ago may be told of at any time."""
    with TestClient(create_app(Settings(store=tmp_path)), base_url=HOST) as client:
        yield client


def test_one_event_and_a_list(running: TestClient, tmp_path: Path) -> None:
    one = running.post("/v1/feedback", json=EVENT | {"event_id": "my-own-id-1", "start_s": 7})
    assert (one.status_code, one.json()) == (201, {"event_ids": ["my-own-id-1"]})
    several = running.post("/v1/feedback", json=[EVENT, EVENT | {"event": "played", "rank": 3}])
    assert several.status_code == 201
    made = several.json()["event_ids"]
    assert len(set(made)) == 2
    kept = {record.event_id: record for record in read_feedback(tmp_path)}
    assert set(kept) == {"my-own-id-1", *made}
    assert kept["my-own-id-1"].start_s == 7.0
    assert (kept[made[1]].event, kept[made[1]].rank) == ("played", 3)


def test_the_stream_has_a_copy(running: TestClient) -> None:
    running.post("/v1/feedback", json=[EVENT | {"track_id": name} for name in ("alpha", "bravo")])
    stream = running.app.state.parts.shared.feedback  # type: ignore[attr-defined]
    newest = asyncio.run(stream.newest(5))
    assert [json.loads(event)["track_id"] for event in newest] == ["bravo", "alpha"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "exported",
        None,
        EVENT | {"event": "loved"},
        EVENT | {"editor": "somebody"},
        EVENT | {"track_id": ""},
        EVENT | {"request_id": "9f2c\n"},
        EVENT | {"event_id": "short"},
        EVENT | {"start_s": -1},
        EVENT | {"start_s": "7"},
        EVENT | {"rank": 0},
        EVENT | {"rank": 1.5},
        EVENT | {"video_sha256": "A" * 64},
        EVENT | {"snapshot": "../../CURRENT"},
        EVENT | {"at": "2026-03-01T12:00:00"},
        EVENT | {"at": "2026-02-30T12:00:00Z"},
        EVENT | {"at": "0001-01-01T00:00:00+14:00"},
        EVENT | {"at": 1_700_000_000},
        [EVENT] * 101,
        [EVENT, EVENT | {"rank": 101}],
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_what_cannot_be_meant_is_refused_whole(running: TestClient, tmp_path: Path, body: Any) -> None:
    answer = running.post("/v1/feedback", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
    assert list(read_feedback(tmp_path)) == []


def test_the_refusal_names_the_field(running: TestClient) -> None:
    detail = running.post("/v1/feedback", json=[EVENT, EVENT | {"event": "loved"}]).json()["detail"]
    assert "1.event" in detail
    assert "exported" in detail


def test_a_full_disk_is_503_and_comes_again(running: TestClient, tmp_path: Path) -> None:
    (tmp_path / "feedback").write_text("a file where a folder should be")
    answer = running.post("/v1/feedback", json=EVENT)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_stored")
    assert int(answer.headers["Retry-After"]) > 0
    assert str(tmp_path) not in answer.text
    (tmp_path / "feedback").unlink()
    assert running.post("/v1/feedback", json=EVENT).status_code == 201


def test_it_wants_the_scope_recommend(tmp_path: Path) -> None:
    entries: dict[str, Any] = {
        name: KeyEntry(sha256=sha256_of_key(name), scopes=frozenset({name}))
        for name in ("recommend", "catalogue")
    }
    with TestClient(create_app(Settings(store=tmp_path, keys=entries)), base_url=HOST) as client:
        statuses = [
            client.post("/v1/feedback", json=EVENT, headers=headers).status_code
            for headers in ({}, {"X-API-Key": "catalogue"}, {"X-API-Key": "recommend"})
        ]
    assert statuses == [401, 403, 201]
    (record,) = read_feedback(tmp_path)
    kept = record.model_dump_json()
    assert "recommend" not in kept.replace("request_id", "")  # neither the key nor its name
