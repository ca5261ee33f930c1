"""Every kind of body, asked over HTTP: the answers agree, repeats are looked up, keys are answered once."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from fastapi.testclient import TestClient

from model.features.profiles import load_profile
from model.media.streams import VideoLimits
from model.media.video import read_video
from service.app import create_app
from service.edge.keys import sha256_of_key
from service.ranking.recommender import see
from service.schemas.features import sent_features
from service.serving import workers as module
from service.settings import Settings

HOST = "http://127.0.0.1:8000"
CHANGING = ("request_id", "timings_ms")


@contextmanager
def serve(store: Path, **settings: Any) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=store, **settings)), base_url=HOST) as client:
        yield client


def lasting(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in CHANGING}


def raw(client: TestClient, video: bytes, *, headers: dict[str, str] | None = None, **options: Any) -> Any:
    params = {"options": json.dumps(options)} if options else None
    return client.post("/recommend", content=video, params=params, headers=headers)


def features_of(client: TestClient, clip: bytes, **part: float) -> dict[str, Any]:
    """Computed here, by the package, as an editor's machine would."""
    recipe = client.get("/version").json()["recipe"]
    profile = load_profile("lite")
    picture = see(profile, read_video(clip, profile.recipe, VideoLimits(), **part))
    return {
        "features": {name: sent_features(rows) for name, rows in picture.sequences.items()},
        "recipe": recipe,
        "duration_s": picture.length_s,
        "cuts_s": picture.cuts_s,
    }


class TestCache:
    def test_a_repeat_is_looked_up_without_decoder_or_thread(
        self, built_store: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serve(built_store) as client:
            first = raw(client, clip, top_k=3)
            assert first.headers["x-yuyin-cache"] == "miss"

            async def never(*_: Any) -> None:
                raise AssertionError("a thread was asked for")

            monkeypatch.setattr(module.Workers, "run", never)
            by_form = client.post(
                "/v1/recommend", files={"video": ("x.mp4", clip)}, data={"options": '{"top_k":3}'}
            )
            for again in (raw(client, clip, top_k=3), by_form):
                assert again.headers["x-yuyin-cache"] == "hit"
                assert lasting(again.json()) == lasting(first.json())
                assert again.json()["request_id"] == again.headers["x-request-id"]
                assert again.json()["request_id"] != first.json()["request_id"]
                assert set(again.json()["timings_ms"]) == {"upload", "total"}
                assert list(again.json()) == list(first.json())

    def test_anything_else_is_another_question(self, built_store: Path, clip: bytes) -> None:
        asked: list[dict[str, Any]] = [
            {},
            {"top_k": 3},
            {"top_k": 3, "text": "happy"},
            {"end_s": 3.0},
            {"filters": {"genres": ["pop"]}},
            {"filters": {"licence": {"on_date": "2090-01-31"}}},
        ]
        with serve(built_store) as client:
            for options in asked:
                assert raw(client, clip, **options).headers["x-yuyin-cache"] == "miss"
                assert raw(client, clip, **options).headers["x-yuyin-cache"] == "hit"
            assert raw(client, clip[:-1]).headers["x-yuyin-cache"] == "miss"
            # what is asked for by name and what is meant without a name are kept apart: no harm done
            assert lasting(raw(client, clip, top_k=10).json()) == lasting(raw(client, clip).json())

    def test_a_withdrawn_track_and_another_snapshot_are_not_looked_up(self, both: Any, clip: bytes) -> None:
        with serve(both.store) as client:
            before = raw(client, clip).json()
            gone = before["results"][0]["track_id"]
            assert client.patch(f"/admin/tracks/{gone}", json={"withdrawn": True}).status_code == 200
            after = raw(client, clip)
            assert after.headers["x-yuyin-cache"] == "miss"
            assert gone not in {one["track_id"] for one in after.json()["results"]}
            assert client.post(f"/admin/snapshots/{both.new}/activate").status_code == 200
            swapped = raw(client, clip)
            assert swapped.headers["x-yuyin-cache"] == "miss"
            assert swapped.json()["snapshot"] == both.new
            assert gone not in {one["track_id"] for one in swapped.json()["results"]}

    def test_errors_are_not_kept(self, built_store: Path, clip: bytes) -> None:
        with serve(built_store) as client:
            for _ in range(2):
                assert raw(client, b"no video").status_code == 415
                assert raw(client, clip, text="unknown").status_code == 422
            cached = client.app.state.parts.shared.cache._kept  # type: ignore[attr-defined]
            assert not cached

    def test_it_can_be_turned_off(self, built_store: Path, clip: bytes) -> None:
        with serve(built_store, cache_s=0) as client:
            answers = [raw(client, clip) for _ in range(2)]
            assert [one.headers["x-yuyin-cache"] for one in answers] == ["miss", "miss"]
            assert lasting(answers[0].json()) == lasting(answers[1].json())

    def test_equal_questions_at_once_are_worked_on_once(
        self, built_store: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worked = []
        run = module.Workers.run

        async def counting(self: Any, *given: Any) -> Any:
            worked.append(1)
            return await run(self, *given)

        monkeypatch.setattr(module.Workers, "run", counting)
        with serve(built_store) as client, ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda _: raw(client, clip), range(6)))
        assert {one.status_code for one in answers} == {200}
        assert len({json.dumps(lasting(one.json())) for one in answers}) == 1
        assert len({one.json()["request_id"] for one in answers}) == 6
        assert len(worked) == 1

    def test_a_broken_video_asked_for_by_many_is_refused_to_each(self, built_store: Path) -> None:
        with serve(built_store) as client, ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda _: raw(client, b"x" * 5000), range(4)))
        assert {(one.status_code, one.json()["code"]) for one in answers} == {(415, "not_media")}


class TestIdempotency:
    def test_the_first_answer_comes_again(self, built_store: Path, clip: bytes) -> None:
        with serve(built_store, cache_s=0) as client:
            key = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}
            first = raw(client, clip, headers=key, top_k=2)
            again = raw(client, clip, headers=key, top_k=2)
            assert first.status_code == again.status_code == 200
            assert again.content == first.content  # the request_id of the first, too
            assert again.headers["content-type"] == first.headers["content-type"]
            assert "idempotency-replayed" not in first.headers
            assert again.headers["idempotency-replayed"] == "true"
            other = raw(client, clip, headers=key, top_k=3)
            assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
            fresh = raw(client, clip, headers={"Idempotency-Key": "another"}, top_k=3)
            assert fresh.status_code == 200

    def test_an_answer_is_not_given_again_when_music_in_it_was_withdrawn(
        self, store: Path, clip: bytes
    ) -> None:
        with serve(store) as client:
            key = {"Idempotency-Key": "k"}
            best = raw(client, clip, headers=key).json()["results"][0]["track_id"]
            assert client.patch(f"/admin/tracks/{best}", json={"withdrawn": True}).status_code == 200
            again = raw(client, clip, headers=key)
            assert again.status_code == 200
            assert best not in {result["track_id"] for result in again.json()["results"]}

    def test_a_failure_frees_the_key(self, built_store: Path, clip: bytes) -> None:
        with serve(built_store) as client:
            key = {"Idempotency-Key": "k"}
            assert raw(client, b"no video", headers=key).status_code == 415
            assert raw(client, clip, headers=key).status_code == 200
            assert raw(client, b"no video", headers=key).status_code == 422

    def test_while_the_first_is_worked_on(
        self, built_store: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        run = module.Workers.run

        async def held(self: Any, work: Any, *given: Any) -> Any:
            def slow() -> Any:
                begun.set()
                assert go_on.wait(30)
                return work()

            return await run(self, slow, *given)

        monkeypatch.setattr(module.Workers, "run", held)
        key = {"Idempotency-Key": "k"}
        with serve(built_store) as client, ThreadPoolExecutor(1) as threads:
            first = threads.submit(raw, client, clip, headers=key)
            assert begun.wait(30)
            meanwhile = raw(client, clip, headers=key)
            assert (meanwhile.status_code, meanwhile.json()["code"]) == (409, "idempotency_running")
            assert int(meanwhile.headers["retry-after"]) >= 1
            go_on.set()
            assert first.result().status_code == 200
            assert raw(client, clip, headers=key).content == first.result().content

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
    def test_odd_keys_are_refused(self, client: TestClient, clip: bytes, key: str) -> None:
        answer = raw(client, clip, headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")

    def test_callers_do_not_meet(self, built_store: Path, clip: bytes) -> None:
        keys = {name: {"sha256": sha256_of_key(name)} for name in ("one", "two")}
        with serve(built_store, keys=keys, cache_s=0) as client:
            ids = [
                raw(client, clip, headers={"X-API-Key": name, "Idempotency-Key": "k"}).json()["request_id"]
                for name in ("one", "two", "one", "two")
            ]
        assert ids[0] == ids[2] != ids[1] == ids[3]


class TestFeatures:
    def test_they_give_the_results_of_the_video(self, client: TestClient, clip: bytes) -> None:
        options: dict[str, Any] = {"text": "happy", "segments_per_track": 2, "filters": {"genres": ["pop"]}}
        for chosen in ({}, options):
            video = raw(client, clip, **chosen).json()
            sent = client.post("/recommend", json=features_of(client, clip) | {"options": chosen}).json()
            for name in ("results", "excluded", "no_good_match", "snapshot", "bundle", "recipe"):
                assert sent[name] == video[name]
            assert sent["video"]["cuts_s"] == video["video"]["cuts_s"]
            assert sent["video"]["sha256"] is None

    def test_a_job_whose_use_nobody_remembers_leaves_out_what_no_use_allows(
        self, store: Path, clip: bytes
    ) -> None:
        """The options of a JSON body are gone with it: they may have asked for a day in 2090."""
        with serve(store, unknown_licences="return") as client:
            body, later = features_of(client, clip), {"Prefer": "respond-async"}
            place = client.post("/recommend", json=body, headers=later).headers["location"]
            assert client.get(f"{place}/events").text.count("event: job") >= 1  # to its end
            assert len(client.get(place).json()["result"]["results"]) == 5
            for track_id, facts in (
                ("alpha", {"withdrawn": True}),
                ("bravo", {"valid_until": "2020-01-01"}),
                ("charlie", {"valid_from": "2090-01-01"}),
            ):
                assert client.patch(f"/admin/tracks/{track_id}", json=facts).status_code == 200
            told = client.get(place).json()["result"]
            assert {one["track_id"] for one in told["results"]} == {"charlie", "delta", "echo"}
            assert told["warnings"][0].startswith("2 of 5 tracks are left out")

    def test_of_a_part_of_the_video(self, client: TestClient, clip: bytes) -> None:
        video = raw(client, clip, start_s=1.0, end_s=3.5).json()
        sent = client.post("/recommend", json=features_of(client, clip, start_s=1.0, end_s=3.5)).json()
        assert sent["results"] == video["results"]

    def test_rows_may_be_numbers_and_extra_inputs_are_left_out(self, client: TestClient, clip: bytes) -> None:
        body = features_of(client, clip)
        expected = client.post("/recommend", json=body).json()["results"]
        for each in body["features"].values():
            values = np.frombuffer(base64.b64decode(each["rows"]), "<f4").reshape(len(each["times_s"]), -1)
            each["rows"] = values.tolist()
        body["features"]["audio"] = {"times_s": [0.0], "rows": [[1.0]]}
        first, again = (client.post("/recommend", json=body) for _ in range(2))
        assert first.json()["results"] == expected
        assert again.headers["x-yuyin-cache"] == "hit"

    @pytest.mark.parametrize(
        "change",
        [
            {"video": {"frames_per_s": 2.0}},
            {"extractors": {"frames": "lite-frames@999"}},
            {"extractors": {"motion": None}},
            {"precision": "int8"},
        ],
    )
    def test_a_foreign_recipe_is_refused(
        self, client: TestClient, clip: bytes, change: dict[str, Any]
    ) -> None:
        body = features_of(client, clip)
        ((part, changes),) = change.items()
        if isinstance(changes, dict):
            kept = {**body["recipe"][part], **changes}
            body["recipe"][part] = {name: value for name, value in kept.items() if value is not None}
        else:
            body["recipe"][part] = changes
        answer = client.post("/recommend", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "mismatch")
        assert part in answer.json()["detail"]
        assert "/version" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"features": {}}, "missing"),
            ({"features": {"frames": {"times_s": [0], "rows": [[1]]}}}, "motion"),
            ({"duration_s": None}, "duration_s"),
            ({"duration_s": 0}, "duration_s"),
            ({"recipe": None}, "recipe"),
            ({"options": {"start_s": 1}}, "start_s"),
            ({"options": {"top_k": 1000}}, "top_k"),
            ({"upload_id": "0" * 32}, "exactly one"),
            ({"tempo": 3}, "tempo"),
        ],
    )
    def test_what_does_not_fit_is_refused(
        self, client: TestClient, clip: bytes, change: dict[str, Any], named: str
    ) -> None:
        answer = client.post("/recommend", json=features_of(client, clip) | change)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_options"), answer.text
        assert named in answer.json()["detail"]

    @pytest.mark.parametrize(
        "rows", ["!", "AAAA", [[1.0] * 5], [], [["a"]], base64.b64encode(b"\0\0\x80\x7f" * 67).decode()]
    )
    def test_rows_of_another_shape_are_refused(self, client: TestClient, clip: bytes, rows: Any) -> None:
        body = features_of(client, clip)
        body["features"]["frames"] = {"times_s": [0.0], "rows": rows}
        answer = client.post("/recommend", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_options"), answer.text
        assert "frames" in answer.json()["detail"]

    def test_times_that_go_back_and_giants_are_refused(self, client: TestClient, clip: bytes) -> None:
        body = features_of(client, clip)
        body["features"]["frames"]["times_s"] = body["features"]["frames"]["times_s"][::-1]
        assert "times_s" in client.post("/recommend", json=body).json()["detail"]
        giant = b'{"features":{"a":{"times_s":[0],"rows":"' + b"A" * (9 << 20) + b'"}}}'
        answer = client.post("/recommend", content=giant, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        for broken in (b"", b"{", b"[1]", b'"x"', b"{}", b"\xff"):
            answer = client.post("/recommend", content=broken, headers={"content-type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
        many = b"{" + b",".join(b'"%s%d":1' % (b"x" * 50, i) for i in range(50_000)) + b"}"
        answer = client.post("/recommend", content=many, headers={"content-type": "application/json"})
        assert answer.status_code == 422
        assert len(answer.content) < 10_000

    def test_options_in_two_places(self, client: TestClient, clip: bytes) -> None:
        answer = client.post("/recommend", json=features_of(client, clip), params={"options": "{}"})
        assert answer.json()["code"] == "bad_options"


def jpeg(picture: np.ndarray) -> str:
    out = BytesIO()
    with av.open(out, "w", format="image2pipe") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return base64.b64encode(out.getvalue()).decode()


def test_pictures_alone_are_refused_where_motion_counts(client: TestClient) -> None:
    picture = jpeg(np.zeros((90, 160, 3), np.uint8))
    body = {"frames": [{"t_s": 0.0, "image": picture}], "duration_s": 4.0}
    answer = client.post("/recommend", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
    assert "features" in answer.json()["detail"]


def test_the_document_describes_every_kind_of_body(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path in ("/recommend", "/v1/recommend"):
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]
        assert set(content) == {"multipart/form-data", "application/octet-stream", "application/json"}
        assert {"200", "202", "404", "409", "413", "422", "429"} <= set(operation["responses"])
        names = {one["name"].lower() for one in operation["parameters"]}
        assert {"prefer", "idempotency-key", "options"} <= names
    schemas = document["components"]["schemas"]
    assert {"frames", "features", "upload_id", "options", "recipe"} <= set(schemas["Question"]["properties"])
    for name in ("SentFrame", "SentFeatures", "SentRecipe", "Recommendation", "Job", "KeptUpload"):
        assert name in schemas
