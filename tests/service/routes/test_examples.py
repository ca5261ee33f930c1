"""Every command that /docs shows is run as it is printed, by curl in a shell, against a real server."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.routes.examples import EXAMPLES, HOST
from service.settings import Settings

# what a reader would put in the place of the names, and which answer tells it
TOLD = {"post /v1/uploads": ("UPLOAD_ID", "upload_id"), "post /admin/reindex": ("JOB_ID", "id")}


def described(store: Path) -> dict[str, Any]:
    return {
        f"{method} {path}": operation
        for path, methods in create_app(Settings(store=store)).openapi()["paths"].items()
        for method, operation in methods.items()
    }


def test_each_route_has_one_and_the_document_carries_it(tmp_path: Path) -> None:
    operations = described(tmp_path)
    assert set(operations) == set(EXAMPLES)
    for name, operation in operations.items():
        (sample,) = operation["x-codeSamples"]
        assert sample["source"] == EXAMPLES[name]


def test_they_run_as_printed(store: Path, pool: Path, live: Any, clip: bytes, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    here, samples = tmp_path / "reader", tmp_path / "samples"
    here.mkdir()
    samples.mkdir()
    (here / "cut.mp4").write_bytes(clip)
    (samples / "one.mp4").write_bytes(clip)
    (here / ".curlrc").write_text('fail-with-body\nsilent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
    server = live(Settings(store=store, pools={"house": pool}, samples=samples))
    operations = described(store)
    names = {
        "TRACK_ID": "alpha",
        "SAMPLE": "one.mp4",
        "SNAPSHOT_ID": (store / "CURRENT").read_text().strip(),
    }
    for name, command in EXAMPLES.items():
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command.replace(HOST, server.url)],
            cwd=here,
            env={"PATH": os.environ["PATH"], "HOME": str(here), **names},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        body, _, status = done.stdout.rpartition("\n")
        known = {*operations[name]["responses"], "206"}  # a part of a file
        assert status in known, (name, status)
        assert status.startswith("2"), (name, status)
        if name in TOLD:
            variable, field = TOLD[name]
            names[variable] = json.loads(body)[field]
        assert not re.search(r"\$[A-Z]", command) or any(f"${each}" in command for each in names)
