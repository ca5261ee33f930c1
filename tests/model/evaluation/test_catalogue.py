"""The catalogue of a dataset: every track of every split, scored as its clips are, by its best one."""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from index_builder.search import FlatSearch
from model.datasets.table import Dataset
from model.evaluation import catalogue as module
from model.evaluation.catalogue import score_catalogue
from model.evaluation.embed import embed_pairs, embed_split
from model.features.sequence import Sequence


@dataclass(frozen=True)
class FirstColumns:
    """Embeds by the mean of the first three columns of `frames` and of `emotion`; no learning."""

    profile: str = "lite"

    @property
    def input_names(self) -> dict[str, tuple[str, ...]]:
        return {"video": ("frames",), "music": ("emotion",)}

    def embed_video(self, sequences: Mapping[str, Sequence]) -> np.ndarray:
        return unit(sequences["frames"])

    def embed_music(self, batch: Several[Mapping[str, Sequence]]) -> np.ndarray:
        return np.stack([unit(item["emotion"]) for item in batch])


def unit(sequence: Sequence) -> np.ndarray:
    x = sequence.values.mean(0)[:3]
    return np.asarray(x / np.linalg.norm(x), np.float32)


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Dataset:
    found = Dataset.open(make_dataset(tmp_path / "data", counts=(9, 2, 7)))
    found.pairs["track_id"][:] = [f"t{i % 8}" for i in range(18)]  # most of them in several splits
    return found


@pytest.mark.parametrize("searched", [False, True])
def test_every_track_scores_as_its_best_clip(
    dataset: Dataset, searched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUERIES_AT_ONCE", 3)  # blocks, the last one uneven
    embedder = FirstColumns()
    judged, everything = embed_split(embedder, dataset, "test"), embed_pairs(embedder, dataset, np.arange(18))
    found = score_catalogue(embedder, dataset, judged, FlatSearch if searched else None)
    assert found is not None
    assert found.tracks.tolist() == [f"t{i}" for i in range(8)]
    for i, video in enumerate(judged.videos):
        for j, track in enumerate(found.tracks):
            clips = [c for c in range(18) if dataset.pairs["track_id"][c] == track]
            means = [
                (everything.segments[everything.offsets[c] : everything.offsets[c + 1]] @ video).mean()
                for c in clips
            ]
            assert found.scores[i, j] == pytest.approx(max(means), abs=2e-6)


def test_a_split_that_is_the_whole_dataset_has_no_catalogue(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    whole = Dataset.open(make_dataset(tmp_path / "whole", counts=(0, 0, 4)))
    assert score_catalogue(FirstColumns(), whole, embed_split(FirstColumns(), whole, "test"), None) is None
