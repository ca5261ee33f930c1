"""A run or bundle folder and a dataset in, its figures and what made them out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.bundle import Bundle
from model.datasets.table import Dataset
from model.errors import BadOptions
from model.evaluation.embed import Embedded, Embedder, checked_rows, embed_split
from model.evaluation.fits import Widths, check_fits, check_made_alike, check_run_fits
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
    training: dict[str, Any]  # preset_name, pairs by split, dataset_id, split_id, dataset_kind
    source_commit: str | None  # of the code that exported a bundle; a run does not know it

    def trained_on(self, dataset: Dataset) -> bool:
        """Was it trained on this data set, split as it is now; False also where it does not say."""
        known = self.training["dataset_id"], self.training["split_id"]
        return known == (dataset.id, dataset.split_id)


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
        """(t,) track of every pair that training saw; None if that was of another dataset or split."""
        return trained_tracks(self.dataset, _id_if_trained_on(self.subject, self.dataset))


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
        BadDataset: if the split has no pairs, or the dataset lacks the profile's features, or has them in
            other widths than the system was trained with.
        BadOptions: if the system reads what the listener listens to.
    """
    with _opened(folder) as opened:
        subject = opened.subject
        who = f"the {subject.kind} {folder}"
        check_fits(who, subject.profile, opened.reads, dataset)
        check_made_alike(who, subject.profile, opened.trained_on, dataset)
        if opened.run is not None:
            check_run_fits(opened.run, dataset)
        _check_apart(opened, listener)
        if opened.embedder is None:
            assert opened.run is not None  # a bundle always embeds
            measured = _measured_together(subject, opened.run, dataset, split)
        else:
            measured = _measured_apart(opened, opened.embedder, dataset, split, open_search)
    if listener is None:
        return measured
    vectors, tracks = listener.embed(measured.rows), measured.column("track_id")
    return replace(measured, heard=audio_distance(measured.scores, vectors, tracks, listener.name))


@dataclass(frozen=True, slots=True)
class _Opened:
    """What was made, and what its scores come from."""

    subject: Subject
    reads: Widths
    embedder: Embedder | None  # None of a run that no bundle can be made of
    run: "Run | None"  # None of a bundle
    trained_on: Mapping[str, Any] | None  # the recipe of its features


def _measured_apart(
    opened: _Opened, embedder: Embedder, dataset: Dataset, split: str, open_search: OpenSearch | None
) -> Measurement:
    """Through vectors of either side."""
    embedded = embed_split(embedder, dataset, split)
    trained_on = _id_if_trained_on(opened.subject, dataset)
    scores, found = judge(embedder, dataset, embedded, split, trained_on=trained_on, open_search=open_search)
    inside = None if opened.run is None else _inside(opened.run, dataset, embedded.rows)
    return Measurement(opened.subject, dataset, embedded.rows, scores, found, embedded, inside)


def _measured_together(subject: Subject, run: "Run", dataset: Dataset, split: str) -> Measurement:
    """Of a run that has no towers: without a search, a catalogue or a look inside."""
    from model.evaluation.together import score_together  # torch

    rows = checked_rows(dataset, split)
    scores = score_together(run, dataset, rows)
    trained = trained_tracks(dataset, _id_if_trained_on(subject, dataset))
    found = evaluate_scores(scores, dataset.pairs["track_id"][rows], split=split, trained=trained)
    return Measurement(subject, dataset, rows, scores, found)


def _id_if_trained_on(subject: Subject, dataset: Dataset) -> str:
    """Of the dataset; "" if its split may say nothing about what training saw."""
    return dataset.id if subject.trained_on(dataset) else ""


def _check_apart(opened: _Opened, listener: AudioEncoder | None) -> None:
    read = [f"{opened.subject.profile}/{name}" for name in opened.reads["music"]]
    if listener is not None and listener.name in read:
        raise BadOptions(
            f"{listener.name} is an input of this system, which would be judged by itself: let it be heard "
            f"through features other than {', '.join(read)}"
        )


@contextmanager
def _opened(folder: Path) -> Iterator[_Opened]:
    """A bundle, or a run, with towers as long as they are needed."""
    if not (folder / "run.json").is_file():
        bundle = Bundle.open(folder)
        subject = _subject(folder, "bundle", bundle.id, bundle.manifest)
        reads: Widths = {each.name: each.widths for each in (bundle.towers.video, bundle.towers.music)}
        yield _Opened(subject, reads, bundle, None, bundle.recipe)
        return
    from model.export import run_towers  # torch and onnx: only a run needs them
    from model.training.run import Run

    run = Run.open(folder)
    features = run.config.get("features")
    subject = _subject(folder, "run", folder.resolve().name, {**run.config, "training": run.config})
    reads = {"video": run.system.video_view.widths, "music": run.system.music_view.widths}
    if not run.system.indexable or run.system.reads_query_text:
        yield _Opened(subject, reads, None, run, features)
        return
    with run_towers(run) as towers:
        yield _Opened(subject, reads, towers, run, features)


def _inside(run: "Run", dataset: Dataset, rows: NDArray[np.int64]) -> "Inside | None":
    from model.evaluation.inside import inside_of_run  # torch: only a run needs it

    return inside_of_run(run, dataset, rows)


def _subject(folder: Path, kind: Literal["run", "bundle"], name: str, made: dict[str, Any]) -> Subject:
    known = ("preset_name", "pairs", "dataset_id", "dataset_kind")
    training = {key: made["training"][key] for key in known}
    training["split_id"] = made["training"].get("split_id")  # what was trained before does not know its own
    return Subject(kind, name, folder, made["system"], made["profile"], training, made.get("source_commit"))
