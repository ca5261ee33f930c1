"""The command line as a shell sees it: help for everything, one sentence and exit code 2 for bad input."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from model.errors import Corrupt
from yuyin.cli import main
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


def takes_seed(words: list[str]) -> bool:
    """Has the command the option --seed."""
    command: object = get_command(app)
    for word in words:
        command = getattr(command, "commands")[word]  # noqa: B009
    return any("--seed" in param.opts for param in getattr(command, "params"))  # noqa: B009


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
        "worker",
        "recommend",
        "dataset prepare",
        "dataset synth",
        "dataset adsynth",
        "dataset import",
        "dataset from-feedback",
        "features extract",
        "features video",
        "train",
        "evaluate",
        "compare",
        "export",
        "index build",
        "index list",
        "index verify",
        "index activate",
        "index gc",
        "models list",
        "models pull",
        "models verify",
        "models import",
        "models export",
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


def complaint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said on standard error by a command that ends with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["yuyin", *words])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    return capsys.readouterr().err


def test_brackets_in_a_sentence_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "ads [bold] [" + chr(92) + "] :boom: [" + "x]"
    Path(name).mkdir()
    assert name in complaint(monkeypatch, capsys, "evaluate", name, name)
    assert "--set '[/x]'" in complaint(monkeypatch, capsys, "train", name, "-o", "run", "--set", "[/x]")


def test_brackets_in_a_title_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    span = SimpleNamespace(start_s=0.0, end_s=15.0, ends_early=False)
    track = {"rank": 1, "title": "Up [live] :boom:", "artist": "[b]", "segments": [span], "score": 0.5}
    unknown = dict.fromkeys(("bpm", "key", "loudness_lufs"))
    video = SimpleNamespace(duration_s=15.0)
    reasons = [SimpleNamespace(factor="tempo"), SimpleNamespace(factor="mood")]
    results = [SimpleNamespace(**track, **unknown, percentile=0.875, reasons=reasons)]
    found = SimpleNamespace(video=video, snapshot="s", results=results, warnings=[], no_good_match=True)
    monkeypatch.setattr("yuyin.cli.recommend._here", lambda *_: found)
    (tmp_path / "cut.mp4").touch()
    result = CliRunner().invoke(app, ["recommend", str(tmp_path / "cut.mp4")], catch_exceptions=False)
    assert "Up [live] :boom:" in result.output
    assert "[b]" in result.output
    assert "88% " in result.output
    assert "tempo, mood" in result.output
    assert "nothing in this pool fits" in result.output
    assert max(map(len, result.output.splitlines())) <= 124


def test_what_the_system_refuses_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("rows.npy", np.random.default_rng(0).standard_normal((30, 2)))
    rows = [f"ad{i},rows.npy:{i},rows.npy:{i}" for i in range(30)]
    Path("pairs.csv").write_text("\n".join(["pair_id,video.frames,music.audio", *rows]))
    for out, place in (("pairs.csv/x", "/pairs.csv"), ("/proc/x", " /proc")):
        said = complaint(monkeypatch, capsys, "dataset", "import", "pairs.csv", "--as", "features", "-o", out)
        assert said.startswith("error: ")
        assert f"{place} cannot be read or written (" in said
        assert said.endswith("): check the path, its rights and the space that is left\n")
        assert said.count("\n") == 1


def test_a_refusal_names_no_name_of_ours_and_needs_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, start in (
        (
            PermissionError(13, "Permission denied", "runs/.part-0123"),
            "error: runs cannot be read or written",
        ),
        (OSError(28, "No space left on device"), "error: the system refuses ([Errno 28] No space left"),
    ):

        def refuse(error: OSError = error) -> None:
            raise error

        monkeypatch.setattr("yuyin.cli.app", refuse)
        assert complaint(monkeypatch, capsys).startswith(start)


def test_a_file_that_ends_too_early_is_no_ctrl_d(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object) -> None:
        raise EOFError("No data left in file")

    monkeypatch.setattr("yuyin.cli.doctor.examine", ends)
    result = CliRunner().invoke(app, ["doctor"])
    assert isinstance(result.exception, Corrupt)
    assert "No data left in file" in str(result.exception)


@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_says_whether_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    out = tmp_path / "run"

    def stop(*_: object) -> None:
        if kept:
            (tmp_path / "run.checkpoint").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("model.training.run.train", stop)
    result = CliRunner().invoke(app, ["train", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 130
    how = f"goes on from {out}.checkpoint" if kept else "starts anew, since no checkpoint was due yet"
    assert result.stderr.strip() == f"stopped: the same command {how}"


@pytest.mark.parametrize("words", [each for each in commands() if takes_seed(each)], ids=" ".join)
def test_a_seed_is_what_every_generator_takes(words: list[str]) -> None:
    for seed in ("-1", str(2**63)):
        result = CliRunner().invoke(app, [*words, "--seed", seed])
        assert result.exit_code == 2
        assert "--seed" in result.output


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
