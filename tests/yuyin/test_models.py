"""`yuyin models` on one machine: what it lists, checks, takes from a folder and makes ready; no network."""

import hashlib
import json
import shutil
import struct
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from model.backbones.catalogue import AST, BACKBONES, BERT, INCEPTION
from model.backbones.folder import new_backbone
from model.errors import BadOptions, NotInstalled, YuyinError
from yuyin.cli import main
from yuyin.cli.app import app


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the environment names."""
    monkeypatch.setenv("YUYIN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The files of one, with weights of a single number."""
    folder = tmp_path / "mine"
    folder.mkdir()
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    weights = struct.pack("<Q", len(header)) + header + bytes(4)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text("{}")
    (folder / "vocab.txt").write_text("[PAD]\n")
    return folder


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, words)])


def refused(kind: type[YuyinError], *words: str | Path) -> str:
    result = run(*words)
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def test_a_bare_machine_is_told_what_there_is(models: Path) -> None:
    entries = json.loads(run("list", "--json").stdout)
    assert [(each["name"], each["repo"], each["licence"]) for each in entries] == [
        (spec.name, spec.source.repo, spec.source.licence) for spec in BACKBONES.values()
    ]
    assert {each["state"] for each in entries} == {"not here"}
    assert {tuple(each["profiles"]) for each in entries} == {("paper",)}
    text = run("list").stdout
    for spec in BACKBONES.values():
        assert all(word in text for word in (spec.name, spec.source.repo, spec.source.licence))
    result = run("verify")
    assert result.exit_code == 1
    assert result.stdout.count("yuyin models pull paper") == len(BACKBONES)
    assert not models.exists(), "looking makes nothing"


def test_a_folder_is_imported_listed_and_checked(models: Path, checkpoint: Path) -> None:
    imported = run("import", checkpoint, "--as", BERT.name)
    assert imported.exit_code == 0, imported.output
    assert f"next: yuyin models export {BERT.name}" in imported.stdout
    (part,) = json.loads(run("import", checkpoint, "--as", BERT.name, "--json").stdout)
    assert part["fresh"] is False
    listed = {each["name"]: each for each in json.loads(run("list", "--json").stdout)}
    assert listed[BERT.name]["state"] == "pulled"
    assert listed[BERT.name]["size"] > sum(path.stat().st_size for path in checkpoint.iterdir())
    lines = json.loads(run("verify", "--json").stdout)
    source = models / part["part"]
    assert (part["part"], "whole") in {(line["part"], line["state"]) for line in lines}
    (source / "vocab.txt").write_text("[UNK]\n")
    result = run("verify", "paper")
    assert result.exit_code == 1
    assert "changed" in result.stdout


def test_what_only_runs_is_verified_without_its_checkpoint(
    models: Path, checkpoint: Path, tmp_path: Path
) -> None:
    for spec in BACKBONES.values():
        run("import", checkpoint, "--as", spec.name)
    assert run("verify", "paper").exit_code == 0
    other = tmp_path / "other"
    result = run("import", models, "--models", other)
    assert result.exit_code == 0, result.output
    assert "next: yuyin models verify" in result.stdout
    assert run("verify", "--models", other).exit_code == 0


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["pull", "lite"], BadOptions, "lite needs none"),
        (["verify", "papers"], BadOptions, "'papers'"),
        (["pull", "paper", "--revision", "main"], BadOptions, "NAME=REV"),
        (["pull", "paper", "--revision", "ast="], BadOptions, "NAME=REV"),
        (["pull", "paper", "--revision", "resnet=main"], BadOptions, "resnet"),
        (["import", "."], BadOptions, "--as"),
        (["import", ".", "--as", "resnet"], BadOptions, "resnet"),
        (["export", "ast", "--calibrate", __file__], BadOptions, "--precision int8"),
        (["export", "chinese-bert-wwm", "--precision", "int8"], BadOptions, "runs as fp32 always"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_said(
    models: Path, words: list[str], kind: type[YuyinError], said: str
) -> None:
    assert said in refused(kind, *words)


def test_a_home_folder_is_meant_by_a_tilde(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("YUYIN_MODELS", raising=False)
    run("import", checkpoint, "--as", BERT.name)
    assert (tmp_path / ".cache" / "yuyin" / "models" / "models.lock.json").exists()


def test_an_export_needs_its_checkpoint_and_its_packages(
    models: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "yuyin models pull paper" in refused(NotInstalled, "export", AST.name)
    assert "yuyin models pull paper" in refused(NotInstalled, "export", AST.name, "--precision", "int8")
    run("import", checkpoint, "--as", AST.name)
    for module in [name for name in sys.modules if name.startswith("model.backbones.export")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(sys, "argv", ["yuyin", "models", "export", AST.name])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert "pip install" in capsys.readouterr().err


def test_what_hears_is_not_calibrated_with_videos(models: Path) -> None:
    with new_backbone(models, AST, "fp32", {}) as folder:
        (folder / "model.onnx").write_bytes(b"graph")
    words = ("--precision", "int8", "--calibrate", __file__)
    assert "networks that look at pictures" in refused(BadOptions, "export", AST.name, *words)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_checkpoint_of_the_real_size_is_exported_and_quantised(
    models: Path, tmp_path: Path, shared_data: Path
) -> None:
    """From files as they are published, with random weights, to what is run in two precisions."""
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from model.backbones.untrained import write_untrained

    folder = write_untrained(tmp_path / "timm", INCEPTION.name)
    (folder / "source.json").unlink()
    assert run("import", folder, "--as", INCEPTION.name).exit_code == 0
    made = json.loads(run("export", INCEPTION.name, "--json").stdout)
    assert made["id"]
    videos = sorted(shared_data.rglob("*.mp4"))[:2]
    words = [word for video in videos for word in ("--calibrate", video)]
    small = json.loads(run("export", INCEPTION.name, "--precision", "int8", *words, "--json").stdout)
    assert small["figures"]["cosine_to_fp32"]["least"] > 0.9
    assert run("verify", "--json").exit_code == 1, "the two others are missing"
    listed = [each for each in json.loads(run("list", "--json").stdout) if each["name"] == INCEPTION.name]
    assert [(each["precision"], each["state"], each["id"]) for each in listed] == [
        ("fp32", "ready", made["id"]),
        ("int8", "ready", small["id"]),
    ]
    weights = next(models.glob(f"sources/{INCEPTION.name}/*/model.safetensors"))
    assert hashlib.sha256(weights.read_bytes()).digest() == (
        hashlib.sha256((folder / "model.safetensors").read_bytes()).digest()
    )
    shutil.rmtree(models / INCEPTION.name)
    assert json.loads(run("export", INCEPTION.name, "--json").stdout)["id"] == made["id"], "the same again"
