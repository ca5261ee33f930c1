"""Scores through the index's own search against the plain matrix product, and against loops."""

import numpy as np
import pytest

from index_builder.search import FlatSearch
from model.evaluation.metrics import expected_rank, rank
from model.evaluation.protocol import evaluate_scores, score_clips
from model.evaluation.search import FARTHEST, searched_clips

FLOAT32 = 2e-6  # how far a mean of float32 cosines may be off


def unit(rng: np.random.Generator, n: int, d: int = 16) -> np.ndarray:
    x = rng.standard_normal((n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def clips(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """n videos, and as many clips of one to four segments."""
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *rng.integers(1, 5, n)])
    return unit(rng, n), unit(rng, int(offsets[-1])), offsets


@pytest.mark.parametrize("n", [0, 1, 2, 7, 150])
def test_the_index_ranks_as_the_matrix_product(n: int) -> None:
    videos, segments, offsets = clips(n, n)
    plain = score_clips(videos, segments, offsets)
    found = score_clips(videos, segments, offsets, FlatSearch)
    assert found.shape == plain.shape == (n, n)
    np.testing.assert_allclose(found, plain, atol=FLOAT32)
    if n == 0:
        return
    own = np.eye(n, dtype=np.bool_)
    there, here = (expected_rank(rank(scores, own)) for scores in (found, plain))
    near = (np.abs(plain - np.diag(plain)[:, None]) < 2 * FLOAT32).sum(axis=1) - 1
    assert (np.abs(there - here) <= near).all()  # they may differ where scores all but tie, nowhere else
    assert (near == 0).mean() > 0.9


def test_more_clips_than_videos_and_the_reverse() -> None:
    videos, segments, offsets = clips(3, 9)
    for few in (videos[:2], videos[:0]):
        np.testing.assert_allclose(
            score_clips(few, segments, offsets, FlatSearch), score_clips(few, segments, offsets), atol=FLOAT32
        )


def test_the_figures_are_the_same_whichever_way() -> None:
    videos, segments, offsets = clips(5, 120)
    tracks = np.repeat(np.arange(60), 2).astype(str)
    plain, found = (
        evaluate_scores(score_clips(videos, segments, offsets, way), tracks, split="test")
        for way in (None, FlatSearch)
    )
    for ours, theirs in zip(found.results, plain.results, strict=True):
        assert ours.recall[10].value == pytest.approx(theirs.recall[10].value, abs=1 / 120)
        assert ours.mrr.value == pytest.approx(theirs.mrr.value, abs=1 / 120)


class Forgetful:
    """A search that finds only the segments of even number."""

    def __init__(self, segments: np.ndarray) -> None:
        self.segments = segments

    def nearest(self, query: np.ndarray, count: int, allowed: object) -> tuple[np.ndarray, np.ndarray]:
        assert allowed is None
        assert count == len(self.segments)
        rows = np.arange(0, count, 2)
        return self.segments[rows] @ query, rows


def test_what_a_search_does_not_find_is_as_far_as_can_be() -> None:
    videos, segments, _ = clips(8, 4)
    offsets = np.array([0, 1, 2, 4])
    found = searched_clips(videos, offsets, Forgetful(segments[:4]))
    for i, query in enumerate(videos):
        cosines = [float(query @ segment) for segment in segments[:4]]
        assert found[i] == pytest.approx([cosines[0], FARTHEST, (cosines[2] + FARTHEST) / 2], abs=1e-6)
