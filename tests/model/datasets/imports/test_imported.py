"""Where an import may write: a new or empty folder, whole or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.datasets.imports.imported import Imported, pooled, write_imported
from model.datasets.layout import Layout
from model.datasets.table import Dataset, features_folder
from model.errors import BadDataset

N = 6


def made(seed: int = 0, **changed: object) -> Imported:
    rng = np.random.default_rng(seed)
    ids = np.array([f"ad{i}" for i in range(N)])
    split = np.array(["train", "train", "train", "evaluation", "evaluation", "test"])
    nothing = np.full(N, "")
    features = {name: pooled(rng.standard_normal((N, 3))) for name in ("frames", "audio")}
    whole = Imported(
        kind="features",
        pair_id=ids,
        track_id=ids,
        category=nothing,
        tag=nothing,
        split=split,
        group=ids,
        layout=Layout(("frames",), ("audio",)),
        features=features,
        tag_vectors=None,
        made_by={"import": "features", "list_sha256": str(seed)},
    )
    return replace(whole, **changed)  # type: ignore[arg-type]  # any field


def broken() -> Imported:
    values = np.zeros((N, 3))
    values[4, 1] = np.nan
    return made(1, features={"frames": pooled(np.ones((N, 3))), "audio": pooled(values)})


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_what_cannot_be_imported_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="'audio' of pair 'ad4' holds NaN"):
        write_imported(broken(), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    write_imported(made(), tmp_path / "own")
    before = contents(tmp_path / "own")
    other_kind = made(kind="ave", made_by={"import": "ave"})
    for imported in (made(1), broken(), other_kind, made(split=np.full(N, "test"))):
        with pytest.raises(BadDataset, match=r"own holds something else .*: name a new or empty folder"):
            write_imported(imported, tmp_path / "own")
        assert contents(tmp_path / "own") == before
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    report = write_imported(made(), tmp_path / "own")
    before = contents(tmp_path / "own")
    assert write_imported(made(), tmp_path / "own") == report
    assert contents(tmp_path / "own") == before


def test_the_same_is_not_the_same_once_it_is_damaged(tmp_path: Path) -> None:
    write_imported(made(), tmp_path / "own")
    (features_folder(tmp_path / "own", "features") / "audio.npy").write_bytes(b"")
    with pytest.raises(BadDataset, match="name a new or empty folder"):
        write_imported(made(), tmp_path / "own")


def test_an_empty_folder_will_do_also_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    write_imported(made(), tmp_path / "link")
    assert Dataset.open(tmp_path / "empty").pairs["pair_id"].tolist() == [f"ad{i}" for i in range(N)]


def test_anything_else_will_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(BadDataset, match="name a new or empty folder"):
            write_imported(made(), tmp_path / name)
    assert contents(tmp_path) == {"file": b"notes", "folder/notes.txt": b"mine"}
