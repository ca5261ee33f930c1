"""A run or bundle folder and a dataset in, its figures and what made them out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle
from model.datasets.table import Dataset
from model.errors import BadOptions
from model.evaluation.embed import Embedded, Embedder, checked_rows, embed_split
from model.evaluation.judge import judge, trained_tracks
from model.evaluation.listener import AudioDistance, AudioEncoder, audio_distance
from model.evaluation.protocol import Evaluation, evaluate_scores
from model.evaluation.search import OpenSearch

if TYPE_CHECKING:
    from model.evaluation.inside import Inside
    from model.training.run import Run


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
    embedded: Embedded | None = None  # None of a system that has no vectors of its own for either side
    inside: "Inside | None" = None  # of a run that projects representations which can be looked at
    heard: AudioDistance | None = None  # None where nobody listened

    def column(self, name: str) -> NDArray[Any]:
        """(n,) a column of the dataset's pairs, of these pairs."""
        return np.asarray(self.dataset.pairs[name][self.rows])

    @property
    def trained(self) -> NDArray[np.str_] | None:
        """(t,) track of every pair that training saw; None if that was of another dataset."""
        return trained_tracks(self.dataset, self.subject.training["dataset_id"])


def measure(
    folder: Path,
    dataset: Dataset,
    split: str = "test",
    open_search: OpenSearch | None = None,
    listener: AudioEncoder | None = None,
) -> Measurement:
    """Score all pairs of a split with a bundle, or with a run through the graphs that its export would write.

    Args:
        folder: of the run or the bundle.
        dataset: with features of its profile.
        split: which pairs; the tracks of all splits are the catalogue.
        open_search: what finds the cosines, so that what is measured is what will be served; None for a
            matrix product.
        listener: to say how alike the first choice and the right clip sound.

    Raises:
        Corrupt: if the folder is neither, or not whole.
        BadDataset: if the split has no pairs, or the dataset lacks the profile's features.
        BadOptions: if the system reads what the listener listens to.
    """
    with _opened(folder) as (subject, embedder, run):
        if embedder is None:
            assert run is not None  # a bundle always embeds
            return _measured_together(subject, run, dataset, split)
        _check_apart(embedder, listener)
        embedded = embed_split(embedder, dataset, split)
        trained_on = subject.training["dataset_id"]
        scores, found = judge(
            embedder, dataset, embedded, split, trained_on=trained_on, open_search=open_search
        )
    inside = None if run is None else _inside(run, dataset, embedded.rows)
    heard = None
    if listener is not None:
        tracks = dataset.pairs["track_id"][embedded.rows]
        heard = audio_distance(scores, listener.embed(embedded.rows), tracks, listener.name)
    return Measurement(subject, dataset, embedded.rows, scores, found, embedded, inside, heard)


def _measured_together(subject: Subject, run: "Run", dataset: Dataset, split: str) -> Measurement:
    """Of a run that has no towers: without a search, a catalogue or a look inside."""
    from model.evaluation.together import score_together  # torch

    rows = checked_rows(dataset, split)
    scores = score_together(run, dataset, rows)
    trained = trained_tracks(dataset, subject.training["dataset_id"])
    found = evaluate_scores(scores, dataset.pairs["track_id"][rows], split=split, trained=trained)
    return Measurement(subject, dataset, rows, scores, found)


def _check_apart(embedder: Embedder, listener: AudioEncoder | None) -> None:
    read = [f"{embedder.profile}/{name}" for name in embedder.input_names["music"]]
    if listener is not None and listener.name in read:
        raise BadOptions(
            f"{listener.name} is an input of this system, which would be judged by itself: let it be heard "
            f"through features other than {', '.join(read)}"
        )


@contextmanager
def _opened(folder: Path) -> Iterator[tuple[Subject, Embedder | None, "Run | None"]]:
    """What was made, what embeds (None of a run that no bundle can be made of), and the run if it is one."""
    if not (folder / "run.json").is_file():
        bundle = Bundle.open(folder)
        yield _subject(folder, "bundle", bundle.id, bundle.manifest), bundle, None
        return
    from model.export import run_towers  # torch and onnx: only a run needs them
    from model.training.run import Run

    run = Run.open(folder)
    subject = _subject(folder, "run", folder.resolve().name, {**run.config, "training": run.config})
    if not run.system.indexable or run.system.reads_query_text:
        yield subject, None, run
        return
    with run_towers(run) as towers:
        yield subject, towers, run


def _inside(run: "Run", dataset: Dataset, rows: NDArray[np.int64]) -> "Inside | None":
    from model.evaluation.inside import inside_of_run  # torch: only a run needs it

    return inside_of_run(run, dataset, rows)


def _subject(folder: Path, kind: Literal["run", "bundle"], name: str, made: dict[str, Any]) -> Subject:
    known = ("preset_name", "pairs", "dataset_id", "dataset_kind")
    training = {key: made["training"][key] for key in known}
    return Subject(kind, name, folder, made["system"], made["profile"], training, made.get("source_commit"))
