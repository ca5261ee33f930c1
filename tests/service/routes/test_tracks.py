import json
from pathlib import Path
from typing import Any

import av
import pytest
from fastapi.testclient import TestClient


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
