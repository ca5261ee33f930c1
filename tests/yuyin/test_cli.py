"""The command line as a shell sees it: help for everything, one sentence and exit code 2 for bad input."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from yuyin.cli.app import app


def commands() -> list[list[str]]:
    """Every command and group of the tree, by its words."""
    found: list[list[str]] = []

    def walk(command: object, words: list[str]) -> None:
        found.append(words)
        for name, child in getattr(command, "commands", {}).items():
            walk(child, [*words, name])

    walk(get_command(app), [])
    return found


def yuyin(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "yuyin", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_tree_holds_the_contract() -> None:
    words = {" ".join(each) for each in commands()}
    assert words >= {
        "demo",
        "serve",
        "recommend",
        "dataset prepare",
        "dataset synth",
        "dataset adsynth",
        "dataset import",
        "features extract",
        "train",
        "evaluate",
        "compare",
        "export",
        "index build",
        "index list",
        "index verify",
        "index activate",
        "index gc",
    }


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "yuyin")
def test_every_command_explains_itself(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output
    assert len(result.output.split()) > 20


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["recommend", "cut.mp4"], "index build"),
        (["index", "activate", "0123456789abcdef"], "0123456789abcdef"),
        (["index", "build", "pool"], "pool"),
        (["train", "data", "-o", "run"], "data"),
        (["recommend", "cut.mp4", "--server", "ftp://x"], "http://"),
        (["recommend", "cut.mp4", "--server", "http://127.0.0.1:9"], "does not answer"),
        (["evaluate", "data", "data"], "data"),
        (["compare", "data"], "data"),
        (["dataset", "import", "cut.mp4", "--as", "ave", "-o", "made"], "cut.mp4"),
        (["dataset", "adsynth", "--world", "mars", "-o", "made"], "mars"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_exit_code_2(tmp_path: Path, words: list[str], sentence: str) -> None:
    (tmp_path / "cut.mp4").write_bytes(b"no video")
    (tmp_path / "pool").mkdir()
    (tmp_path / "data").mkdir()
    done = yuyin(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error:")
    assert sentence in last


def test_an_unknown_option_is_exit_code_2(tmp_path: Path) -> None:
    assert yuyin("index", "build", "--fast", cwd=tmp_path).returncode == 2


def test_a_new_key_fits_its_hash() -> None:
    result = CliRunner().invoke(app, ["keys", "new", "cutter", "--scope", "recommend"])
    key = result.output.splitlines()[0].rsplit(" ", 1)[1]
    setting = json.loads(result.output.split("YUYIN_KEYS='")[1].rsplit("'", 1)[0])
    assert setting == {
        "cutter": {"sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": ["recommend"]}
    }


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == f"yuyin {version('yuyin')}"
    assert isinstance(app, typer.Typer)
