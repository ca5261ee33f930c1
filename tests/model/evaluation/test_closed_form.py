"""Hits of the closed form against one that is computed and counted by hand, pair by pair."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg

from model.datasets.table import Dataset
from model.evaluation.closed_form import found_in_ten
from model.systems.cca import PRESETS


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Dataset:
    """Sides that share a little: neither all nor chance is found."""
    folder = make_dataset(tmp_path_factory.mktemp("closed") / "data", counts=(60, 25, 30), seed=3)
    return Dataset.open(folder)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sides(dataset: Dataset) -> tuple[np.ndarray, list[np.ndarray]]:
    """Means over time: (n, d) of the pictures, (segments, d) of each clip."""
    video = np.stack(
        [
            np.concatenate([dataset.features(name).row(i).values.mean(0) for name in ("frames", "motion")])
            for i in range(len(dataset))
        ]
    )
    clips = []
    for i in range(len(dataset)):
        heard, mood = (dataset.features(name).row(i) for name in ("audio", "emotion"))
        rows = []
        for (start_s, end_s), own in zip(
            dataset.features("segments").row(i).values, mood.values, strict=True
        ):
            inside = (heard.times_s >= start_s) & (heard.times_s < end_s)
            rows.append(np.concatenate([heard.values[inside].mean(0), own]))
        clips.append(np.stack(rows))
    return video.astype(np.float64), clips


def by_hand(dataset: Dataset, split: str) -> np.ndarray:
    """CCA by its generalised eigenproblem on z-scores; a pair counts if fewer than ten score higher."""
    config = PRESETS["tuned"].system
    assert (config.pool, config.power) == ("mean", 1.0)
    video, clips = sides(dataset)
    train, rows = (np.flatnonzero(dataset.pairs["split"] == name) for name in ("train", split))
    y = np.concatenate([clips[i] for i in train])

    def z(side: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.clip((side - of.mean(0)) / of.std(0), -config.clip, config.clip)

    repeated = np.repeat(train, [len(clips[i]) for i in train])
    u, v = z(video[repeated], video[train]), z(y, y)
    u_mean, v_mean = u.mean(0), v.mean(0)
    u, v = u - u_mean, v - v_mean
    c_uu, c_vv = (s.T @ s / len(s) for s in (u, v))
    c_uu, c_vv = (c + config.ridge * np.trace(c) / len(c) * np.eye(len(c)) for c in (c_uu, c_vv))
    c_uv = u.T @ v / len(u)
    squared, a = scipy.linalg.eigh(c_uv @ np.linalg.solve(c_vv, c_uv.T), c_uu)
    kept = np.argsort(squared)[::-1][: min(config.components, u.shape[1], v.shape[1])]
    correlations, a = np.sqrt(np.maximum(squared[kept], 0)), a[:, kept]
    b = np.linalg.solve(c_vv, c_uv.T @ a) / correlations
    a, b = a * correlations, b * correlations
    asked = unit((z(video[rows], video[train]) - u_mean) @ a)
    answers = np.stack([unit((z(clips[i], y) - v_mean) @ b).mean(0) for i in rows])
    scores = asked @ answers.T
    hits = np.zeros((2, len(rows)))
    for i in range(len(rows)):
        hits[0, i] = (scores[i] > scores[i, i]).sum() < 10
        hits[1, i] = (scores[:, i] > scores[i, i]).sum() < 10
    return hits


@pytest.mark.parametrize("split", ["test", "evaluation"])
def test_hits_are_those_counted_by_hand(dataset: Dataset, split: str) -> None:
    found = found_in_ten(dataset, "lite", split)
    np.testing.assert_array_equal(found, by_hand(dataset, split))
    assert 0.5 < found.mean() <= 1


def test_of_ten_pairs_all_are_among_the_first_ten(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    small = Dataset.open(make_dataset(tmp_path / "data", counts=(2, 0, 10), paired=False))
    assert found_in_ten(small, "lite", "test").tolist() == [[1] * 10] * 2


def test_unrelated_sides_are_found_by_chance(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    folder = make_dataset(tmp_path / "data", counts=(60, 0, 100), paired=False)
    assert found_in_ten(Dataset.open(folder), "lite", "test").mean() == pytest.approx(0.1, abs=0.08)
