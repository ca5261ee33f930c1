import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.datasets.imports.imported import pooled
from model.datasets.layout import Layout, chosen_profile, read_layout, tag_vectors, write_features
from model.datasets.table import Dataset, Ragged, features_folder, write_dataset
from model.errors import BadDataset

IDS = np.array(["a", "b", "c"])
TAGS = ("boots", "shoes")
LAYOUT = Layout(("frames",), ("audio",), TAGS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of three imported pairs with words."""
    text = {"pair_id": IDS, "track_id": IDS, "group": IDS, "tag": np.array(["boots", "shoes", "shoes"])}
    text |= {name: np.full(3, "") for name in ("category", "video_path", "music_path")}
    times = {"length_s": np.zeros(3), "start_s": np.zeros(3)}
    write_dataset(tmp_path, {"kind": "features"}, {**text, **times, "split": np.full(3, "train")})
    features = {name: pooled(np.ones((3, 2))) for name in ("frames", "audio")}
    write_features(tmp_path, IDS, "features", LAYOUT, features, np.eye(2, dtype=np.float32), {})
    return tmp_path


def change(folder: Path, edit: Callable[[dict[str, object]], object]) -> Dataset:
    path = features_folder(folder, "features") / "features.json"
    found = json.loads(path.read_text("utf-8"))
    edit(found)
    path.write_text(json.dumps(found), "utf-8")
    return Dataset.open(folder)


def test_what_is_written_is_read(folder: Path) -> None:
    dataset = Dataset.open(folder)
    assert chosen_profile(dataset, None) == "features"
    assert read_layout(dataset, "features") == LAYOUT
    np.testing.assert_array_equal(tag_vectors(dataset, "features", ["shoes", "boots"]), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    "given",
    [
        {},
        [],
        None,
        "frames",
        {"video": 3, "music": ["audio"], "tags": [], "valence": False},
        {"video": [["frames"]], "music": ["audio"], "tags": [], "valence": False},
        {"video": [], "music": ["audio"], "tags": [], "valence": False},
        {"video": ["frames"], "music": [], "tags": [], "valence": False},
        {"video": ["frames"], "music": ["audio"], "tags": []},
    ],
)
def test_a_layout_that_says_nothing_is_refused(folder: Path, given: object) -> None:
    dataset = change(folder, lambda found: found.update(layout=given))
    for read in (lambda: read_layout(dataset, "features"), lambda: tag_vectors(dataset, "features", TAGS)):
        with pytest.raises(
            BadDataset, match=r"does not say what is picture and what is music: import it again"
        ):
            read()


@pytest.mark.parametrize(
    "vectors", [np.eye(3)[:1], np.ones(2), np.array([["a"], ["b"]]), np.array([[0, np.nan], [1, 0]])]
)
def test_tag_vectors_that_do_not_fit_are_refused(folder: Path, vectors: np.ndarray) -> None:
    np.save(features_folder(folder, "features") / "tags.npy", vectors)
    with pytest.raises(
        BadDataset, match=r"tags.npy does not hold a vector .* of the 2 tags: import it again"
    ):
        tag_vectors(Dataset.open(folder), "features", TAGS)


def test_missing_tag_vectors_are_named(folder: Path) -> None:
    path = features_folder(folder, "features") / "tags.npy"
    path.write_bytes(b"")
    with pytest.raises(BadDataset, match=r"tags.npy cannot be read .*: import it again"):
        tag_vectors(Dataset.open(folder), "features", TAGS)
    path.unlink()
    with pytest.raises(BadDataset, match=r"tags.npy cannot be read .*: import it again"):
        tag_vectors(Dataset.open(folder), "features", TAGS)
    with pytest.raises(BadDataset, match=r"no text vector for hats: import it again"):
        tag_vectors(Dataset.open(folder), "features", ["boots", "hats"])


def test_a_dataset_without_features_says_how_to_get_some(folder: Path) -> None:
    (features_folder(folder, "features") / "features.json").unlink()
    with pytest.raises(BadDataset, match="no finished features: import it again"):
        chosen_profile(Dataset.open(folder), None)


def test_a_pair_without_rows_or_with_odd_ones_is_named(tmp_path: Path) -> None:
    ones = pooled(np.ones((3, 2)))
    short = Ragged(np.ones((2, 2), np.float32), np.zeros(2), np.array([0, 1, 1, 2]))
    odd = Ragged(
        np.array([[0, 0], [0, 0], [1, np.inf], [0, 0]], np.float32), np.zeros(4), np.array([0, 1, 3, 4])
    )
    for ragged, says in ((short, "has no row for pair 'b'"), (odd, "of pair 'b' holds NaN, infinite")):
        with pytest.raises(BadDataset, match=f"'frames' {says}"):
            write_features(
                tmp_path,
                IDS,
                "own",
                Layout(("frames",), ("audio",)),
                {"frames": ragged, "audio": ones},
                None,
                {},
            )
    assert list(tmp_path.iterdir()) == []
