"""What a run shows of itself: against its own weights by hand, and on the page that is made of it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch

from index_builder.search import FlatSearch
from model.datasets.table import Dataset
from model.errors import BadOptions
from model.evaluation.inside import inside_of_run, look_inside
from model.evaluation.listener import FeatureListener, audio_distance
from model.evaluation.page import write_report
from model.evaluation.run import measure
from model.systems.system import System
from model.systems.views import joined, only
from model.training.run import Run, TrainJob, train
from model.training.sampler import read_pairs

QUICK = {"epochs": "2", "batch_size": "32", "embedding": "24", "hidden": "16", "common": "8"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path_factory.mktemp("inside") / "data", counts=(60, 20, 24))


@pytest.fixture(scope="module")
def folder(data: Path) -> Path:
    job = TrainJob(data, data.parent / "run", preset="paper", settings=QUICK, threads=1)
    return train(job, lambda _: None).folder


@torch.no_grad()
def test_representations_and_gates_are_those_of_the_weights(data: Path, folder: Path) -> None:
    """Segment by segment in float64: g = sigmoid(W_g x + b_g), m = W_o (g x) + b_o, h = W_v x_v + b_v."""
    run, dataset = Run.open(folder), Dataset.open(data)
    rows = np.array([3, 80, 81, 99])
    found = inside_of_run(run, dataset, rows)
    assert found is not None
    system, pairs = run.system, read_pairs(dataset, "lite")
    weight = {name: value.double().numpy() for name, value in system.state_dict().items()}
    videos, clips = [], []
    for i, row in enumerate(rows):
        view = system.video_view
        x = joined(view(only(pairs.videos(np.array([row])), view.widths))).double().numpy()[0]
        videos.append(weight["video_embedding.weight"] @ x + weight["video_embedding.bias"])
        heard, gates = [], []
        for segment in range(pairs.offsets[row], pairs.offsets[row + 1]):
            view = system.music_view
            x = joined(view(only(pairs.segments(np.array([segment])), view.widths))).double().numpy()[0]
            gate = 1 / (1 + np.exp(-(weight["fusion.gate.weight"] @ x + weight["fusion.gate.bias"])))
            heard.append(weight["fusion.out.weight"] @ (gate * x) + weight["fusion.out.bias"])
            gates.append(gate)
        clips.append(heard)
        np.testing.assert_allclose(found.music[i], np.mean(heard, axis=0), atol=1e-5)
        audio = view.out["audio"]  # before emotion: the inputs stand in the order of their names
        assert found.gates["audio"][i] == pytest.approx(np.mean([g[:audio].mean() for g in gates]), abs=1e-5)
        assert found.gates["emotion"][i] == pytest.approx(
            np.mean([g[audio:].mean() for g in gates]), abs=1e-5
        )
    for i, v in enumerate(videos):
        for j, heard in enumerate(clips):
            cosines = [v @ m / np.linalg.norm(v) / np.linalg.norm(m) for m in heard]
            assert found.scores[i, j] == pytest.approx(np.mean(cosines), abs=1e-5)


def test_without_a_gate_there_is_none_to_show(data: Path, tmp_path: Path) -> None:
    job = TrainJob(data, tmp_path / "run", preset="concat", settings={**QUICK, "epochs": "1"}, threads=1)
    run = Run.open(train(job, lambda _: None).folder)
    found = inside_of_run(run, Dataset.open(data), np.arange(5))
    assert found is not None
    assert found.gates == {}
    assert found.music.shape == (5, 24)


def test_a_system_that_projects_nothing_has_no_inside() -> None:
    assert look_inside(System(), {}, {}, np.array([0])) is None


def test_the_page_of_a_run_shows_it_all(data: Path, folder: Path, tmp_path: Path) -> None:
    measured = measure(folder, Dataset.open(data), "test", FlatSearch)
    assert {each.protocol for each in measured.evaluation.results} >= {"strict", "catalog", "cold"}
    assert measured.evaluation.absent == ()
    assert measured.evaluation.result("catalog", "V->M").pool == 104  # tracks of all splits
    page = write_report(measured, tmp_path / "report", datetime(2026, 1, 2, tzinfo=UTC)).read_text("utf-8")
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert {"maps", "gates", "ranks", "beyond", "similarity-before-plot-title", "map-music-title"} <= ids
    for name, values in measured.inside.gates.items():
        assert f"{name}, mean {values.mean():.2f}" in page


def test_what_the_system_reads_may_not_listen(
    data: Path, folder: Path, add_listener: Callable[[Path], None]
) -> None:
    add_listener(data)
    dataset = Dataset.open(data)
    with pytest.raises(BadOptions, match="judged by itself"):
        measure(folder, dataset, "test", None, FeatureListener(dataset, "lite", "emotion"))
    ear = FeatureListener(dataset, "ear", "audio")
    found = measure(folder, dataset, "test", None, ear)
    tracks = dataset.pairs["track_id"][found.rows]
    assert found.heard == audio_distance(found.scores, ear.embed(found.rows), tracks, "ear/audio")
