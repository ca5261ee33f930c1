"""`yuyin features video`, `recommend --features-only`: what is said, written and refused without a server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model.artifact import write_json
from model.bundle import shipped_bundle, shipped_cuts
from yuyin.cli.app import app

CUT = sorted(shipped_cuts().glob("*.mp4"))[0]


def run(*words: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "yuyin", *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else " ".join(done.stderr.split())


def test_it_writes_what_the_shipped_bundle_reads(tmp_path: Path) -> None:
    assert "2 inputs" in run("features", "video", CUT, "-o", tmp_path / "f.json", "--end-s", "5")
    body = json.loads((tmp_path / "f.json").read_text())
    assert set(body) == {"features", "recipe", "duration_s", "cuts_s"}
    assert body["duration_s"] == 5.0
    assert set(body["features"]) == set(body["recipe"]["extractors"]) == {"frames", "motion"}


def test_another_recipe_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    manifest: dict[str, Any] = json.loads((shipped_bundle() / "bundle.json").read_text())
    manifest["recipe"]["extractors"]["motion"] = "lite-motion@999"
    write_json(tmp_path / "other" / "bundle.json", manifest)
    said = run("features", "video", CUT, "-o", tmp_path / "f.json", "--bundle", tmp_path / "other", code=2)
    assert "lite-motion@999" in said
    assert not (tmp_path / "f.json").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["features", "video", str(CUT), "-o", "f.json", "--server", "ftp://x"], "http://"),
        (["features", "video", str(CUT), "-o", "f.json", "--server", "http://x", "--bundle", "."], "one of"),
        (["recommend", str(CUT), "--features-only"], "--server"),
    ],
)
def test_bad_input_is_said(words: list[str], named: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, words)
    assert named in str(result.exception)
