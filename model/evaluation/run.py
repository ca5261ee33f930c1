"""A run or bundle folder and a dataset in, its figures and what made them out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle
from model.datasets.table import Dataset
from model.evaluation.embed import Embedder, embed_split
from model.evaluation.protocol import Evaluation, evaluate_scores


@dataclass(frozen=True, slots=True)
class Subject:
    """What was measured."""

    kind: Literal["run", "bundle"]
    name: str  # a bundle's id, a run's folder
    folder: Path
    system: str
    profile: str
    training: dict[str, Any]  # preset_name, pairs by split, dataset_id, dataset_kind
    source_commit: str | None  # of the code that exported a bundle; a run does not know it


@dataclass(frozen=True, slots=True)
class Measurement:
    """Every score of a split, and the figures that follow from them; in shapes, n pairs."""

    subject: Subject
    dataset: Dataset
    rows: NDArray[np.int64]  # (n,) which of the dataset's pairs
    scores: NDArray[np.float64]  # (n, n) video i against clip j
    evaluation: Evaluation

    def column(self, name: str) -> NDArray[Any]:
        """(n,) a column of the dataset's pairs, of these pairs."""
        return np.asarray(self.dataset.pairs[name][self.rows])


def measure(folder: Path, dataset: Dataset, split: str = "test") -> Measurement:
    """Score all pairs of a split with a bundle, or with a run through the graphs that its export would write.

    Raises:
        Corrupt: if the folder is neither, or not whole.
        BadDataset: if the split has no pairs, or the dataset lacks the profile's features.
    """
    with _opened(folder) as (subject, embedder):
        embedded = embed_split(embedder, dataset, split)
    scores = embedded.scores()
    found = evaluate_scores(scores, dataset.pairs["track_id"][embedded.rows], split=split)
    return Measurement(subject, dataset, embedded.rows, scores, found)


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Subject, Embedder]]:
    if not (folder / "run.json").is_file():
        bundle = Bundle.open(folder)
        yield _subject(folder, "bundle", bundle.id, bundle.manifest), bundle
        return
    from model.export import run_towers  # torch and onnx: only a run needs them
    from model.training.run import Run

    run = Run.open(folder)
    with run_towers(run) as towers:
        yield _subject(folder, "run", folder.resolve().name, {**run.config, "training": run.config}), towers


def _subject(folder: Path, kind: Literal["run", "bundle"], name: str, made: dict[str, Any]) -> Subject:
    known = ("preset_name", "pairs", "dataset_id", "dataset_kind")
    training = {key: made["training"][key] for key in known}
    return Subject(kind, name, folder, made["system"], made["profile"], training, made.get("source_commit"))
