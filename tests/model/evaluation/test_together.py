"""Runs that no bundle can be made of are measured too: against one pair at a time."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from model.datasets.table import Dataset, features_folder
from model.errors import BadDataset, BadOptions
from model.evaluation.listener import audio_distance, open_listener
from model.evaluation.run import measure
from model.export import export_run
from model.training.run import Run, TrainJob, train
from model.training.sampler import prepare, read_pairs

SYSTEMS = {"ut_cmvmr": ("se", {"batch_size": "8", "epochs": "1"}), "cmvae": ("paper", {"epochs": "1"})}


@pytest.mark.parametrize("system", SYSTEMS)
def test_scores_every_pair_as_if_it_were_alone(
    system: str, tmp_path: Path, make_dataset: Callable[..., Path], add_listener: Callable[[Path], None]
) -> None:
    data = make_dataset(tmp_path / "data", counts=(24, 6, 7))
    preset, settings = SYSTEMS[system]
    job = TrainJob(data, tmp_path / "run", system, preset, settings=settings, threads=1)
    folder = train(job, lambda _: None).folder
    dataset, run = Dataset.open(data), Run.open(folder)
    measured = measure(folder, dataset, "test")
    pairs = read_pairs(dataset, "lite")
    table = prepare(run.system, pairs, torch.device("cpu"), fit=False)
    assert measured.embedded is None
    assert measured.evaluation.result("strict", "V->M").pool == 7
    with torch.no_grad():
        for i, row in enumerate(measured.rows[:3]):
            asked = table.queries(np.array([row]), with_text=run.system.reads_query_text)
            for j, other in enumerate(measured.rows[-3:]):
                segments = [
                    {name: x[s : s + 1] for name, x in table.music.items()}
                    for s in range(pairs.offsets[other], pairs.offsets[other + 1])
                ]
                alone = np.mean([float(run.system.scores(asked, each)) for each in segments])
                assert measured.scores[i, len(measured.rows) - 3 + j] == pytest.approx(alone, abs=1e-5)
    with pytest.raises(BadDataset, match="no pair of split 'nowhere'"):
        measure(folder, dataset, "nowhere")
    add_listener(data)
    ear = open_listener(dataset, "ear/audio")
    heard = measure(folder, dataset, "test", listener=ear).heard
    rows = measured.rows
    assert heard == audio_distance(
        measured.scores, ear.embed(rows), dataset.pairs["track_id"][rows], ear.name
    )
    with pytest.raises(BadOptions, match="judged by itself"):
        measure(folder, dataset, "test", listener=open_listener(dataset, "lite/audio"))
    thin = features_folder(data, "lite") / "frames.npy"
    np.save(thin, np.load(thin)[:, :5])
    with pytest.raises(
        BadDataset, match=f"the run {folder} reads .*'frames' in 9 columns, which {data} has in 5"
    ):
        measure(folder, dataset, "test")
    with pytest.raises(BadOptions, match="train"):
        export_run(folder, tmp_path / "bundle")
