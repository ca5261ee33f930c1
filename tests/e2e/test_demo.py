"""`yuyin demo` from nothing, as a visitor meets it: a real server, real clips, every kind of broken file."""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

CLIP = "video/mmaction2/demo/demo.mp4"
BROKEN = {
    "video/made/text_named.mp4": (415, "not_media"),
    "video/made/zero_bytes.mp4": (422, "empty_body"),
    "video/media/mp4/sample_audio_only_15s.mp4": (415, "no_video_stream"),
    "video/media/drm/sample_fragmented_clearkey.mp4": (422, "encrypted"),
}


def call(url: str, data: bytes | None = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a request."""
    headers = {"Content-Type": "application/octet-stream"} if data is not None else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        problem = json.load(error) | {"media_type": error.headers["Content-Type"]}
        return error.code, problem


@pytest.fixture(scope="module")
def server(shop, serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`yuyin demo` on the prepared store, on a free port, with sockets to the outside closed."""
    log = tmp_path_factory.mktemp("server") / "log"
    fence = tmp_path_factory.mktemp("fence")
    (fence / "sitecustomize.py").write_text(
        "import socket, sys\n"
        "def watch(event, args):\n"
        "    if event == 'socket.connect' and isinstance(args[1], tuple):\n"
        "        if args[1][0] not in ('127.0.0.1', '::1'):\n"
        "            raise OSError(f'no way out: {args[1]}')\n"
        "sys.addaudithook(watch)\n"
    )
    command = [sys.executable, "-m", "yuyin", "demo", "--port", "0", "--store", str(shop.store)]
    with serving(command, log, env=os.environ | {"PYTHONPATH": str(fence)}) as address:
        yield address


def test_a_real_clip_gets_ten_tracks_with_a_moment_to_start_from_twice_the_same(
    server: str, shared_data: Path
) -> None:
    body = (shared_data / CLIP).read_bytes()
    (status, first), (again, second) = (call(f"{server}/recommend", body) for _ in range(2))
    assert (status, again) == (200, 200)
    assert [result["rank"] for result in first["results"]] == list(range(1, 11))
    length_s = first["video"]["duration_s"]
    for result in first["results"]:
        span = result["segments"][0]
        assert span["end_s"] - span["start_s"] == pytest.approx(length_s, abs=0.01)
        assert result["title"]
    for changing in ("request_id", "timings_ms"):
        first.pop(changing), second.pop(changing)
    assert first == second


def test_every_broken_file_has_its_own_answer_and_the_server_lives_on(
    server: str, shared_data: Path, tmp_path: Path
) -> None:
    for name, (status, code) in BROKEN.items():
        answered, problem = call(f"{server}/recommend", (shared_data / name).read_bytes())
        assert (answered, problem["code"]) == (status, code), name
        assert problem["media_type"] == "application/problem+json"
    cut_off = (shared_data / CLIP).read_bytes()[:600]
    status, problem = call(f"{server}/recommend", cut_off)
    assert (status, problem["code"]) == (422, "cannot_decode")
    assert call(f"{server}/recommend", (shared_data / CLIP).read_bytes())[0] == 200
    assert call(f"{server}/readyz")[1]["status"] == "ready"


def test_the_audio_of_a_result_can_be_fetched(server: str, shared_data: Path) -> None:
    _, found = call(f"{server}/recommend", (shared_data / CLIP).read_bytes())
    with urllib.request.urlopen(server + found["results"][0]["audio_url"], timeout=30) as response:
        assert response.headers["Content-Type"] == "audio/mp4"
        assert b"ftyp" in response.read(64)
