"""A split's vectors in, its scores and every protocol's figures out: one way for runs, bundles and cards."""

import numpy as np
from numpy.typing import NDArray

from model.datasets.table import Dataset
from model.evaluation.catalogue import score_catalogue
from model.evaluation.embed import Embedded, Embedder
from model.evaluation.protocol import Evaluation, evaluate_scores
from model.evaluation.search import OpenSearch


def judge(
    embedder: Embedder,
    dataset: Dataset,
    embedded: Embedded,
    split: str,
    *,
    trained_on: str,
    open_search: OpenSearch | None = None,
) -> tuple[NDArray[np.float64], Evaluation]:
    """Score every pair of a split.

    Args:
        embedder: what embedded it.
        dataset: the tracks of all its splits are the catalogue.
        embedded: the split's pairs.
        split: its name.
        trained_on: id of the dataset that training saw.
        open_search: what finds the cosines; None for a matrix product.

    Returns:
        (n, n) video i against clip j, and the figures.
    """
    catalogue = score_catalogue(embedder, dataset, embedded, open_search)
    scores, tracks = embedded.scores(open_search), dataset.pairs["track_id"][embedded.rows]
    trained = trained_tracks(dataset, trained_on)
    return scores, evaluate_scores(scores, tracks, split=split, trained=trained, catalogue=catalogue)


def trained_tracks(dataset: Dataset, trained_on: str) -> NDArray[np.str_] | None:
    """(t,) track of every pair that training saw; None if that was of another dataset."""
    if trained_on != dataset.id:
        return None
    return np.asarray(dataset.pairs["track_id"][dataset.pairs["split"] == "train"])
