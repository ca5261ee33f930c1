"""A run from end to end on a small problem: it learns what is there, and nothing where nothing is."""

import json
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.artifact import hash_files
from model.datasets.table import Dataset
from model.errors import BadDataset, BadOptions, Corrupt, Mismatch
from model.evaluation.protocol import evaluate_scores
from model.evaluation.run import measure
from model.training.curves import curves_png
from model.training.loop import Epoch
from model.training.run import Run, TrainJob, train
from model.training.sampler import prepare, read_pairs

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


def figures(run: Path) -> list[dict[str, float]]:
    """Every epoch's, without the seconds it took."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "train_s"} for line in lines]


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
    assert figures(run) == figures(again)
    other = train(job(paired, paired.parent / "other", seed="1"), lambda _: None)
    assert figures(run) != figures(other.folder)


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
    tracks = measured.column("track_id")
    alone = evaluate_scores(measured.scores, tracks, split="test")
    for direction in ("V->M", "M->V"):
        assert measured.evaluation.result("strict", direction) == alone.result("strict", direction)  # type: ignore[arg-type]  # a Literal
    assert measured.column("split").tolist() == ["test"] * 60


def test_inputs_are_standardised_by_the_training_pairs_alone(run: Path, paired: Path) -> None:
    system, dataset = Run.open(run).system, Dataset.open(paired)
    train_rows = np.flatnonzero(dataset.pairs["split"] == "train")
    pooled = []
    for i in train_rows:
        frames, motion = (dataset.features(name).row(i).values for name in ("frames", "motion"))
        pooled.append(np.concatenate([f(0) for x in (frames, motion) for f in (x.mean, x.std)]))
    mean, std = np.mean(pooled, axis=0), np.std(pooled, axis=0)
    np.testing.assert_allclose(system.video_view.standardise.mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(system.video_view.standardise.scale, 1 / std, rtol=1e-3)


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
    system, pairs = Run.open(run).system, read_pairs(dataset, "lite")
    rows = pairs.rows("evaluation")
    table = prepare(system, pairs, torch.device("cpu"), fit=False)
    with torch.no_grad():
        losses = system.loss(table.batch(rows, pairs.middle_segments(rows)), best["number"])
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


class Killed(Exception):
    pass


@pytest.mark.parametrize("every_s", [0.0, 30.0])
def test_a_killed_run_goes_on_from_its_checkpoint_to_the_same_bits(
    tmp_path: Path, paired: Path, run: Path, monkeypatch: pytest.MonkeyPatch, every_s: float
) -> None:
    monkeypatch.setattr("model.training.run.CHECKPOINT_S", every_s)

    def kill(epoch: Epoch) -> None:
        if epoch.number == 3:
            raise Killed

    wanted, seen, said = job(paired, tmp_path / "run"), list[int](), list[str]()
    with pytest.raises(Killed):
        train(wanted, kill)
    assert [path.name for path in tmp_path.iterdir()] == (["run.checkpoint"] if every_s == 0 else [])
    assert train(wanted, lambda epoch: seen.append(epoch.number), said.append).folder == wanted.out
    gone_on = f"going on after epoch 3 of 6, from {tmp_path / 'run.checkpoint'}"
    assert said == ([gone_on] if every_s == 0 else [])
    assert seen == ([4, 5, 6] if every_s == 0 else [1, 2, 3, 4, 5, 6])
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert figures(wanted.out) == figures(run)
    first, second = Run.open(run).system.state_dict(), Run.open(wanted.out).system.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def killed(tmp_path: Path, paired: Path, monkeypatch: pytest.MonkeyPatch) -> TrainJob:
    """A job that was stopped after its first epoch."""
    monkeypatch.setattr("model.training.run.CHECKPOINT_S", 0.0)

    def kill(epoch: Epoch) -> None:
        raise Killed

    wanted = job(paired, tmp_path / "run", epochs="2")
    with pytest.raises(Killed):
        train(wanted, kill)
    return wanted


def test_another_job_is_refused_while_this_one_s_checkpoint_lies_there(killed: TrainJob) -> None:
    other, seen = replace(killed, settings={**killed.settings, "seed": "5"}), list[int]()
    left = killed.out.with_name("run.checkpoint")
    before = left.read_bytes()
    with pytest.raises(BadOptions, match=r"checkpoint of another job lies at .*run\.checkpoint: repeat that"):
        train(other, lambda epoch: seen.append(epoch.number))
    assert (seen, left.read_bytes()) == ([], before)
    train(killed, lambda epoch: seen.append(epoch.number))
    assert seen == [2]


@pytest.mark.parametrize("harm", ["empty", "cut off", "a byte", "text", "pickle", "another's"])
def test_a_damaged_checkpoint_is_named_and_training_starts_anew(killed: TrainJob, harm: str) -> None:
    left = killed.out.with_name("run.checkpoint")
    whole = left.read_bytes()
    match harm:
        case "empty":
            left.write_bytes(b"")
        case "cut off":
            left.write_bytes(whole[: len(whole) // 2])
        case "a byte":
            at = whole.index(b"job_id")
            left.write_bytes(whole[:at] + b"J" + whole[at + 1 :])
        case "text":
            left.write_text("epoch,loss\n1,2\n", "utf-8")
        case "pickle":
            left.write_bytes(pickle.dumps({"job_id": 1}, protocol=4))
        case _:
            torch.save([1, 2], left)
    seen, said = list[int](), list[str]()
    train(killed, lambda epoch: seen.append(epoch.number), said.append)
    assert (seen, said) == ([1, 2], [f"{left} is damaged: training starts anew"])
    assert not left.exists()


def test_a_rate_that_is_too_high_is_named_and_leaves_nothing_behind(
    tmp_path: Path, paired: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.training.run.CHECKPOINT_S", 0.0)
    with pytest.raises(BadOptions, match=r"^training diverged in epoch [123]: lower learning_rate$"):
        train(job(paired, tmp_path / "run", learning_rate="1e9"), lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_found_before_training(paired: Path) -> None:
    seen = list[Epoch]()
    with pytest.raises(OSError, match="/proc/"):
        train(job(paired, Path("/proc/run")), seen.append)
    assert seen == []


def test_stops_at_its_time_limit_and_says_so(tmp_path: Path, paired: Path) -> None:
    report = train(job(paired, tmp_path / "run", limit_s="0.000001"), lambda _: None)
    assert report.best.number == 1
    assert report.stopped == "stopped at 1e-06 s of training, in epoch 1 of 6"
    assert len(figures(report.folder)) == 1


def test_stops_when_no_epoch_is_better_any_more(tmp_path: Path, unpaired: Path) -> None:
    wanted = job(unpaired, tmp_path / "run", keep="loss", patience="2", epochs="40", learning_rate="0.01")
    report = train(wanted, lambda _: None)
    epochs = figures(report.folder)
    assert len(epochs) == report.best.number + 2 < 40
    assert report.stopped == f"stopped after epoch {len(epochs)} of 40: no better one in 2"


@pytest.mark.parametrize("settings", [{"precision": "bfloat16"}, {"optimizer": "sgd", "clip_norm": "1"}])
def test_learns_in_half_precision_and_by_another_optimizer(
    tmp_path: Path, paired: Path, settings: dict[str, str]
) -> None:
    rate = "0.5" if "optimizer" in settings else "0.001"
    report = train(job(paired, tmp_path / "run", learning_rate=rate, **settings), lambda _: None)
    assert report.best.r10_video_to_music > 0.5


def test_a_device_that_is_not_here_is_refused(tmp_path: Path, paired: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    for device, reason in (("cuda", "no CUDA device"), ("tpu", "unknown device")):
        with pytest.raises(BadOptions, match=reason):
            train(TrainJob(paired, tmp_path / "x", device=device), lambda _: None)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda config: config | {"schema": 1}, "schema 1, this version reads 2: train it again"),
        (lambda config: [], "does not fit this version .*: train it again"),
        (lambda config: config | {"dims": {"x": 1}}, "does not fit this version .*'x'.*: train it again"),
        (lambda config: config | {"preset": {}}, "does not fit this version .*'system'.*: train it again"),
        (
            lambda config: config | {"preset": {"system": config["preset"]["system"] | {"hidden": 3}}},
            "does not fit this version .*hidden.*: train it again",
        ),
    ],
)
def test_a_run_of_another_version_is_refused(
    tmp_path: Path, run: Path, change: Callable[[dict[str, Any]], Any], says: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    config = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps(change(config)), "utf-8")
    listed = {"files": hash_files(copy, manifest="run.json")}
    (copy / "run.json").write_text(json.dumps(listed), "utf-8")
    with pytest.raises(Mismatch, match=f"^[^\n]*{says}$"):
        Run.open(copy)


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
