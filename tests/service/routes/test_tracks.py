import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import av
import pytest
from fastapi.testclient import TestClient

from index_builder.rights.versions import order
from service.app import create_app
from service.edge import links
from service.edge.keys import new_key
from service.settings import KeyEntry, Scope, Settings

HOST = "http://127.0.0.1:8000"


def media(store: Path, client: TestClient, track_id: str, name: str) -> bytes:
    """The file itself, found without the service: the pool's file by its hash."""
    import sqlite3

    snapshot = (store / "CURRENT").read_text().strip()
    with sqlite3.connect(store / "snapshots" / snapshot / "catalogue.sqlite") as database:
        query = "SELECT media_sha256 FROM tracks WHERE track_id = ?"
        (sha256,) = database.execute(query, (track_id,)).fetchone()
    database.close()
    return (store / "media" / sha256 / name).read_bytes()


def test_pages_cover_every_track_once(client: TestClient) -> None:
    seen: list[str] = []
    for offset in range(0, 6, 2):
        page = client.get("/v1/tracks", params={"offset": offset, "limit": 2}).json()
        assert (page["total"], page["offset"]) == (5, offset)
        seen += [track["track_id"] for track in page["tracks"]]
    assert seen == ["alpha", "bravo", "charlie", "delta", "echo"]
    assert client.get("/v1/tracks", params={"offset": 99}).json()["tracks"] == []


@pytest.mark.parametrize("query", [{"offset": -1}, {"limit": 0}, {"limit": 501}, {"limit": "x"}])
def test_pages_that_cannot_be(client: TestClient, query: dict[str, Any]) -> None:
    answer = client.get("/v1/tracks", params=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")


def test_one_track(client: TestClient) -> None:
    track = client.get("/v1/tracks/charlie").json()
    assert track == next(t for t in client.get("/v1/tracks").json()["tracks"] if t["track_id"] == "charlie")
    assert (track["title"], track["artist"]) == ("Title 2", "Artist")
    assert (track["genres"], track["moods"]) == (["pop"], ["calm"])
    assert track["duration_s"] == pytest.approx(17, abs=0.01)
    assert {"bpm", "duration_s"} <= set(track["measured"])
    assert "title" not in track["measured"]


@pytest.mark.parametrize("way", ["", "/audio", "/peaks"])
@pytest.mark.parametrize("track_id", ["none", "..%2F..%2FCURRENT", "%00", "alpha%2F..", "a'--"])
def test_unknown_tracks_are_not_found(client: TestClient, track_id: str, way: str) -> None:
    answer = client.get(f"/v1/tracks/{track_id}{way}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_preview_is_the_file_whole_and_in_parts(client: TestClient, built_store: Path) -> None:
    whole = media(built_store, client, "delta", "preview.m4a")
    answer = client.get("/v1/tracks/delta/audio")
    assert (answer.status_code, answer.content) == (200, whole)
    assert answer.headers["content-type"] == "audio/mp4"
    size = len(whole)
    for header, part in (
        ("bytes=0-99", whole[:100]),
        (f"bytes={size // 2}-", whole[size // 2 :]),
        ("bytes=-7", whole[-7:]),
    ):
        answer = client.get("/v1/tracks/delta/audio", headers={"Range": header})
        assert (answer.status_code, answer.content) == (206, part)
    assert client.get("/v1/tracks/delta/audio", headers={"Range": f"bytes={size}-"}).status_code == 416
    head = client.head("/v1/tracks/delta/audio")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(size))
    again = client.get("/v1/tracks/delta/audio", headers={"If-None-Match": head.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_preview_plays(client: TestClient, tmp_path: Path) -> None:
    url = client.get("/v1/tracks/echo").json()["audio_url"]
    (tmp_path / "preview.m4a").write_bytes(client.get(url).content)
    with av.open(str(tmp_path / "preview.m4a")) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.name == "aac"
        played_s = sum(frame.samples for frame in container.decode(stream)) / stream.rate
    assert played_s == pytest.approx(26, abs=0.2)


def test_the_peaks_are_those_of_the_track(client: TestClient, built_store: Path) -> None:
    answer = client.get(client.get("/v1/tracks/bravo").json()["peaks_url"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == media(built_store, client, "bravo", "peaks.json")
    assert json.loads(answer.content)["duration_s"] == pytest.approx(12, abs=0.05)


def test_facets_count_what_the_tracks_say(client: TestClient) -> None:
    tracks = client.get("/v1/tracks").json()["tracks"]
    facets = client.get("/v1/facets").json()
    for facet in ("genres", "moods"):
        assert facets[facet] == Counter(value for track in tracks for value in track[facet])
    for fact in ("bpm", "duration_s"):
        known = [track[fact] for track in tracks if track[fact] is not None]
        assert facets[fact] == {"min": min(known), "max": max(known)}
    assert facets["top_k_max"] == 100
    assert (facets["tracks"], facets["snapshot"]) == (5, client.get("/v1/tracks").json()["snapshot"])


def keyed(store: Path, *scopes: Scope) -> tuple[TestClient, dict[str, str]]:
    key, sha256 = new_key()
    settings = Settings(store=store, keys={"who": KeyEntry(sha256=sha256, scopes=frozenset(scopes))})
    return TestClient(create_app(settings), base_url=HOST), {"Authorization": f"Bearer {key}"}


def test_a_link_plays_without_a_key_and_only_its_own_track(store: Path) -> None:
    client, key = keyed(store, "recommend")
    with client:
        assert client.get("/v1/tracks/delta/audio").status_code == 401
        assert client.get("/v1/tracks/delta/audio", headers=key).status_code == 403  # wants 'catalogue'
        links = client.post("/v1/media-links", json={"track_ids": ["delta", "none"]}, headers=key).json()
        assert list(links) == ["delta"]
        for name in ("audio_url", "peaks_url"):
            assert client.get(links["delta"][name]).status_code == 200
        part = client.get(links["delta"]["audio_url"], headers={"Range": "bytes=0-9"})
        assert (part.status_code, len(part.content)) == (206, 10)
        borrowed = client.get(links["delta"]["audio_url"].replace("delta", "alpha"))
        assert (borrowed.status_code, borrowed.json()["code"]) == (403, "forbidden")
        half = client.get(links["delta"]["audio_url"].partition("&")[0])
        assert half.status_code == 401
        ends = datetime.fromisoformat(links["delta"]["expires_at"])
        assert timedelta(minutes=59) < ends - datetime.now(UTC) <= timedelta(minutes=61)


def test_links_want_a_key_where_keys_are_set(store: Path) -> None:
    client, key = keyed(store, "admin")
    with client:
        for headers, status in ((None, 401), (key, 403)):
            answer = client.post("/v1/media-links", json={"track_ids": ["delta"]}, headers=headers)
            assert answer.status_code == status
            assert client.get("/v1/facets", headers=headers).status_code == status


@pytest.mark.parametrize(
    "body",
    [{}, {"track_ids": "delta"}, {"track_ids": ["x"] * 501}, {"track_ids": [], "a": 1}, {"track_ids": [""]}],
)
def test_links_that_cannot_be_asked_for(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/v1/media-links", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")


def test_half_a_character_is_no_id(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/media-links", content=b'{"track_ids": ["\\ud800"]}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")


def test_the_secret_is_in_no_log_line_and_no_signature_either(
    client: TestClient, built_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        link = client.post("/v1/media-links", json={"track_ids": ["alpha"]}).json()["alpha"]
        client.get(link["audio_url"])
    signature = link["audio_url"].partition("signature=")[2]
    assert len(signature) == 64
    mine = [record for record in caplog.records if record.name.startswith("yuyin")]
    assert mine
    assert all(signature not in str(vars(record)) for record in mine)


def test_a_withdrawn_track_is_heard_no_more_by_nobody(store: Path) -> None:
    """Withdrawn by another process: in force here within a second, for signed addresses and keys alike."""
    client, key = keyed(store, "catalogue", "admin")
    with client:
        asked = {"track_ids": ["charlie", "delta", "echo"]}
        links = client.post("/v1/media-links", json=asked, headers=key).json()
        etag = client.get(links["delta"]["audio_url"]).headers["etag"]
        took_s = []
        for track_id, link in links.items():
            order(store, track_id, {"withdrawn": True})
            began_s = time.monotonic()
            while client.get(link["audio_url"]).status_code == 200:
                assert time.monotonic() - began_s < 5, (
                    "another program may take the cores, but not for that long"
                )
            took_s.append(time.monotonic() - began_s)
        assert sorted(took_s)[1] < 1, "heard for longer than a second"
        link = links["delta"]
        for path in (link["audio_url"], link["peaks_url"]):
            for headers in ({}, {"If-None-Match": etag}, {"Range": "bytes=0-9"}):
                for method in ("GET", "HEAD"):
                    assert client.request(method, path, headers=headers).status_code == 404
        for name in ("audio", "peaks"):
            answer = client.get(f"/v1/tracks/delta/{name}", headers=key)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        asked = {"track_ids": ["alpha", "delta"]}
        assert list(client.post("/v1/media-links", json=asked, headers=key).json()) == ["alpha"]
        assert client.get("/v1/tracks/delta", headers=key).json()["licence"]["withdrawn"] is True

        assert client.patch("/admin/tracks/delta", json={"withdrawn": False}, headers=key).status_code == 200
        assert client.get(link["audio_url"]).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"expires": "99999999999"},
        {"expires": "-1"},
        {"expires": "1e9"},
        {"expires": "9" * 5000},
        {"expires": ""},
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "none"},
        {"signature": "sha256=0"},
        {"signature": "ü" * 64},
        {"signature": "0" * 10_000},
        {"shorter": "1"},
        {"upper": "1"},
    ],
)
def test_a_changed_link_opens_nothing(client: TestClient, change: dict[str, str]) -> None:
    """With keys or without, whoever sends a signature is judged by it alone."""
    link = client.post("/v1/media-links", json={"track_ids": ["delta"]}).json()["delta"]
    address, _, query = link["audio_url"].partition("?")
    sent = dict(parse_qsl(query))
    assert client.get(address, params=sent).status_code == 200
    if "shorter" in change:
        sent["signature"] = sent["signature"][:-1]
    elif "upper" in change:
        sent["signature"] = sent["signature"].upper()
        if sent["signature"].isdigit():
            pytest.skip("a signature without a letter")
    else:
        sent |= change
    answer = client.get(address, params=sent)
    assert answer.status_code in (403, 422), answer.text
    assert answer.json()["code"] in ("forbidden", "bad_options")


def test_each_signature_is_compared_in_constant_time(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    real = links.hmac.compare_digest

    def counting(ours: bytes, theirs: bytes) -> bool:
        compared.append(len(ours))
        return real(ours, theirs)

    monkeypatch.setattr(links.hmac, "compare_digest", counting)
    for signature in ("0", "0" * 64, "x" * 1000):
        client.get("/v1/tracks/delta/audio", params={"expires": 2**40, "signature": signature})
    assert compared == [64] * 3
