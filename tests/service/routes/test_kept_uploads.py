"""Kept uploads and recommendations for later, over HTTP, with and without keys."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.edge.keys import sha256_of_key
from service.settings import Settings
from service.stores.jobs import JobStore

HOST = "http://127.0.0.1:8000"
LATER = {"Prefer": "respond-async"}
CHANGING = ("request_id", "timings_ms")


@contextmanager
def serve(store: Path, **settings: Any) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=store, **settings)), base_url=HOST) as client:
        yield client


def lasting(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in CHANGING}


def kept_files(store: Path) -> set[str]:
    folder = store / "uploads"
    return {path.name for path in folder.iterdir()} - {"lock"} if folder.is_dir() else set()


def follow(client: TestClient, place: str, **headers: str) -> Any:
    for _ in range(2400):
        job = client.get(place, headers=headers).json()
        if job["state"] not in ("queued", "running"):
            return job
        time.sleep(0.025)
    raise AssertionError(job)


def wait_until(condition: Any) -> None:
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


class TestKept:
    @pytest.mark.parametrize("form", [True, False])
    def test_it_is_asked_about_until_it_is_deleted(self, store: Path, clip: bytes, form: bool) -> None:
        with serve(store) as client:
            sent: dict[str, Any] = {"files": {"video": ("secret.mp4", clip)}} if form else {"content": clip}
            made = client.post("/v1/uploads", **sent)
            assert made.status_code == 201, made.text
            upload = made.json()
            assert set(upload) == {"upload_id", "sha256", "size_bytes", "expires_at"}
            assert upload["sha256"] == hashlib.sha256(clip).hexdigest()
            assert upload["size_bytes"] == len(clip)
            place = made.headers["location"]
            assert client.get(place).json() == upload
            options = {"top_k": 2, "start_s": 1.0}
            asked = client.post("/recommend", json={"upload_id": upload["upload_id"], "options": options})
            direct = client.post("/recommend", content=clip, params={"options": json.dumps(options)})
            assert lasting(asked.json()) == lasting(direct.json())
            assert (asked.headers["x-yuyin-cache"], direct.headers["x-yuyin-cache"]) == ("miss", "hit")
            assert client.delete(place).status_code == 204
            assert kept_files(store) == set()
            for answer in (client.get(place), client.delete(place)):
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            gone = client.post("/recommend", json={"upload_id": upload["upload_id"], "options": options})
            assert gone.status_code == 404

    def test_odd_ids_and_bodies_are_refused(self, store: Path, clip: bytes) -> None:
        with serve(store) as client:
            for odd in ("0" * 32, "none", "..%2FCURRENT", "A" * 32):
                assert client.get(f"/v1/uploads/{odd}").status_code == 404
                assert client.delete(f"/v1/uploads/{odd}").status_code == 404
            assert client.post("/recommend", json={"upload_id": "../CURRENT"}).status_code == 422
            assert client.post("/v1/uploads", content=b"").json()["code"] == "empty_body"
            assert client.post("/v1/uploads", json={}).json()["code"] == "bad_options"
            assert client.post("/v1/uploads", params={"a": 1}, content=clip).status_code == 422
            files = {"video": ("a.mp4", clip)}
            assert client.post("/v1/uploads", files=files, data={"options": "{}"}).status_code == 422
            assert kept_files(store) == set()

    def test_only_who_brought_it_knows_it(self, store: Path, clip: bytes) -> None:
        keys = {name: {"sha256": sha256_of_key(name)} for name in ("one", "two")}
        keys["music"] = {"sha256": sha256_of_key("music"), "scopes": ["catalogue"]}
        with serve(store, keys=keys) as client:
            mine, theirs = {"X-API-Key": "one"}, {"X-API-Key": "two"}
            upload = client.post("/v1/uploads", content=clip, headers=mine).json()["upload_id"]
            asked = {"upload_id": upload}
            assert client.get(f"/v1/uploads/{upload}", headers=theirs).status_code == 404
            assert client.delete(f"/v1/uploads/{upload}", headers=theirs).status_code == 404
            assert client.post("/recommend", json=asked, headers=theirs).status_code == 404
            assert client.post("/recommend", json=asked, headers=theirs | LATER).status_code == 404
            assert client.post("/recommend", json=asked, headers=mine).status_code == 200
            assert client.post("/v1/uploads", content=clip).status_code == 401
            forbidden = client.post("/v1/uploads", content=clip, headers={"X-API-Key": "music"})
            assert forbidden.status_code == 403

    def test_its_time_ends_and_so_does_the_room(self, store: Path, clip: bytes) -> None:
        with serve(store, upload_ttl_s=600, uploads_max_bytes=2 * len(clip) + 4000) as client:
            ids = [client.post("/v1/uploads", content=clip).json()["upload_id"] for _ in range(2)]
            full = client.post("/v1/uploads", content=clip)
            assert (full.status_code, full.json()["code"]) == (429, "uploads_full")
            assert int(full.headers["retry-after"]) > 0
            assert client.post("/recommend", content=clip).status_code == 200  # needs no room
            long_ago = time.time() - 601
            for path in (store / "uploads").glob(f"{ids[0]}.*"):
                os.utime(path, (long_ago, long_ago))
            assert client.get(f"/v1/uploads/{ids[0]}").status_code == 404  # though nobody has swept yet
            assert client.post("/v1/uploads", content=clip).status_code == 201
            assert client.get(f"/v1/uploads/{ids[1]}").status_code == 200
            assert not list((store / "uploads").glob(f"{ids[0]}.*"))

    def test_the_same_key_makes_one_upload(self, store: Path, clip: bytes) -> None:
        with serve(store) as client:
            key = {"Idempotency-Key": "k"}
            first, again = (client.post("/v1/uploads", content=clip, headers=key) for _ in range(2))
            assert first.json() == again.json()
            assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
            assert len(kept_files(store)) == 2  # its bytes and its record
            assert client.post("/v1/uploads", content=clip[:-1], headers=key).status_code == 422

    @pytest.mark.parametrize("deleted", [True, False])
    def test_a_key_whose_upload_is_gone_makes_one_anew(self, store: Path, clip: bytes, deleted: bool) -> None:
        """And only one: each that comes later is told of that one, through two more ends."""
        with serve(store, upload_ttl_s=600) as client:
            key, seen = {"Idempotency-Key": "k"}, set()
            for _ in range(3):
                made, *later = (client.post("/v1/uploads", content=clip, headers=key) for _ in range(3))
                place = made.headers["location"]
                assert (made.status_code, made.headers.get("idempotency-replayed")) == (201, None)
                assert {one.headers["idempotency-replayed"] for one in later} == {"true"}
                assert {one.headers["location"] for one in later} == {place}
                assert client.get(place).json() == made.json() == later[0].json()
                asked = client.post("/recommend", json={"upload_id": made.json()["upload_id"]})
                assert asked.status_code == 200
                assert client.post("/v1/uploads", content=clip[:-1], headers=key).status_code == 422
                seen.add(place)
                if deleted:
                    assert client.delete(place).status_code == 204
                    continue
                long_ago = time.time() - 601
                for path in (store / "uploads").glob(f"{made.json()['upload_id']}.*"):
                    os.utime(path, (long_ago, long_ago))
            assert len(seen) == 3


class TestLater:
    @pytest.mark.parametrize("form", [True, False])
    def test_the_job_has_the_answer(self, store: Path, clip: bytes, form: bool) -> None:
        options = {"top_k": 2, "filters": {"licence": {"on_date": "2090-01-31", "territory": "de"}}}
        with serve(store) as client:
            text = json.dumps(options)
            if form:
                sent: dict[str, Any] = {"files": {"video": ("a.mp4", clip)}, "data": {"options": text}}
            else:
                sent = {"content": clip, "params": {"options": text}}
            made = client.post("/v1/recommend", headers={"Prefer": "wait=1; x, respond-async"}, **sent)
            assert made.status_code == 202, made.text
            assert made.headers["preference-applied"] == "respond-async"
            assert made.json()["kind"] == "recommend"
            assert made.headers["location"] == f"/v1/jobs/{made.json()['id']}"
            ended = follow(client, made.headers["location"])
            assert (ended["state"], ended["progress"], ended["error"]) == ("done", 1.0, None)
            now = client.post("/recommend", **sent)
            assert lasting(ended["result"]) == lasting(now.json())
            assert now.headers["x-yuyin-cache"] == "hit"  # whoever asks now profits
            assert ended["result"]["request_id"] == ended["id"]
            assert kept_files(store) == set()

    def test_music_that_may_not_be_used_any_more_is_not_told(self, store: Path, clip: bytes) -> None:
        """Why-not, asked for the same use, is what says which tracks those are."""
        day = "2090-01-31"
        uses: list[dict[str, Any]] = [{}, {"platform": "TikTok", "territory": "de"}, {"on_date": day}]
        with serve(store, unknown_licences="return") as client:

            def change(track_id: str, **facts: Any) -> None:
                assert client.patch(f"/admin/tracks/{track_id}", json=facts).status_code == 200

            for track_id in ("charlie", "delta"):
                change(track_id, platforms=["tiktok"], territories=["DE"])
            places, before = [], []
            for use in uses:
                options = {"top_k": 100, "filters": {"licence": use}}
                sent = {"content": clip, "params": {"options": json.dumps(options)}}
                places.append(client.post("/recommend", headers=LATER, **sent).headers["location"])
                before.append(follow(client, places[-1])["result"])
            assert [len(result["results"]) for result in before] == [5, 2, 5]
            change("alpha", withdrawn=True)
            change("charlie", platforms=["youtube"])
            change("delta", valid_until="2080-01-01")
            left_out = [{"alpha"}, {"charlie"}, {"alpha", "delta"}]
            for place, use, result, without in zip(places, uses, before, left_out, strict=True):
                told = client.get(place).json()
                for one in result["results"]:
                    found = client.get(f"/v1/tracks/{one['track_id']}/eligibility", params=use).json()
                    assert found["eligible"] == (one["track_id"] not in without)
                results = [one for one in result["results"] if one["track_id"] not in without]
                assert told["result"]["results"] == results
                (warning,) = told["result"]["warnings"]
                assert warning.startswith(f"{len(without)} of {len(result['results'])} tracks are left out")
                assert lasting(told["result"]) == lasting(result) | {
                    "results": results,
                    "warnings": [warning],
                }
                (event,) = re.findall("^data: (.*)$", client.get(f"{place}/events").text, re.MULTILINE)
                assert json.loads(event) == told
            change("delta", withdrawn=True)
            assert client.get(places[1]).json()["result"]["results"] == []
            assert client.get(places[1]).json()["result"]["no_good_match"] is None
            change("alpha", withdrawn=False)
            change("delta", withdrawn=False)
            assert client.get(places[0]).json()["result"] == before[0]

    def test_no_answer_is_told_while_no_rights_can_be_read(self, store: Path, clip: bytes) -> None:
        with serve(store) as client:
            place = client.post("/recommend", content=clip, headers=LATER).headers["location"]
            assert follow(client, place)["state"] == "done"
        (store / "rights").mkdir()
        (store / "rights" / "CURRENT").write_text("7\n")
        with serve(store) as client:
            answer = client.get(place)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert "track_id" not in client.get(f"{place}/events").text

    def test_an_upload_that_was_there_stays(self, store: Path, clip: bytes) -> None:
        with serve(store) as client:
            upload = client.post("/v1/uploads", content=clip).json()["upload_id"]
            made = client.post("/recommend", json={"upload_id": upload}, headers=LATER)
            assert follow(client, made.headers["location"])["state"] == "done"
            assert client.get(f"/v1/uploads/{upload}").status_code == 200

    def test_bodies_of_json_too(self, store: Path) -> None:
        picture = {"frames": [{"t_s": 0.0, "image": "AAAA"}], "duration_s": 4.0}
        with serve(store) as client:
            made = client.post("/recommend", json=picture, headers=LATER)
            assert made.status_code == 202
            ended = follow(client, made.headers["location"])
            assert (ended["state"], ended["error"]["code"]) == ("failed", "bad_options")  # no motion
            stored = client.post("/recommend", json={"upload_id": made.json()["asked"]["upload_id"]})
            assert stored.status_code == 404
            wrong = client.post("/recommend", json={"frames": []}, headers=LATER)
            assert wrong.status_code == 422  # said at once
            assert kept_files(store) == set()

    def test_what_fails_says_why(self, store: Path) -> None:
        with serve(store) as client:
            place = client.post("/recommend", content=b"no video", headers=LATER).headers["location"]
            ended = follow(client, place)
            assert (ended["state"], ended["error"]["code"]) == ("failed", "not_media")
            assert kept_files(store) == set()

    def test_it_is_cancelled_while_it_waits_and_while_it_runs(self, store: Path, long_clip: bytes) -> None:
        with serve(store, redis_url="redis://127.0.0.1:1") as client:  # a worker's business: it waits
            made = client.post("/recommend", content=long_clip, headers=LATER)
            assert len(kept_files(store)) == 2
            ended = client.delete(made.headers["location"])
            assert (ended.status_code, ended.json()["state"]) == (200, "cancelled")
            assert kept_files(store) == set()
        with serve(store) as client:
            place = client.post("/recommend", content=long_clip, headers=LATER).headers["location"]
            wait_until(lambda: client.get(place).json()["state"] != "queued")
            assert client.delete(place).status_code in (200, 202)
            assert follow(client, place)["state"] == "cancelled"
            wait_until(lambda: kept_files(store) == set())
            assert client.app.state.parts.workers.admitted == 0  # type: ignore[attr-defined]

    def test_jobs_are_seen_by_who_asked_and_by_admins(self, store: Path, clip: bytes, pool: Path) -> None:
        keys: dict[str, Any] = {name: {"sha256": sha256_of_key(name)} for name in ("one", "two")}
        keys["boss"] = {"sha256": sha256_of_key("boss"), "scopes": ["admin"]}
        keys["music"] = {"sha256": sha256_of_key("music"), "scopes": ["catalogue"]}
        reindex = JobStore(store).create("reindex", {"pool": "p", "bundle": "shipped", "recompute": False})
        JobStore(store).cancel(reindex.id)
        with serve(store, keys=keys) as client:
            head = {"X-API-Key": "one"}
            place = client.post("/recommend", content=clip, headers=head | LATER).headers["location"]
            ended = follow(client, place, **head)
            assert (ended["state"], ended["owner"]) == ("done", "one")
            for way in ("", "/events"):
                assert client.get(place + way, headers={"X-API-Key": "boss"}).status_code == 200
                assert client.get(place + way, headers={"X-API-Key": "two"}).status_code == 404
                assert client.get(place + way, headers={"X-API-Key": "music"}).status_code == 403
                assert client.get(f"/v1/jobs/{reindex.id}{way}", headers=head).status_code == 404
            assert client.delete(place, headers={"X-API-Key": "two"}).status_code == 404

    def test_a_reindex_does_not_hold_them_up(self, store: Path, pool: Path, clip: bytes) -> None:
        with serve(store, pools={"house": pool}) as client:
            reindex = client.post("/admin/reindex", json={"recompute": True}).headers["location"]
            place = client.post("/recommend", content=clip, headers=LATER).headers["location"]
            assert client.post("/admin/reindex").status_code == 409
            assert follow(client, place)["state"] == "done"
            assert client.get(reindex).json()["state"] in ("queued", "running")
            client.delete(reindex)
            follow(client, reindex)

    def test_the_same_key_makes_one_job(self, store: Path, clip: bytes) -> None:
        with serve(store) as client:
            head = LATER | {"Idempotency-Key": "k"}
            first, again = (client.post("/recommend", content=clip, headers=head) for _ in range(2))
            assert first.headers["location"] == again.headers["location"]
            assert again.status_code == 202
            assert (
                client.post("/recommend", content=clip, headers={"Idempotency-Key": "k"}).status_code == 422
            )
            follow(client, first.headers["location"])
