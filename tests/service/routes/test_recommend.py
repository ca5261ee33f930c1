import hashlib
import json
from pathlib import Path
from typing import Any

import av
import pytest
from fastapi.testclient import TestClient

CHANGING = ("request_id", "timings_ms")


def ask(client: TestClient, video: bytes, **options: Any) -> Any:
    data = {"options": json.dumps(options)} if options else None
    return client.post("/recommend", files={"video": ("cut.mp4", video)}, data=data)


def lasting(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in CHANGING}


def test_the_answer_has_the_fields_of_the_design(client: TestClient, clip: bytes) -> None:
    answer = ask(client, clip)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {
        "request_id",
        "snapshot",
        "bundle",
        "rights",
        "recipe",
        "warnings",
        "video",
        "results",
        "no_good_match",
        "excluded",
        "timings_ms",
    }
    assert set(body["video"]) == {
        "sha256",
        "duration_s",
        "width_px",
        "height_px",
        "fps",
        "rotation",
        "frames_used",
        "cuts_s",
    }
    fields = "rank track_id external_id title artist score cosine percentile segments bpm key loudness_lufs"
    for result in body["results"]:
        assert set(result) == {*fields.split(), "licence", "audio_url", "peaks_url"}
        assert [set(one) for one in result["segments"]] == [{"start_s", "end_s", "score", "ends_early"}]
    not_open = [
        body["rights"],
        body["no_good_match"],
        *(r[k] for r in body["results"] for k in ("percentile", "licence")),
    ]
    assert set(not_open) == {None}
    assert body["request_id"] == answer.headers["x-request-id"]


def test_what_was_seen_is_what_was_made(client: TestClient, clip: bytes) -> None:
    seen = ask(client, clip).json()["video"]
    assert seen["sha256"] == hashlib.sha256(clip).hexdigest()
    assert seen["duration_s"] == pytest.approx(4.0, abs=0.05)
    assert (seen["width_px"], seen["height_px"], seen["rotation"]) == (320, 180, 0)
    assert seen["fps"] == pytest.approx(25, abs=0.3)
    assert seen["cuts_s"] == [pytest.approx(2.0, abs=0.021)]


def test_tracks_are_ranked_and_fit_the_picture(client: TestClient, clip: bytes) -> None:
    results = ask(client, clip).json()["results"]
    assert [one["rank"] for one in results] == [1, 2, 3, 4, 5]
    assert {one["track_id"] for one in results} == {"alpha", "bravo", "charlie", "delta", "echo"}
    order = [(-one["score"], one["track_id"]) for one in results]
    assert order == sorted(order)
    for one in results:
        assert -1 <= one["score"] <= 1
        assert one["score"] == round(one["score"], 4) == one["segments"][0]["score"]
        assert one["segments"][0]["end_s"] - one["segments"][0]["start_s"] == pytest.approx(4.0, abs=0.05)


def test_the_same_bytes_give_the_same_answer_by_every_way(client: TestClient, clip: bytes) -> None:
    options = {"top_k": 3, "start_s": 0.5}
    first = lasting(ask(client, clip, **options).json())
    raw = client.post("/recommend", params={"options": json.dumps(options)}, content=clip)
    versioned = client.post(
        "/v1/recommend",
        files={"video": ("other-name.mov", clip, "video/x")},
        data={"options": json.dumps(options)},
    )
    for answer in (ask(client, clip, **options), raw, versioned):
        assert answer.status_code == 200, answer.text
        assert lasting(answer.json()) == first
    assert len(first["results"]) == 3


def test_a_part_of_the_video_is_a_query_of_its_own(client: TestClient, clip: bytes) -> None:
    part = ask(client, clip, start_s=2.2, end_s=3.8).json()
    for one in part["results"]:
        assert one["segments"][0]["end_s"] - one["segments"][0]["start_s"] == pytest.approx(1.6, abs=0.1)
    assert part["video"]["cuts_s"] == []
    assert part["video"]["duration_s"] == pytest.approx(4.0, abs=0.05)  # of the file, not of the part
    behind = ask(client, clip, start_s=60)
    assert (behind.status_code, behind.json()["code"]) == (422, "bad_options")


@pytest.mark.parametrize(
    ("filters", "left", "excluded"),
    [
        ({"genres": ["pop"]}, {"alpha", "charlie", "echo"}, {"genres": 2}),
        ({"genres": ["POP", "rock"]}, {"alpha", "bravo", "charlie", "delta", "echo"}, {}),
        ({"genres": ["pop"], "moods": ["happy"]}, {"echo"}, {"genres": 2, "moods": 2}),
        ({"duration_s": {"min": 17, "max": 21}}, {"charlie", "delta"}, {"duration_s": 3}),
        (
            {"include_ids": ["alpha", "echo", "none"], "exclude_ids": ["echo"]},
            {"alpha"},
            {"include_ids": 3, "exclude_ids": 1},
        ),
        ({"include_ids": []}, set(), {"include_ids": 5}),
        ({"genres": ["jazz"]}, set(), {"genres": 5}),
        ({"bpm": {"min": 1000}}, set(), {"bpm": 5}),
    ],
)
def test_filters_leave_what_they_say_and_count_the_rest(
    client: TestClient, clip: bytes, filters: dict[str, Any], left: set[str], excluded: dict[str, int]
) -> None:
    body = ask(client, clip, filters=filters).json()
    assert {one["track_id"] for one in body["results"]} == left
    assert body["excluded"] == excluded
    assert sum(excluded.values()) + len(left) == 5


def test_filters_do_not_change_scores(client: TestClient, clip: bytes) -> None:
    everything = {one["track_id"]: one["score"] for one in ask(client, clip).json()["results"]}
    some = ask(client, clip, filters={"genres": ["pop"]}).json()["results"]
    assert {one["track_id"]: one["score"] for one in some}.items() <= everything.items()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"text": "happy"}, "text"),
        ({"diversity": 0.5}, "diversity"),
        ({"top_k": 1000}, "top_k"),
        ({"filters": {"artists": []}}, "artists"),
    ],
)
def test_options_that_are_not_open_are_refused(
    client: TestClient, clip: bytes, options: dict[str, Any], named: str
) -> None:
    answer = ask(client, clip, **options)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
    assert named in answer.json()["detail"]


def test_options_in_the_wrong_place_are_refused(client: TestClient, clip: bytes) -> None:
    loose = client.post("/recommend", params={"top_k": 3}, content=clip)
    assert (loose.status_code, loose.json()["code"]) == (422, "bad_options")
    assert "top_k" in loose.json()["detail"]
    files = {"video": ("a.mp4", clip)}
    twice = client.post("/recommend", params={"options": "{}"}, files=files, data={"options": "{}"})
    assert twice.status_code == 422


BAD = [
    ("made/text_named.mp4", None, 415, "not_media"),
    ("made/zero_bytes.mp4", None, 422, "empty_body"),
    ("media/mp4/sample_audio_only_15s.mp4", None, 415, "no_video_stream"),
    ("media/drm/sample_fragmented_clearkey.mp4", None, 422, "encrypted"),
    ("synthetic_ads/hat_01.mp4", 600, 422, "cannot_decode"),  # cut off in its header
]


@pytest.mark.parametrize(("name", "first_bytes", "status", "code"), BAD)
def test_each_bad_file_has_its_own_answer_and_the_server_lives_on(
    client: TestClient,
    clip: bytes,
    shared_data: Path,
    name: str,
    first_bytes: int | None,
    status: int,
    code: str,
) -> None:
    video = (shared_data / "video" / name).read_bytes()[:first_bytes]
    for answer in (ask(client, video), client.post("/recommend", content=video)):
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "/" not in answer.json()["detail"]  # no path of ours
        assert Path(name).name not in answer.text
    assert ask(client, clip).status_code == 200


def test_what_is_left_of_a_truncated_video_is_used(client: TestClient, shared_data: Path) -> None:
    answer = ask(client, (shared_data / "video/made/truncated_half.mkv").read_bytes())
    assert answer.status_code == 200
    assert answer.json()["warnings"] == ["truncated"]


def test_a_real_advert_is_answered(client: TestClient, shared_data: Path) -> None:
    path = shared_data / "video/synthetic_ads/hat_01.mp4"
    body = ask(client, path.read_bytes()).json()
    with av.open(str(path)) as container:  # another reader's word
        stream = container.streams.video[0]
        assert (body["video"]["width_px"], body["video"]["height_px"]) == (stream.width, stream.height)
        assert body["video"]["fps"] == pytest.approx(float(stream.average_rate), rel=0.01)
    assert len(body["results"]) == 5
    short = next(one for one in body["results"] if one["track_id"] == "alpha")  # 6 s of music for 8 s
    assert short["segments"] == [short["segments"][0] | {"start_s": 0.0, "end_s": 6.0, "ends_early": True}]
    assert set(body["timings_ms"]) == {
        "upload",
        "queue",
        "hash",
        "decode",
        "features",
        "tower",
        "search",
        "total",
    }
