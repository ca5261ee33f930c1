"""Which pairs a run was trained on, and which it must not be."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.datasets.table import Dataset, write_pairs
from model.errors import BadDataset, BadOptions
from model.export import export_run
from model.training.run import TrainJob, train

QUICK = {"epochs": "1", "batch_size": "8", "embedding": "8", "hidden": "8", "common": "4"}


@pytest.fixture
def data(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path / "data", counts=(20, 8, 8))


def trained(data: Path) -> Path:
    return train(TrainJob(data, data.parent / "run", settings=QUICK, threads=1), lambda _: None).folder


def test_a_run_knows_its_split_and_is_exported_with_no_other(data: Path) -> None:
    run, dataset = trained(data), Dataset.open(data)
    config = json.loads((run / "config.json").read_text("utf-8"))
    assert (config["dataset_id"], config["split_id"]) == (dataset.id, dataset.split_id)
    write_pairs(data, {**dataset.pairs, "split": dataset.pairs["split"][::-1]})
    with pytest.raises(BadDataset, match=r"was split anew since .*: train on it again"):
        export_run(run, data.parent / "bundle")
    write_pairs(data, dataset.pairs)
    exported = export_run(run, data.parent / "bundle")
    assert (
        json.loads((exported / "bundle.json").read_text("utf-8"))["training"]["split_id"]
        == config["split_id"]
    )


def test_a_category_that_only_tests_have_is_not_trained_without(data: Path) -> None:
    pairs = Dataset.open(data).pairs
    write_pairs(data, {**pairs, "category": np.where(pairs["pair_id"] == "p0035", "hats", pairs["category"])})
    with pytest.raises(BadDataset, match=r"no training pair of .* has the category 'hats'"):
        trained(data)
    assert not (data.parent / "run").exists()


def test_features_of_others_make_no_bundle(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "features" / "lite").rename(data / "features" / "adsynth")
    layout = {"video": ["frames", "motion"], "music": ["audio", "emotion"], "tags": [], "valence": False}
    made = data / "features" / "adsynth" / "features.json"
    made.write_text(json.dumps({**json.loads(made.read_text("utf-8")), "layout": layout}), "utf-8")
    run = train(
        TrainJob(data, data.parent / "run", preset="wo_T", settings=QUICK, threads=1), lambda _: None
    ).folder
    monkeypatch.setattr("model.export.write_towers", lambda *_: pytest.fail("tried to"))
    with pytest.raises(
        BadOptions, match=r"cannot compute the 'adsynth' features .* so no bundle can be made"
    ):
        export_run(run, data.parent / "bundle")
    assert not (data.parent / "bundle").exists()
