"""An editor's export, told to a running server, becomes a pair that features can be extracted of."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from model.artifact import sha256_of
from model.datasets.synth.pool import render_pool
from model.datasets.table import Dataset
from model.media.encode import VideoWriter
from service.app import create_app
from service.settings import Settings

pytestmark = pytest.mark.slow
HOST = "http://127.0.0.1:8000"


def yuyin(*words: object, code: int = 0) -> str:
    command = [sys.executable, "-m", "yuyin", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


def test_events_become_a_dataset_with_features(tmp_path: Path) -> None:
    pool, store, cuts, out = (tmp_path / name for name in ("music", "store", "cuts", "dataset"))
    render_pool(pool, tracks=3, longest_s=30.0, processes=1, progress=lambda done, of: None)
    yuyin("index", "build", pool, "--store", store, "--processes", "1")
    (cuts / "hats").mkdir(parents=True)
    videos = [cuts / "hats" / f"cut{i}.mp4" for i in range(2)]
    for i, path in enumerate(videos):
        with VideoWriter(path, 96, 64, 25) as video:
            for frame in range(125):
                video.write(np.full((64, 96, 3), (frame * (i + 1)) % 255, np.uint8))
    with TestClient(create_app(Settings(store=store)), base_url=HOST) as client:
        for path in videos:
            answer = client.post("/v1/recommend", content=path.read_bytes()).json()
            assert answer["video"]["sha256"] == sha256_of(path)
            events = [
                {
                    "request_id": answer["request_id"],
                    "track_id": result["track_id"],
                    "event": event,
                    "start_s": result["segments"][0]["start_s"],
                    "video_sha256": answer["video"]["sha256"],
                    "snapshot": answer["snapshot"],
                    "rank": result["rank"],
                }
                for result, event in zip(answer["results"], ("exported", "rejected", "played"), strict=True)
            ]
            assert client.post("/v1/feedback", json=events).status_code == 201
    said = yuyin("dataset", "from-feedback", "--store", store, "--videos", cuts, "--pool", pool, "-o", out)
    assert "2 pairs of" in said
    assert "2 rejected ones, of 6 events" in said
    assert "only played" in said
    dataset = Dataset.open(out)
    assert set(dataset.pairs["category"].tolist()) == {"hats"}
    yuyin("features", "extract", out, "--processes", "1")
    features = Dataset.open(out).features("motion")
    assert len(features) == 2
    videos[0].unlink()
    again = tmp_path / "again"
    said = yuyin(
        "dataset", "from-feedback", "--store", store, "--videos", cuts, "--pool", pool, "-o", again, code=1
    )
    assert "no file with these bytes" in said
    assert "1 pairs of" in said
