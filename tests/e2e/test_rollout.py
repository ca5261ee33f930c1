"""A real pool: indexed, recommended from, and moved to a new bundle while requests run."""

import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from index_builder.snapshot import current, verify
from model.artifact import write_json
from model.bundle import MANIFEST, Bundle, bundle_id, shipped_bundle
from service.app import create_app
from service.settings import Settings

pytestmark = pytest.mark.slow

CLIP = "video/mmaction2/demo/demo.mp4"


def build(store: Path, pool: Path, *more: str) -> dict:
    """`yuyin index build` as a user runs it."""
    command = [
        sys.executable,
        "-m",
        "yuyin",
        "index",
        "build",
        str(pool),
        "--store",
        str(store),
        "--json",
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def another_bundle(folder: Path) -> Path:
    """The shipped towers under another manifest: a bundle of its own, as a retrained one would be."""
    shutil.copytree(shipped_bundle(), folder)
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    manifest["no_match_threshold"] = manifest["no_match_threshold"] - 0.01
    write_json(folder / MANIFEST, {**manifest, "id": bundle_id(manifest)})
    return folder


def test_index_recommend_and_roll_out_without_a_failed_request(shared_data: Path, tmp_path: Path) -> None:
    store, pool = tmp_path / "store", shared_data / "music" / "kevin_macleod"
    first = build(store, pool)
    assert (first["tracks"], first["computed"], first["skipped"]) == (5, 5, [])
    again = build(store, pool)
    assert (again["computed"], again["reused"]) == (0, 5)
    new = Bundle.open(another_bundle(tmp_path / "new"))
    shutil.copytree(new.folder, store / "bundles" / new.id)

    clip = (shared_data / CLIP).read_bytes()
    settings = Settings(store=store, pools={"house": pool}, default_pool="house")
    legal = {(current(store), first["bundle"])}
    seen: Counter[tuple[str, str]] = Counter()
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                answer = client.post("/recommend", content=clip)
                assert answer.status_code == 200, answer.text
                body = answer.json()
                assert len(body["results"]) == 5
                seen[body["snapshot"], body["bundle"]] += 1

        asking = threading.Thread(target=ask)
        asking.start()
        job = client.post("/admin/reindex", json={"bundle": new.id}).json()
        while job["state"] in ("queued", "running"):
            job = client.get(f"/v1/jobs/{job['id']}").json()
        for _ in range(3):
            assert client.post("/recommend", content=clip).json()["bundle"] == new.id
        stop.set()
        asking.join(60)
        assert job["state"] == "done", job
        legal.add((current(store), new.id))
    assert set(seen) <= legal
    assert sum(seen.values()) >= 2
    verify(store, str(current(store)))
