"""A bundle on ONNX Runtime alone: what it checks before it answers, and what padding must not change."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.artifact import hash_files, write_json
from model.bundle import Bundle, bundle_id, recipe_of
from model.errors import Corrupt, Mismatch
from model.export import export_run
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.grid import Grid
from model.training.run import TrainJob, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    where = tmp_path_factory.mktemp("bundle")
    data = make_dataset(where / "data", counts=(40, 12, 12))
    settings = {"epochs": "1", "batch_size": "32", "embedding": "64", "hidden": "64", "common": "32"}
    train(TrainJob(data, where / "run", settings=settings, threads=1), lambda _: None)
    return export_run(where / "run", where / "bundle")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return Bundle.open(folder)


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def sequence(rows: int, width: int, seed: int = 0) -> Sequence:
    values = np.random.default_rng([rows, width, seed]).normal(1, 3, (rows, width)).astype(np.float32)
    return Sequence(values, np.arange(rows) + 0.5)


def segment(rows: int, seed: int = 0) -> dict[str, Sequence]:
    return {"audio": sequence(rows, 11, seed), "emotion": sequence(1, 6, seed)}


def rewrite(folder: Path, **changes: object) -> None:
    """A bundle.json with other contents that is whole again: right hashes, right id."""
    manifest = {**json.loads((folder / "bundle.json").read_text("utf-8")), **changes}
    manifest["files"] = hash_files(folder, manifest="bundle.json")
    write_json(folder / "bundle.json", {**manifest, "id": bundle_id(manifest)})


def test_tells_what_it_is(bundle: Bundle, folder: Path) -> None:
    assert (bundle.system, bundle.profile, bundle.dim) == ("yuyin", "lite", 32)
    assert bundle.grid == Grid()
    assert bundle.recipe == recipe_of(load_profile("lite"), Grid())
    assert bundle.categories == ("clothing", "food")
    assert bundle.null_queries.dtype == np.float32
    assert len(bundle.id) == 16
    assert -1 <= bundle.no_match_threshold <= 1
    assert bundle.folder == folder


def test_a_segment_embeds_alike_alone_and_padded_among_longer_ones(bundle: Bundle) -> None:
    batch = [segment(rows, seed) for seed, rows in enumerate((1, 15, 3, 40, 7))]
    together = bundle.embed_music(batch)
    assert together.shape == (5, 32)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for i, item in enumerate(batch):
        np.testing.assert_allclose(bundle.embed_music([item])[0], together[i], atol=1e-6)


def test_the_same_question_gets_the_same_bits(bundle: Bundle, folder: Path) -> None:
    video = {"frames": sequence(8, 9), "motion": sequence(16, 4)}
    first = bundle.embed_video(video)
    assert first.shape == (32,)
    assert np.array_equal(first, bundle.embed_video(video))
    assert np.array_equal(first, Bundle.open(folder).embed_video(video))


def test_a_value_that_is_not_finite_counts_as_the_training_mean(bundle: Bundle) -> None:
    values = sequence(1, 9).values.copy()
    values[0, 2] = np.nan
    broken = bundle.embed_video({"frames": Sequence(values, np.zeros(1)), "motion": sequence(2, 4)})
    assert np.isfinite(broken).all()
    values[0, 2] = np.inf
    other = bundle.embed_video({"frames": Sequence(values, np.zeros(1)), "motion": sequence(2, 4)})
    np.testing.assert_allclose(broken, other, atol=1e-6)


def test_what_a_profile_offers_beyond_the_inputs_is_left_alone(bundle: Bundle) -> None:
    read = {"frames": sequence(3, 9), "motion": sequence(3, 4)}
    alone, beside = bundle.embed_video(read), bundle.embed_video(read | {"sound": sequence(1, 1)})
    np.testing.assert_array_equal(alone, beside)


def test_no_segments_give_no_rows(bundle: Bundle) -> None:
    assert bundle.embed_music([]).shape == (0, 32)


@pytest.mark.parametrize(
    ("sequences", "says"),
    [
        ({"frames": sequence(3, 9)}, r"takes \['frames', 'motion'\]"),
        ({"frames": sequence(3, 8), "motion": sequence(3, 4)}, r"\(t, 9\), not \(3, 8\)"),
        ({"frames": sequence(3, 9), "motion": sequence(0, 4)}, "'motion'.* is empty"),
    ],
)
def test_inputs_that_do_not_fit_are_named(bundle: Bundle, sequences: dict[str, Sequence], says: str) -> None:
    with pytest.raises(Mismatch, match=says):
        bundle.embed_video(sequences)


def test_text_of_another_width_is_refused(bundle: Bundle) -> None:
    with pytest.raises(Mismatch, match=r"\(b, 128\)"):
        bundle.embed_text(np.zeros((2, 64), np.float32))


def test_features_of_another_version_are_refused(copy: Path) -> None:
    recipe = json.loads((copy / "bundle.json").read_text("utf-8"))["recipe"]
    recipe["extractors"]["motion"] = "lite-motion@0"
    rewrite(copy, recipe=recipe)
    with pytest.raises(Mismatch, match=r"extractors\.motion.*train"):
        Bundle.open(copy)


def test_another_schema_is_refused(copy: Path) -> None:
    rewrite(copy, schema_version=2)
    with pytest.raises(Mismatch, match="schema 2"):
        Bundle.open(copy)


@pytest.mark.parametrize("name", ["video_tower.onnx", "null_queries.npy", "MODEL_CARD.md"])
def test_a_changed_or_missing_file_is_refused(copy: Path, name: str) -> None:
    with (copy / name).open("ab") as file:
        file.write(b"x")
    with pytest.raises(Corrupt, match="differs"):
        Bundle.open(copy)
    (copy / name).unlink()
    with pytest.raises(Corrupt, match=name.replace(".", r"\.")):
        Bundle.open(copy)


def test_a_changed_manifest_is_refused(copy: Path) -> None:
    manifest = json.loads((copy / "bundle.json").read_text("utf-8"))
    write_json(copy / "bundle.json", {**manifest, "no_match_threshold": -1.0})
    with pytest.raises(Corrupt, match="was changed"):
        Bundle.open(copy)


def test_a_file_that_is_no_graph_or_another_graph_is_refused(copy: Path) -> None:
    (copy / "text_tower.onnx").write_bytes(b"not a graph")
    rewrite(copy)
    with pytest.raises(Corrupt, match="no graph"):
        Bundle.open(copy)
    shutil.copyfile(copy / "music_tower.onnx", copy / "text_tower.onnx")
    rewrite(copy)
    with pytest.raises(Corrupt, match="other inputs"):
        Bundle.open(copy)


def test_opens_and_embeds_without_torch(folder: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from model.bundle import Bundle;"
        "bundle = Bundle.open(Path(sys.argv[1])); bundle.embed_text(np.zeros((1, 128), np.float32));"
        "print(sorted({'torch', 'onnx', 'pyarrow', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
