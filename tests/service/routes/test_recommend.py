import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
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
        assert set(result) == {*fields.split(), "licence", "reasons", "audio_url", "peaks_url"}
        assert all(set(one) == {"factor", "strength", "text"} for one in result["reasons"])
        assert 0 <= result["percentile"] <= 1
        assert result["cosine"] == result["score"]
        assert [set(one) for one in result["segments"]] == [{"start_s", "end_s", "score", "ends_early"}]
    assert body["no_good_match"] is (body["results"][0]["score"] < 0)  # the threshold of this bundle
    assert {body["rights"], *(r["licence"] for r in body["results"])} == {None}
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
        ({"artists": ["ARTIST "]}, {"alpha", "bravo", "charlie", "delta", "echo"}, {}),
        ({"artists": ["Nobody"]}, set(), {"artists": 5}),
        ({"energy": {"min": 0}}, {"alpha", "bravo", "charlie", "delta", "echo"}, {}),
        ({"energy": {"min": 1.5}, "artists": ["Nobody"]}, set(), {"energy": 5}),
        ({"vocals": False}, set(), {"vocals": 5}),  # nobody said of these tracks
        ({"explicit": True}, set(), {"explicit": 5}),
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
        ({"text": "sad"}, "happy, calm"),
        ({"reference_track_ids": ["alpha", "nobody"]}, "'nobody'"),
        ({"reference_track_ids": ["alpha"], "weights": [1, 2]}, "weights"),
        ({"diversity": 1.5}, "diversity"),
        ({"top_k": 1000}, "top_k"),
        ({"filters": {"tempo": []}}, "tempo"),
    ],
)
def test_options_that_cannot_be_used_are_refused(
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
        "decode",
        "features",
        "tower",
        "search",
        "calibrate",
        "reasons",
        "total",
    }


def test_a_text_that_is_not_known_is_answered_with_the_list(client: TestClient, clip: bytes) -> None:
    answer = ask(client, clip, text="sad")
    assert answer.json()["tags"] == client.get("/version").json()["tags"] == ["happy", "calm"]


def order_of(body: dict[str, Any]) -> list[str]:
    return [one["track_id"] for one in body["results"]]


def test_text_and_references_move_the_ranking_and_not_the_verdict(client: TestClient, clip: bytes) -> None:
    plain = ask(client, clip).json()
    judged = {one["track_id"]: (one["cosine"], one["percentile"]) for one in plain["results"]}
    last = order_of(plain)[-1]
    towards = ask(client, clip, reference_track_ids=[last], weights=[10]).json()
    assert order_of(towards)[0] == last
    away = ask(client, clip, reference_track_ids=[order_of(plain)[0]], weights=[-10]).json()
    assert order_of(away)[0] != order_of(plain)[0]
    worded = ask(client, clip, text="Happy").json()
    for body in (towards, away, worded):
        assert sorted(order_of(body)) == sorted(judged)
        assert {one["track_id"]: (one["cosine"], one["percentile"]) for one in body["results"]} == judged
        assert [one["score"] for one in body["results"]] != [one["score"] for one in plain["results"]]
        assert body["no_good_match"] == plain["no_good_match"]
    assert "reference" in {one["factor"] for one in towards["results"][0]["reasons"]}


def test_reasons_are_told_in_words(client: TestClient, clip: bytes) -> None:
    reasons = [one for result in ask(client, clip).json()["results"] for one in result["reasons"]]
    assert reasons
    assert {one["factor"] for one in reasons} <= {"tempo", "energy", "mood", "category"}
    assert all(0.1 <= one["strength"] <= 1 and one["text"] for one in reasons)


def test_one_per_artist_diversity_and_more_moments(client: TestClient, clip: bytes) -> None:
    plain = ask(client, clip).json()
    single = ask(client, clip, max_per_artist=1).json()  # all of this pool is by one artist
    assert order_of(single) == order_of(plain)[:1]
    assert single["excluded"] == {"max_per_artist": 4}
    both = ask(client, clip, max_per_artist=2, top_k=1, filters={"genres": ["pop"]}).json()
    assert both["excluded"] == {"genres": 2, "max_per_artist": 1}
    diverse = ask(client, clip, diversity=1).json()
    assert order_of(diverse)[0] == order_of(plain)[0]
    assert sorted(order_of(diverse)) == sorted(order_of(plain))
    assert lasting(ask(client, clip, diversity=0, segments_per_track=1).json()) == lasting(plain)
    for one in ask(client, clip, segments_per_track=3).json()["results"]:
        spans = sorted((span["start_s"], span["end_s"]) for span in one["segments"])
        assert 1 <= len(spans) <= 3
        assert all(end_s <= start_s for (_, end_s), (start_s, _) in pairwise(spans))
        scores = [span["score"] for span in one["segments"]]
        assert scores == sorted(scores, reverse=True)


def test_any_key_finds_the_tracks_that_have_it(client: TestClient, clip: bytes) -> None:
    keys = {one["track_id"]: one["key"] for one in ask(client, clip).json()["results"]}
    for key in {one for one in keys.values() if one}:
        spelt = key.replace(" minor", "m").replace(" major", "").upper().replace("M", "m")
        found = ask(client, clip, filters={"key": [spelt, "no key at all"]}).json()
        assert set(order_of(found)) == {name for name, own in keys.items() if own == key}


ASKED = [
    {},
    {"text": "calm"},
    {"reference_track_ids": ["alpha", "echo"], "weights": [1.5, -0.5], "text": "happy"},
    {"diversity": 0.5, "max_per_artist": 3, "segments_per_track": 2},
    {"filters": {"key": ["Am", "C"], "energy": {"max": 0.9}}, "diversity": 0.2},
]


def test_the_same_question_has_the_same_answer_whoever_else_asks(client: TestClient, clip: bytes) -> None:
    alone = [lasting(ask(client, clip, **options).json()) for options in ASKED]
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, client, clip, **options) for options in ASKED for _ in range(2)]
        crowded = [lasting(each.result().json()) for each in asked]
    assert crowded[::2] == crowded[1::2] == alone
