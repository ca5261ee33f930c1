"""A run from end to end on a small problem: it learns what is there, and nothing where nothing is."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions, Corrupt
from model.evaluation.protocol import evaluate_scores
from model.evaluation.run import measure
from model.features.profiles import load_profile
from model.training.curves import curves_png
from model.training.loop import Epoch
from model.training.run import Run, TrainJob, train
from model.training.sampler import read_pairs

QUICK = {
    "epochs": "6",
    "batch_size": "32",
    "embedding": "64",
    "hidden": "64",
    "common": "32",
    "pool": "mean_std",
    "dropout": "0",
    "input_dropout": "0",
    "mixup": "0",
    "keep": "mrr",
}


def job(dataset: Path, out: Path, **settings: str) -> TrainJob:
    return TrainJob(dataset, out, settings={**QUICK, **settings}, threads=1)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path_factory.mktemp("paired") / "data")


@pytest.fixture(scope="module")
def unpaired(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("unpaired") / "data"
    return make_dataset(folder, counts=(200, 60, 150), paired=False)


@pytest.fixture(scope="module")
def run(paired: Path) -> Path:
    return train(job(paired, paired.parent / "run"), lambda _: None).folder


def test_finds_what_videos_and_clips_share(run: Path, paired: Path) -> None:
    found = measure(run, Dataset.open(paired), "test").evaluation
    for direction in ("V->M", "M->V"):
        r10 = found.result("strict", direction).recall[10]  # type: ignore[arg-type]  # a Literal
        assert r10.value > 0.6
        assert r10.low > 2 * r10.chance


def test_is_at_chance_when_music_is_paired_at_random(tmp_path: Path, unpaired: Path) -> None:
    report = train(job(unpaired, tmp_path / "run"), lambda _: None)
    evaluation = measure(report.folder, Dataset.open(unpaired), "test").evaluation
    found = evaluation.result("strict", "V->M").recall[10]
    assert found.low < found.chance < found.high


def test_same_job_gives_the_same_bytes_and_leaves_torch_s_seed_alone(run: Path, paired: Path) -> None:
    torch.manual_seed(123)
    threads = torch.get_num_threads()
    expected = torch.rand(3)
    torch.manual_seed(123)
    again = train(job(paired, paired.parent / "again"), lambda _: None).folder
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads
    first, second = Run.open(run).system.state_dict(), Run.open(again).system.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (run / "metrics.jsonl").read_bytes() == (again / "metrics.jsonl").read_bytes()
    other = train(job(paired, paired.parent / "other", seed="1"), lambda _: None)
    assert (run / "metrics.jsonl").read_bytes() != (other.folder / "metrics.jsonl").read_bytes()


def test_leaves_a_picture_of_the_figures_that_the_manifest_lists(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert (run / "curves.png").read_bytes() == curves_png([Epoch(**line) for line in lines])
    listed = json.loads((run / "run.json").read_text("utf-8"))["files"]
    assert sorted(listed) == ["config.json", "curves.png", "metrics.jsonl", "weights.pt"]


def test_a_measurement_says_what_was_measured(run: Path, paired: Path) -> None:
    dataset = Dataset.open(paired)
    measured = measure(run, dataset, "test")
    assert (measured.subject.kind, measured.subject.name) == ("run", "run")
    assert measured.subject.training["pairs"] == {"train": 200, "evaluation": 60, "test": 60}
    assert measured.subject.training["dataset_id"] == dataset.id
    assert measured.evaluation == evaluate_scores(measured.scores, measured.column("track_id"), split="test")
    assert measured.column("split").tolist() == ["test"] * 60


def test_inputs_are_standardised_by_the_training_pairs_alone(run: Path, paired: Path) -> None:
    system, dataset = Run.open(run).system, Dataset.open(paired)
    train_rows = np.flatnonzero(dataset.pairs["split"] == "train")
    pooled = []
    for i in train_rows:
        frames, motion = (dataset.features(name).row(i).values for name in ("frames", "motion"))
        pooled.append(np.concatenate([f(0) for x in (frames, motion) for f in (x.mean, x.std)]))
    mean, std = np.mean(pooled, axis=0), np.std(pooled, axis=0)
    np.testing.assert_allclose(system.video_inputs.standardise.mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(system.video_inputs.standardise.scale, 1 / std, rtol=1e-3)


@pytest.mark.parametrize(("keep", "figure", "best"), [("loss", "evaluation_loss", min), ("mrr", "mrr", max)])
def test_keeps_the_best_epoch_and_reports_every_one(
    tmp_path: Path, paired: Path, keep: str, figure: str, best: Callable[[list[float]], float]
) -> None:
    seen: list[Epoch] = []
    report = train(job(paired, tmp_path / "run", keep=keep, learning_rate="0.01"), seen.append)
    lines = [json.loads(line) for line in (report.folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["number"] for line in lines] == [epoch.number for epoch in seen] == [1, 2, 3, 4, 5, 6]
    values = [line[figure] for line in lines]
    assert getattr(report.best, figure) == best(values)
    assert report.best.number == 1 + values.index(best(values))


def test_figures_of_the_best_epoch_are_those_of_the_kept_weights(run: Path, paired: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    best = [line for line in lines if line["best"]][-1]
    dataset = Dataset.open(paired)
    pairs = read_pairs(dataset, load_profile("lite"))
    rows = pairs.rows("evaluation")
    with torch.no_grad():
        losses = Run.open(run).system.loss(pairs.batch(rows, pairs.middle_segments(rows)))
    assert float(losses.total) == pytest.approx(best["evaluation_loss"], rel=1e-5)
    strict = measure(run, dataset, "evaluation").evaluation
    assert strict.result("strict", "V->M").recall[10].value == pytest.approx(best["r10_video_to_music"])
    assert strict.result("strict", "M->V").recall[10].value == pytest.approx(best["r10_music_to_video"])


def test_weights_on_disk_are_those_of_the_best_epoch(tmp_path: Path, unpaired: Path) -> None:
    """With a constant rate, stopping after epoch n and keeping epoch n of a longer run are the same."""
    settings = {"schedule": "constant", "learning_rate": "0.01"}
    long = train(job(unpaired, tmp_path / "long", keep="loss", **settings), lambda _: None)
    assert long.best.number < 6  # nothing to learn: it only gets worse on unseen pairs
    epochs = str(long.best.number)
    short = train(job(unpaired, tmp_path / "short", keep="last", epochs=epochs, **settings), lambda _: None)
    kept, last = (Run.open(each.folder).system.state_dict() for each in (long, short))
    assert all(torch.equal(kept[name], last[name]) for name in kept)


def test_a_run_that_is_killed_leaves_nothing_and_can_be_run_again(tmp_path: Path, paired: Path) -> None:
    class Killed(Exception):
        pass

    def kill(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise Killed

    wanted = job(paired, tmp_path / "run")
    with pytest.raises(Killed):
        train(wanted, kill)
    assert not wanted.out.exists()
    assert train(wanted, lambda _: None).folder == wanted.out
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_refuses_what_it_cannot_do(
    tmp_path: Path, paired: Path, run: Path, make_dataset: Callable[..., Path]
) -> None:
    with pytest.raises(BadOptions, match="exists already"):
        train(TrainJob(paired, run), lambda _: None)
    with pytest.raises(BadOptions, match="unknown system"):
        train(TrainJob(paired, tmp_path / "x", system="bach"), lambda _: None)
    lonely = make_dataset(tmp_path / "lonely", counts=(8, 0, 4))
    with pytest.raises(BadDataset, match="'evaluation'"):
        train(TrainJob(lonely, tmp_path / "x"), lambda _: None)


def test_a_damaged_run_is_refused(tmp_path: Path, run: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in run.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    Run.open(copy)
    with (copy / "weights.pt").open("r+b") as file:
        file.seek(3_000)
        file.write(b"\x00\x01\x02")
    with pytest.raises(Corrupt, match=r"weights\.pt"):
        Run.open(copy)
