"""Artifacts are whole or absent; a changed, missing or foreign file is refused."""

import hashlib
import json
from pathlib import Path

import pytest

from model import artifact
from model.errors import Corrupt


def make(parent: Path) -> Path:
    with artifact.new_folder(parent) as aside:
        (aside / "sub").mkdir()
        (aside / "sub" / "a.bin").write_bytes(b"abc")
        manifest = {"files": artifact.hash_files(aside, manifest="m.json")}
        artifact.write_json(aside / "m.json", manifest)
        artifact.commit(aside, parent / "thing")
    return parent / "thing"


def test_a_folder_comes_back_with_the_hashes_that_hashlib_gives(tmp_path: Path) -> None:
    manifest = artifact.read_manifest(make(tmp_path), "m.json")
    assert manifest["files"] == {"sub/a.bin": hashlib.sha256(b"abc").hexdigest()}
    assert [p.name for p in tmp_path.iterdir()] == ["thing"], "nothing aside is left"


@pytest.mark.parametrize(
    "harm", ["change", "remove", "add", "no manifest", "broken manifest", "a list", "no hashes"]
)
def test_harm_is_noticed(tmp_path: Path, harm: str) -> None:
    thing = make(tmp_path)
    match harm:
        case "change":
            (thing / "sub" / "a.bin").write_bytes(b"abd")
        case "remove":
            (thing / "sub" / "a.bin").unlink()
        case "add":
            (thing / "stranger").write_bytes(b"")
        case "no manifest":
            (thing / "m.json").unlink()
        case "a list":
            (thing / "m.json").write_text("[]")
        case "no hashes":
            (thing / "m.json").write_text('{"files": 3}')
        case _:
            (thing / "m.json").write_text('{"files": ')
    with pytest.raises(Corrupt, match="build it again"):
        artifact.read_manifest(thing, "m.json")


def test_a_folder_whose_writing_fails_never_appears(tmp_path: Path) -> None:
    def write_half() -> None:
        with artifact.new_folder(tmp_path) as aside:
            (aside / "half").write_bytes(b"x")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk"):
        write_half()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "CURRENT"
    artifact.write_file(path, b"one")
    artifact.write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["CURRENT"]


def test_ids_depend_on_content_and_not_on_key_order() -> None:
    assert artifact.content_id({"a": 1, "b": [2]}) == artifact.content_id(json.loads('{"b": [2], "a": 1}'))
    assert artifact.content_id({"a": 1}) != artifact.content_id({"a": 2})
    assert artifact.content_id({}) == hashlib.sha256(b"{}").hexdigest()[:16]


def test_a_commit_takes_an_empty_folder_s_place_and_no_other(tmp_path: Path) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "kept").write_text("there before")
    for place in (empty, full):
        with artifact.new_folder(tmp_path) as aside:
            (aside / "made").write_text("now")
            artifact.commit(aside, place)
    assert [path.name for path in empty.iterdir()] == ["made"]
    assert [path.name for path in full.iterdir()] == ["kept"]
