from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from model.bundle import shipped_cuts
from service.app import create_app
from service.settings import Settings

HOST = "http://127.0.0.1:8000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "cuts"
    place.mkdir()
    for name in ("2-dark_and cool.mp4", "1-quick-one.webm", "7.mp4", "notes.txt", "über #1?.mp4"):
        (place / name).write_bytes(name.encode())
    (place / "folder.mp4").mkdir()
    (tmp_path / "outside.mp4").write_bytes(b"secret")
    return place


@pytest.fixture
def client(built_store: Path, folder: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(store=built_store, samples=folder)), base_url=HOST) as running:
        yield running


def test_the_clips_of_the_folder_by_name(client: TestClient) -> None:
    samples = client.get("/v1/samples").json()["samples"]
    assert [sample["title"] for sample in samples] == ["Quick one", "Dark and cool", "7", "Über #1?"]
    for sample in samples:
        answer = client.get(sample["video_url"])
        assert (answer.status_code, answer.content) == (200, sample["name"].encode())
        assert answer.headers["content-type"] in ("video/mp4", "video/webm")


@pytest.mark.parametrize(
    "name", ["none.mp4", "notes.txt", "folder.mp4", "..%2Foutside.mp4", "%2E%2E%2Foutside.mp4", "%00"]
)
def test_nothing_else_comes_out(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/samples/{name}").status_code == 404


def test_none_unless_set(built_store: Path, tmp_path: Path) -> None:
    for settings in (Settings(store=built_store), Settings(store=built_store, samples=tmp_path / "gone")):
        with TestClient(create_app(settings), base_url=HOST) as client:
            assert client.get("/v1/samples").json() == {"samples": []}


def test_the_shipped_cuts_are_short_and_playable_in_every_browser() -> None:
    import av

    files = sorted(shipped_cuts().glob("*.mp4"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) < 2_000_000
    for file in files:
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert 10 <= float(container.duration / av.time_base) <= 20
