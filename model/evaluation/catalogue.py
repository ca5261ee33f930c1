"""Anything that embeds, a dataset and its split's videos in, the score of every track of the dataset out."""

import numpy as np

from model.datasets.table import Dataset
from model.evaluation.embed import Embedded, Embedder, embed_clips
from model.evaluation.pool import Catalogue, best_by_track
from model.evaluation.protocol import score_clips
from model.evaluation.search import OpenSearch, searched_clips

QUERIES_AT_ONCE = 128  # bounds memory: every query has a score for every clip of the dataset


def score_catalogue(
    embedder: Embedder, dataset: Dataset, embedded: Embedded, open_search: OpenSearch | None
) -> Catalogue | None:
    """Rank the tracks of all splits, each by its best clip; None if this split's clips are all there are.

    Args:
        embedder: what embedded the split.
        dataset: whose clips are the catalogue.
        embedded: the split's videos and clips.
        open_search: what finds the cosines; None for a matrix product.
    """
    others = np.setdiff1d(np.arange(len(dataset)), embedded.rows)
    if len(others) == 0:
        return None
    more, more_offsets = embed_clips(embedder, dataset, others)
    segments = np.concatenate([embedded.segments, more])
    offsets = np.concatenate([embedded.offsets, embedded.offsets[-1] + more_offsets[1:]])
    tracks = dataset.pairs["track_id"][np.concatenate([embedded.rows, others])]
    search = None if open_search is None else open_search(segments)
    parts = []
    for first in range(0, len(embedded.videos), QUERIES_AT_ONCE):
        videos = embedded.videos[first : first + QUERIES_AT_ONCE]
        if search is None:
            clips = score_clips(videos, segments, offsets)
        else:
            clips = searched_clips(videos, offsets, search)
        parts.append(best_by_track(clips, tracks)[0])
    return Catalogue(np.concatenate(parts), np.unique(tracks))
