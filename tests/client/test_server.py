"""The client against a real server, both ways of asking: what it hands out is what the server says."""

import io
import json
import struct
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yuyin_client
from typer.testing import CliRunner
from yuyin_client import Client

from service.edge.keys import sha256_of_key
from service.settings import KeyEntry, Settings
from service.stores.feedback import read_feedback
from yuyin.cli.app import app

Ask = Callable[..., Any]


def picture() -> bytes:
    """A black PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(64) for _ in range(48)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


PICTURE = picture()


@pytest.fixture(scope="module")
def url(built_store: Path, live_long: Any) -> str:
    """Only read from."""
    return str(live_long(Settings(store=built_store)).url)


@pytest.fixture
def cut(tmp_path: Path, clip: bytes) -> Path:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip)
    return path


def plain(url: str, path: str, body: bytes | None = None) -> Any:
    """The oracle: the standard library."""
    kind = {"Content-Type": "application/octet-stream"}
    with urllib.request.urlopen(urllib.request.Request(url + path, body, kind), timeout=60) as answer:
        return json.load(answer)


def lasting(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("request_id", "timings_ms")}


def test_a_video_may_be_a_path_bytes_or_an_open_file(url: str, ask: Ask, cut: Path, clip: bytes) -> None:
    expected = lasting(plain(url, "/v1/recommend", clip))
    assert len(expected["results"]) == 5
    opened = io.BytesIO(b"before" + clip)
    opened.seek(6)
    for video in (cut, str(cut), clip, opened):
        assert lasting(ask(url, "recommend", video)) == expected
    with cut.open("rb") as file:
        assert lasting(ask(url, "recommend", file)) == expected


def test_options_by_name_and_as_a_mapping(url: str, ask: Ask, clip: bytes) -> None:
    found = ask(url, "recommend", clip, {"top_k": 4, "filters": {"genres": ["pop"]}}, top_k=2)
    expected = [each["track_id"] for each in plain(url, "/v1/recommend", clip)["results"]]
    pop = [track_id for track_id in expected if track_id in ("alpha", "charlie", "echo")]
    assert [each["track_id"] for each in found["results"]] == pop[:2]


def test_options_too_long_for_an_address_go_as_a_form(url: str, ask: Ask, cut: Path) -> None:
    others = [f"no such track {i} \u266b" for i in range(500)]
    found = ask(url, "recommend", cut, filters={"include_ids": ["bravo", *others]})
    assert [each["track_id"] for each in found["results"]] == ["bravo"]


def test_what_can_be_looked_at(url: str, ask: Ask) -> None:
    assert ask(url, "tracks", offset=1, limit=2) == plain(url, "/v1/tracks?offset=1&limit=2")
    assert ask(url, "track", "alpha") == plain(url, "/v1/tracks/alpha")
    assert ask(url, "facets") == plain(url, "/v1/facets")
    assert ask(url, "version") == plain(url, "/version")
    assert ask(url, "readyz")["status"] == "ready"
    assert ask(url, "snapshots") == plain(url, "/admin/snapshots")["snapshots"]
    links = ask(url, "media_links", ["alpha", "no-such-track"])
    assert set(links) == {"alpha"}
    why = ask(url, "eligibility", "zulu", territory="DE", product_link=True, platform=None)
    assert [each["reason"] for each in why["reasons"]] == ["not_indexed", "territory", "product_link"]


def test_an_id_arrives_as_it_is(url: str, ask: Ask) -> None:
    for odd in ("a/b", "100%41", "what?", "#1", "..", ".", "\u266b \u00e9", "a//b", "a\\b"):
        assert ask(url, "eligibility", odd)["track_id"] == odd
        with pytest.raises(yuyin_client.NotFound, match="no track") as refused:
            ask(url, "track", odd)
        assert refused.value.code == "not_found"


def test_refusals_come_as_their_kind(url: str, ask: Ask) -> None:
    with pytest.raises(yuyin_client.MediaRefused) as media:
        ask(url, "recommend", b"no video at all" * 100)
    assert (media.value.status, media.value.code) == (415, "not_media")
    assert len(media.value.request_id) == 32
    assert media.value.detail
    assert media.value.detail in str(media.value)
    with pytest.raises(yuyin_client.BadOptions, match="top_k"):
        ask(url, "recommend", b"", top_k=1000)
    with pytest.raises(yuyin_client.MediaRefused) as empty:
        ask(url, "recommend", b"")
    assert empty.value.code == "empty_body"
    with pytest.raises(yuyin_client.NotFound):
        ask(url, "wait", "0" * 32)


def test_keys_open_what_they_open(built_store: Path, live: Any, ask: Ask) -> None:
    keys: dict[str, Any] = {
        "page": KeyEntry(sha256=sha256_of_key("k-recommend"), scopes=frozenset({"recommend"}))
    }
    url = live(Settings(store=built_store, keys=keys)).url
    assert ask(url, "version", client={"key": "k-recommend"})["system"] == "projection"
    with pytest.raises(yuyin_client.Unauthenticated):
        ask(url, "version")
    with pytest.raises(yuyin_client.Forbidden):
        ask(url, "tracks", client={"key": "k-recommend"})


def test_feedback_is_kept_under_ids_of_the_client(store: Path, live: Any, ask: Ask, clip: bytes) -> None:
    url = live(Settings(store=store)).url
    answer = ask(url, "recommend", clip)
    first = answer["results"][0]
    event = {
        "request_id": answer["request_id"],
        "track_id": first["track_id"],
        "event": "exported",
        "start_s": first["segments"][0]["start_s"],
        "video_sha256": answer["video"]["sha256"],
        "snapshot": answer["snapshot"],
        "rank": first["rank"],
    }
    one = ask(url, "feedback", event)
    two = ask(url, "feedback", [event | {"event": "played", "event_id": "mine-0001"}, event])
    kept = {record.event_id: record for record in read_feedback(store)}
    assert set(kept) == {*one, *two}
    assert len(kept) == 3
    assert two[0] == "mine-0001"
    assert kept[one[0]].model_dump(include=set(event)) == event


def test_an_upload_is_asked_about_more_than_once(store: Path, live: Any, ask: Ask, clip: bytes) -> None:
    url = live(Settings(store=store)).url
    kept = ask(url, "upload", clip)
    expected = lasting(plain(url, "/v1/recommend", clip))
    assert lasting(ask(url, "recommend", kept)) == expected
    few = ask(url, "recommend", kept, top_k=1)
    assert few["results"] == expected["results"][:1]
    assert ask(url, "uploaded", kept["upload_id"]) == kept
    assert ask(url, "delete_upload", kept["upload_id"]) is None
    with pytest.raises(yuyin_client.NotFound):
        ask(url, "recommend", kept)


def test_features_go_in_the_place_of_the_video(
    url: str, ask: Ask, cut: Path, clip: bytes, bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "cut.json"
    words = ["features", "video", str(cut), "-o", str(file), "--bundle", str(bundles[0])]
    assert CliRunner().invoke(app, words).exit_code == 0
    found = ask(url, "recommend", json.loads(file.read_text()), top_k=3)
    assert found["results"] == plain(url, "/v1/recommend", clip)["results"][:3]


def test_pictures_arrive(url: str, ask: Ask) -> None:
    """This server's bundle looks at motion, and says so."""
    with pytest.raises(yuyin_client.BadOptions, match="features"):
        ask(url, "recommend_frames", [(0.0, PICTURE)], 4.0)


def test_a_job_recommends_what_a_request_does(store: Path, live: Any, ask: Ask, clip: bytes) -> None:
    url = live(Settings(store=store)).url
    job = ask(url, "recommend_async", clip, top_k=2)
    assert job["kind"] == "recommend"
    found = ask(url, "wait", job["id"], timeout_s=60)["result"]
    assert found["results"] == plain(url, "/v1/recommend", clip)["results"][:2]


def test_a_call_that_is_repeated_under_its_key_is_answered_once(url: str, clip: bytes) -> None:
    """What `exchange` counts on: the server knows the key again."""
    headers = {"Idempotency-Key": "4b1c", "Content-Type": "application/octet-stream"}
    asked = urllib.request.Request(f"{url}/v1/recommend", clip, headers)
    answers = [urllib.request.urlopen(asked, timeout=60).read() for _ in range(2)]
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_a_reindex_is_followed_to_its_end_and_back(
    store: Path, pool: Path, live: Any, ask: Ask, bundles: tuple[Path, Path]
) -> None:
    url = live(Settings(store=store, pools={"house": pool})).url
    (before,) = ask(url, "snapshots")
    job = ask(url, "reindex", pool="house", recompute=True)
    assert job["state"] in ("queued", "running")
    with pytest.raises(yuyin_client.ReindexRunning) as running:
        ask(url, "reindex")
    assert running.value.problem["job"] == job["id"]
    seen = ask(url, "follow", job["id"], timeout_s=120)
    assert seen[-1]["state"] == "done"
    versions = [each["version"] for each in seen]
    assert versions == sorted(set(versions))
    assert ask(url, "wait", job["id"]) == seen[-1] == ask(url, "job", job["id"])
    assert ask(url, "activate", before["id"])["current"]


def test_a_job_that_was_cancelled_has_failed(store: Path, pool: Path, live: Any, ask: Ask) -> None:
    url = live(Settings(store=store, pools={"house": pool})).url
    job = ask(url, "reindex", recompute=True)
    ask(url, "cancel_job", job["id"])
    with pytest.raises(yuyin_client.JobFailed) as failed:
        ask(url, "wait", job["id"], timeout_s=60)
    assert failed.value.code == "cancelled"
    assert failed.value.job["id"] == job["id"]


def test_a_track_is_withdrawn_and_given_back(store: Path, live: Any, ask: Ask) -> None:
    url = live(Settings(store=store)).url
    assert ask(url, "patch_track", "bravo", withdrawn=True)["licence"]["withdrawn"]
    assert not ask(url, "eligibility", "bravo")["eligible"]
    back = ask(url, "patch_track", "bravo", withdrawn=False, valid_until=None)
    assert not back["licence"]["withdrawn"]


def test_nobody_there_is_said(ask: Ask) -> None:
    retries = yuyin_client.Retries(tries=2, first_wait_s=0.01)
    with pytest.raises(yuyin_client.Unreachable) as gone:
        ask("http://127.0.0.1:9", "version", client={"retries": retries})
    assert (gone.value.code, gone.value.status) == ("unreachable", None)


def test_one_client_serves_many_threads(url: str, clip: bytes) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with Client(url) as client, ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: lasting(dict(client.recommend(clip))), range(8)))  # type: ignore[arg-type]
    assert all(each == found[0] for each in found)
