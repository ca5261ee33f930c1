"""Any two-tower system, from a data set to `/recommend`: the same commands, another bundle."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.bundle import Bundle, shipped_cuts

pytestmark = pytest.mark.slow

SYSTEMS = {  # name: what `yuyin train` is told, and the size of its common space
    "dpvm": (["--preset", "C", "--set", "batch_size=8"], 128),
    "yuyin_plus": (["--set", "batch_size=8"], 256),
    "ut_cmvmr": (["--preset", "tower", "--set", "batch_size=8"], 256),  # reads whole sequences
}


def yuyin(*words: object) -> str:
    """Run a command as a user would; its output."""
    command = [sys.executable, "-m", "yuyin", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("systems") / "data"
    yuyin("dataset", "synth", "--pairs", 14, "--seed", 5, "-o", folder)
    yuyin("features", "extract", folder)
    return folder


@pytest.mark.parametrize("system", SYSTEMS)
def test_trains_exports_and_serves(
    system: str, dataset: Path, tmp_path: Path, serving: Callable[..., Any]
) -> None:
    words, dim = SYSTEMS[system]
    yuyin("train", dataset, "--system", system, *words, "--set", "epochs=2", "-o", tmp_path / "run")
    yuyin("export", tmp_path / "run", "-o", tmp_path / "bundle")
    bundle = Bundle.open(tmp_path / "bundle")
    assert (bundle.system, bundle.dim) == (system, dim)
    store = tmp_path / "store"
    yuyin("index", "build", dataset / "tracks", "--bundle", tmp_path / "bundle", "--store", store)
    environment = os.environ | {"YUYIN_STORE": str(store), "YUYIN_PORT": "0"}
    command = [sys.executable, "-m", "yuyin", "serve"]
    with serving(command, tmp_path / "log", env=environment) as address:
        (cut, *_) = sorted(shipped_cuts().glob("*.mp4"))
        headers = {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{address}/recommend", cut.read_bytes(), headers)
        with urllib.request.urlopen(request, timeout=120) as response:
            answer = json.load(response)
    assert answer["bundle"] == bundle.id
    scores = [result["cosine"] for result in answer["results"]]
    assert len(scores) >= 5
    assert scores == sorted(scores, reverse=True)
    assert np.ptp(scores) > 0
