"""What an AdSynth data set knows of its ceiling: read from its file, ranked in loops, shown on the page."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from model.datasets.table import Dataset
from model.evaluation.ceiling import ceilings
from model.evaluation.page import write_report
from model.evaluation.protocol import evaluate_scores
from model.evaluation.run import Measurement, Subject
from model.evaluation.sections import ceiling

N = 20
MADE = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def measured(tmp_path: Path, make_dataset: Callable[..., Path]) -> Measurement:
    """A system that guesses, on a data set that knows all, of which a probe tells half."""
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(3, 2, N)))
    dataset = replace(dataset, manifest={"kind": "adsynth"})
    rng = np.random.default_rng(0)
    told = np.eye(N) + rng.normal(0, 0.8, (N, N))
    np.savez(dataset.folder / "oracle.npz", pmi=np.eye(N), posterior=np.zeros((N, N)), reference=told)
    training = {"preset_name": "p", "pairs": {"train": 3}, "dataset_id": "", "split_id": None}
    subject = Subject("run", "one", tmp_path, "yuyin", "lite", training | {"dataset_kind": None}, None)
    rows, scores = np.arange(5, 5 + N), rng.normal(size=(N, N))
    found = evaluate_scores(scores, dataset.pairs["track_id"][rows], split="test")
    return Measurement(subject, dataset, rows, scores, found)


def test_both_are_ranked_in_the_same_pool(measured: Measurement) -> None:
    found = {(each.name, each.result.direction): each.result for each in ceilings(measured)}
    assert [(result.protocol, result.pool) for result in found.values()] == [("strict", N)] * 4
    told = np.load(measured.dataset.folder / "oracle.npz")["reference"].astype(np.float32)
    for direction, matrix in (("V->M", told), ("M->V", told.T)):
        assert found["PMI oracle", direction].recall[1].value == 1
        places = [1 + sum(other > row[i] for other in row) for i, row in enumerate(matrix)]
        reference = found["feature reference", direction]
        assert reference.recall[5].value == np.mean([place <= 5 for place in places])
        assert reference.median_rank == np.median(places)
        assert reference.mrr.value == pytest.approx(np.mean([1 / place for place in places]))


def test_the_page_and_the_json_have_them(measured: Measurement, tmp_path: Path) -> None:
    page = write_report(measured, tmp_path / "out", MADE).read_text("utf-8")
    assert 'id="ceiling"' in page
    for name in ("this system", "PMI oracle", "feature reference"):
        for way in ("video → music", "music → video"):
            assert f">{name}, {way}</th>" in page
    own = measured.evaluation.result("strict", "V->M").recall[10].value
    assert f"{100 * own:.1f}\N{NO-BREAK SPACE}% against 100.0\N{NO-BREAK SPACE}% video → music" in page
    known = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))["ceilings"]
    assert [(each["name"], each["recall"]["1"]["value"]) for each in known[:2]] == [("PMI oracle", 1)] * 2


def test_a_lost_oracle_is_said_and_no_other_data_has_one(measured: Measurement) -> None:
    for other in (
        replace(measured, evaluation=replace(measured.evaluation, split="train")),
        replace(measured, dataset=replace(measured.dataset, manifest={"kind": "ave"})),
    ):
        assert ceilings(other) == ()
    assert ceiling(measured.evaluation, ()) is None
    (measured.dataset.folder / "oracle.npz").unlink()
    assert ceilings(measured) is None
    page = ceiling(measured.evaluation, None)
    assert "oracle.npz is gone or of other pairs" in page
