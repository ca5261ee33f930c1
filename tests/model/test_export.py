"""From a run to a bundle: same numbers, whole or absent, and the facts that stand in it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.artifact import sha256_of
from model.bundle import Bundle
from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions, Mismatch
from model.evaluation.embed import embed_pairs, rows_of
from model.evaluation.run import measure
from model.export import (
    check_parity,
    export_run,
    no_match_threshold,
    run_towers,
    source_commit,
    write_towers,
)
from model.systems.batch import Dims
from model.systems.yuyin import PRESETS, YuYin
from model.training.run import Run, TrainJob, train

QUICK = {"epochs": "2", "batch_size": "32", "embedding": "64", "hidden": "64", "common": "32"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path_factory.mktemp("export") / "data", counts=(60, 20, 20))


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    return train(TrainJob(data, data.parent / "run", settings=QUICK, threads=1), lambda _: None).folder


@pytest.fixture(scope="module")
def bundle(data: Path, run: Path) -> Path:
    return export_run(run, data.parent / "bundle")


def test_run_and_bundle_evaluate_to_the_same_figures(data: Path, run: Path, bundle: Path) -> None:
    dataset = Dataset.open(data)
    found = measure(bundle, dataset, "test").evaluation
    assert found == measure(run, dataset, "test").evaluation
    assert Bundle.open(bundle).metrics == json.loads(json.dumps(found.as_dict()))


def test_embeds_as_torch_does(data: Path, run: Path, bundle: Path) -> None:
    system, opened, dataset = Run.open(run).system, Bundle.open(bundle), Dataset.open(data)
    for i in (0, 99):
        sequences = {name: dataset.features(name).row(i) for name in ("frames", "motion")}
        batch = {
            name: (
                torch.from_numpy(np.array(each.values[None])),
                torch.ones(1, len(each.values), dtype=torch.bool),
            )
            for name, each in sequences.items()
        }
        expected = system.embed_video(system.video_view(batch))[0].detach().numpy()
        np.testing.assert_allclose(opened.embed_video(sequences), expected, atol=1e-5)
    texts = np.random.default_rng(0).standard_normal((3, 128)).astype(np.float32)
    assert system.text_view is not None
    expected = system.embed_text(system.text_view(torch.from_numpy(texts))).detach().numpy()
    np.testing.assert_allclose(opened.embed_text(texts), expected, atol=1e-5)


def test_manifest_says_what_it_is_and_lists_every_file(bundle: Path, run: Path) -> None:
    manifest = json.loads((bundle / "bundle.json").read_text("utf-8"))
    assert manifest["files"] == {
        path.name: sha256_of(path) for path in bundle.iterdir() if path.name != "bundle.json"
    }
    assert set(manifest["files"]) == {
        "video_tower.onnx", "music_tower.onnx", "text_tower.onnx", "null_queries.npy", "MODEL_CARD.md",
    }  # fmt: skip
    assert (manifest["system"], manifest["profile"], manifest["dim"]) == ("yuyin", "lite", 32)
    assert manifest["recipe"]["extractors"]["frames"] == "lite-frames@1"
    assert manifest["tags"] == ["drinks", "shirts", "snacks", "suits"]
    assert manifest["inputs"]["music"][0] == {
        "name": "audio", "shape": ["batch", "audio_rows", 11], "dtype": "float32",
    }  # fmt: skip
    assert str(run.parent) not in json.dumps(manifest)


def test_null_queries_are_unseen_videos_first(data: Path, bundle: Path) -> None:
    opened, dataset = Bundle.open(bundle), Dataset.open(data)
    assert opened.null_queries.shape == (100, 32)  # all there are, of 256
    assert opened.manifest["null_queries"] == {"count": 100, "of_training_videos": 60}
    np.testing.assert_allclose(np.linalg.norm(opened.null_queries, axis=1), 1, atol=1e-5)
    for i, row in enumerate([*rows_of(dataset, "evaluation"), *rows_of(dataset, "test")]):
        sequences = {name: dataset.features(name).row(row) for name in ("frames", "motion")}
        np.testing.assert_allclose(opened.null_queries[i], opened.embed_video(sequences), atol=1e-6)


def test_threshold_flags_one_held_out_video_in_twenty(data: Path, bundle: Path) -> None:
    opened, dataset = Bundle.open(bundle), Dataset.open(data)
    held_out = embed_pairs(opened, dataset, rows_of(dataset, "evaluation"))
    assert opened.no_match_threshold == pytest.approx(no_match_threshold(held_out))
    best = [
        max(
            np.mean(held_out.segments[held_out.offsets[j] : held_out.offsets[j + 1]] @ video)
            for j in range(len(held_out.rows))
        )
        for video in held_out.videos
    ]
    assert (np.array(best) < opened.no_match_threshold).sum() == 1  # of 20


def test_same_run_gives_the_same_bundle(run: Path, bundle: Path, tmp_path: Path) -> None:
    again = export_run(run, tmp_path / "again")
    assert Bundle.open(again).id == Bundle.open(bundle).id
    assert (again / "bundle.json").read_bytes() == (bundle / "bundle.json").read_bytes()


def test_card_tells_figures_origin_and_limits(bundle: Path) -> None:
    card, metrics = (bundle / "MODEL_CARD.md").read_text("utf-8"), Bundle.open(bundle).metrics
    r10 = metrics["results"][0]["recall"]["10"]
    assert f"{r10['value']:.3f}" in card
    assert f"{r10['chance']:.3f}" in card
    assert "60 pairs to train on" in card
    assert "Must not be used for" in card


def test_a_tower_that_differs_from_torch_is_not_exported(run: Path) -> None:
    trained = Run.open(run)
    with run_towers(trained) as towers:
        check_parity(trained, towers)
        with torch.no_grad():
            dict(trained.system.named_parameters())["music_projection.out.weight"][0, 0] += 0.01
        with pytest.raises(Mismatch, match="music tower differs"):
            check_parity(trained, towers)


def test_a_failed_export_leaves_nothing(run: Path, data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(data, other)
    manifest = json.loads((other / "dataset.json").read_text("utf-8"))
    (other / "dataset.json").write_text(json.dumps({**manifest, "kind": "another"}), "utf-8")
    with pytest.raises(BadDataset, match="is not the dataset"):
        export_run(run, tmp_path / "bundle", dataset=other)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_figures_can_come_from_a_dataset_that_training_never_saw(
    run: Path, data: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    unseen = make_dataset(tmp_path / "unseen", counts=(0, 0, 30), seed=1, prefix="u")
    exported = Bundle.open(export_run(run, tmp_path / "bundle", test=unseen))
    assert exported.metrics["pairs"] == 30
    assert exported.null_queries.shape == (110, 32)  # 20 evaluation, 30 unseen, 60 training
    assert exported.manifest["null_queries"]["of_training_videos"] == 60
    assert "that training never saw" in (exported.folder / "MODEL_CARD.md").read_text("utf-8")
    with pytest.raises(BadDataset, match="shares pairs"):
        export_run(run, tmp_path / "other", test=data)
    no_test = make_dataset(tmp_path / "no-test", counts=(4, 0, 0), seed=1, prefix="u")
    with pytest.raises(BadDataset, match="'test'"):
        export_run(run, tmp_path / "other", test=no_test)


def test_without_a_test_part_the_card_says_what_its_figures_are_worth(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    data = make_dataset(tmp_path / "data", counts=(30, 260, 0))
    run = train(TrainJob(data, tmp_path / "run", settings=QUICK, threads=1), lambda _: None).folder
    exported = Bundle.open(export_run(run, tmp_path / "bundle"))
    assert exported.metrics["split"] == "evaluation"
    assert exported.null_queries.shape == (256, 32)
    assert exported.manifest["null_queries"]["of_training_videos"] == 0
    assert "the epoch was chosen by" in (exported.folder / "MODEL_CARD.md").read_text("utf-8")


def test_never_writes_over_what_is_there(run: Path, bundle: Path) -> None:
    with pytest.raises(BadOptions, match="exists already"):
        export_run(run, bundle)


def test_a_moved_dataset_can_be_named(run: Path, data: Path, bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "moved")
    exported = export_run(run, tmp_path / "bundle", dataset=tmp_path / "moved")
    assert Bundle.open(exported).id == Bundle.open(bundle).id


def test_lite_towers_stay_below_12_mb(run: Path, tmp_path: Path) -> None:
    """At the largest widths that the profile may have, with the shipped preset's own sizes."""
    widths: Any = {"video": {"frames": 72, "motion": 32}, "music": {"audio": 96, "emotion": 48}, "text": 128}
    rows = {"frames": 15, "motion": 30, "audio": 15, "emotion": 1}
    system = YuYin(Dims(**widths, categories=4, tracks=1_000, rows=rows), PRESETS["lite"].system).eval()
    write_towers(replace(Run.open(run), system=system), tmp_path)
    size_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())
    weights_bytes = 4 * sum(each.numel() for each in system.parameters())
    assert weights_bytes < size_bytes < 11_500_000


def test_source_commit_is_none_outside_git(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("", "utf-8")
    assert source_commit(tmp_path / "module.py") is None
