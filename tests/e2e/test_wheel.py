"""The built wheel, alone in an empty folder and a fresh environment: `yuyin demo` from nothing."""

import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest

from model.media.encode import VideoWriter

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "uv", "build", "--wheel", "-o", str(out), str(ROOT)], check=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_the_bundle_and_the_page_and_nothing_foreign(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "model/shipped/lite/video_tower.onnx" in names
    assert {"service/page/docs.html", "service/page/audition/app.js"} <= names
    assert "service/page/audition/vendor/wavesurfer.LICENSE.txt" in names
    assert "model/shipped/cuts/1-quick-and-lively.mp4" in names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "yuyin",
        "service",
        "index_builder",
        "model",
    }


def test_demo_works_from_the_wheel_in_an_empty_folder(wheel: Path, serving, tmp_path: Path) -> None:
    environment, folder = tmp_path / "venv", tmp_path / "empty"
    folder.mkdir()
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--python", sys.executable, str(environment)], check=True)
    install = [*uv, "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
    install += ["--python", str(environment / "bin" / "python")]  # else uv takes the environment it runs in
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "YUYIN"))}
    subprocess.run([*install, f"yuyin[cpu] @ {wheel.as_uri()}"], check=True)
    command = [str(environment / "bin" / "yuyin"), "demo", "--port", "0"]
    with serving(command, tmp_path / "log", cwd=folder, env=clean) as base:
        with VideoWriter(tmp_path / "cut.mp4", 64, 48, 25) as writer:
            for i in range(150):
                writer.write(np.full((48, 64, 3), i, np.uint8))
        request = urllib.request.Request(f"{base}/recommend", (tmp_path / "cut.mp4").read_bytes())
        with urllib.request.urlopen(request, timeout=60) as response:
            assert len(json.load(response)["results"]) == 10
