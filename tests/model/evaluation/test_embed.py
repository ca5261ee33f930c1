"""Which rows of a clip a segment gets, and evaluation with an embedder that can be computed by hand."""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from model.datasets.table import Dataset, Ragged
from model.errors import BadDataset
from model.evaluation.embed import embed_pairs, embed_split, rows_of, segments_of
from model.features.sequence import Sequence


@dataclass(frozen=True)
class FirstColumns:
    """Embeds by the mean of the first two columns of `frames` and of `emotion`; no learning."""

    profile: str = "lite"

    @property
    def input_names(self) -> dict[str, tuple[str, ...]]:
        return {"video": ("frames",), "music": ("audio", "emotion")}

    def embed_video(self, sequences: Mapping[str, Sequence]) -> np.ndarray:
        return unit(sequences["frames"].values.mean(0)[:2])

    def embed_music(self, batch: Several[Mapping[str, Sequence]]) -> np.ndarray:
        return np.stack([unit(item["emotion"].values.mean(0)[:2]) for item in batch])


def unit(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / np.linalg.norm(x))


def test_segments_take_the_rows_inside_them_and_their_own_row_of_the_functional() -> None:
    audio = Sequence(np.arange(30, dtype=np.float32)[:, None], np.arange(30) + 0.5)
    mood = Sequence(np.array([[7.0], [8.0]], np.float32), np.array([9.5, 14.5]))
    spans = Sequence(np.array([[2.0, 17.0], [7.0, 22.0]], np.float32), np.array([9.5, 14.5]))
    music = {"audio": Ragged.stack([audio]), "emotion": Ragged.stack([mood])}
    first, second = segments_of(music, Ragged.stack([spans]), 0)
    assert first["audio"].values[:, 0].tolist() == list(range(2, 17))
    assert second["audio"].values[:, 0].tolist() == list(range(7, 22))
    assert first["emotion"].values.tolist() == [[7.0]]
    assert second["emotion"].values.tolist() == [[8.0]]


def test_embeds_every_segment_of_the_chosen_pairs(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(3, 2, 4)))
    rows = rows_of(dataset, "test")
    assert rows.tolist() == [5, 6, 7, 8]
    found = embed_pairs(FirstColumns(), dataset, rows)
    spans, frames, mood = (dataset.features(name) for name in ("segments", "frames", "emotion"))
    for i, row in enumerate(rows):
        np.testing.assert_allclose(found.videos[i], unit(frames.row(row).values.mean(0)[:2]), rtol=1e-6)
        mine = found.segments[found.offsets[i] : found.offsets[i + 1]]
        assert len(mine) == len(spans.row(row).values)
        np.testing.assert_allclose(mine, [unit(each[:2]) for each in mood.row(row).values], rtol=1e-6)


def test_a_split_without_pairs_is_named(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    dataset = Dataset.open(make_dataset(tmp_path / "data", counts=(3, 2, 0)))
    with pytest.raises(BadDataset, match="'test'"):
        embed_split(FirstColumns(), dataset, "test")
