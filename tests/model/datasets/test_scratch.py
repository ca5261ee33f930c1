"""A view of a dataset is the same pairs and media, and nothing that is written in it reaches the dataset."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.artifact import write_json
from model.datasets.scratch import pairs_id, scratch_view
from model.datasets.table import Dataset, features_folder, write_array, write_pairs


def every_byte(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Dataset:
    """Ten pairs with features of `lite`, some with media."""
    found = Dataset.open(make_dataset(tmp_path / "data", counts=(6, 2, 2)))
    paths = np.array(["", "ads/a.mp4", "../elsewhere/b.mp4", "/absolute/c.mp4", *[""] * 6])
    write_pairs(found.folder, found.pairs | {"video_path": paths})
    return Dataset.open(found.folder)


def test_pairs_media_and_features_are_the_same(dataset: Dataset, tmp_path: Path) -> None:
    view = Dataset.open(scratch_view(dataset, "lite", tmp_path / "deep" / "view"))
    assert (view.id, view.split_id) == (dataset.id, dataset.split_id)
    for name in set(dataset.pairs) - {"video_path"}:
        np.testing.assert_array_equal(view.pairs[name], dataset.pairs[name])
    places = [(view.folder / path).resolve() if path else "" for path in view.pairs["video_path"].tolist()]
    assert places[:4] == [
        "",
        tmp_path / "data" / "ads" / "a.mp4",
        tmp_path / "elsewhere" / "b.mp4",
        Path("/absolute/c.mp4"),
    ]
    for name in ("frames", "audio", "segments"):
        np.testing.assert_array_equal(view.features(name).values, dataset.features(name).values)


@pytest.mark.parametrize("same_disk", [True, False])
def test_neither_side_sees_what_is_written_on_the_other(
    dataset: Dataset, tmp_path: Path, same_disk: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    if not same_disk:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    before = every_byte(dataset.folder)
    view = scratch_view(dataset, "lite", tmp_path / "view")
    theirs, ours = (features_folder(folder, "lite") / "frames.npy" for folder in (dataset.folder, view))
    assert ours.samefile(theirs) == same_disk, "linked where it can be"
    write_array(ours, np.zeros((3, 2), np.float32))
    write_json(ours.with_name("features.json"), {})
    assert every_byte(dataset.folder) == before
    audio = ours.with_name("audio.npy").read_bytes()
    write_array(theirs.with_name("audio.npy"), np.zeros((3, 2), np.float32))
    assert ours.with_name("audio.npy").read_bytes() == audio


def test_a_view_that_is_there_stays_as_it_is(dataset: Dataset, tmp_path: Path) -> None:
    view = scratch_view(dataset, "lite", tmp_path / "view")
    before = every_byte(view)
    write_pairs(dataset.folder, dataset.pairs | {"length_s": np.ones(10)})
    assert scratch_view(Dataset.open(dataset.folder), "lite", view) == view
    assert every_byte(view) == before


def test_one_that_was_killed_before_it_was_whole_is_made_again(dataset: Dataset, tmp_path: Path) -> None:
    view = scratch_view(dataset, "lite", tmp_path / "view")
    (view / "dataset.json").unlink()  # it is written last
    write_array(features_folder(view, "lite") / "frames.npy", np.zeros((3, 2), np.float32))
    found = Dataset.open(scratch_view(dataset, "lite", view)).features("frames").values
    np.testing.assert_array_equal(found, dataset.features("frames").values)


def test_what_was_put_beside_the_features_is_left_out(dataset: Dataset, tmp_path: Path) -> None:
    place = features_folder(dataset.folder, "lite") / "features.json"
    made = json.loads(place.read_text("utf-8"))
    write_json(place, made | {"extras": {"rhythm": "rhythm@1"}, "dropped": [{"pair_id": "x"}], "tags": ["a"]})
    found = Dataset.open(scratch_view(dataset, "lite", tmp_path / "view")).made_by("lite")
    assert found == made | {"dropped": [], "tags": ["a"]}


def test_without_features_there_are_pairs_alone(dataset: Dataset, tmp_path: Path) -> None:
    view = Dataset.open(scratch_view(dataset, "paper", tmp_path / "view"))
    assert (len(view), view.profiles) == (10, [])


def test_every_change_of_a_pair_is_another_id(dataset: Dataset) -> None:
    ids = {pairs_id(dataset)}
    for name, value in (("split", "test"), ("video_path", "x.mp4"), ("start_s", 3.0), ("category", "z")):
        column = dataset.pairs[name].copy()
        column[4] = value
        ids.add(pairs_id(Dataset(dataset.folder, dataset.manifest, dataset.pairs | {name: column})))
    ids.add(pairs_id(Dataset(dataset.folder, dataset.manifest | {"seed": 1}, dataset.pairs)))
    assert len(ids) == 6
    assert pairs_id(Dataset.open(dataset.folder)) in ids
