"""Blending against scores written out: z-scores over every segment of the pool, in plain numpy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_builder.search import rank
from model.errors import BadOptions
from service.ranking.blend import Part, blend, track_vector
from service.serving.pool import SAMPLED, Pool

DETERMINISTIC = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def unit(x: NDArray[np.floating]) -> NDArray[np.float32]:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def two_scales(make_tracks: Any, seed: int = 0) -> tuple[Any, NDArray[np.float32]]:
    """200 tracks in a narrow cone, as music is: two tracks have cosines far from those with a picture.

    The picture knows only dimensions in which tracks hardly differ.
    """
    rng = np.random.default_rng(seed)
    width = np.array([1.0, 1.0, 1.0, 0.12, 0.12, 0.12])
    vectors = [(1.5 * np.eye(6)[5] + width * rng.standard_normal(6))[None] for _ in range(200)]
    return make_tracks(vectors, [15.0] * 200), unit(np.array([0, 0, 0, 1.0, 1.0, 0]))


@DETERMINISTIC
@given(
    seed=st.integers(0, 99),
    weights=st.lists(st.sampled_from([-2.0, -0.5, 0.3, 1.0, 4.0]), min_size=1, max_size=4),
)
def test_a_blend_ranks_by_the_weighted_sum_of_z_scores(
    make_tracks: Any, seed: int, weights: list[float]
) -> None:
    tracks, picture = two_scales(make_tracks, seed)
    rng = np.random.default_rng(seed)
    parts = [Part("reference", unit(rng.standard_normal(6)), weight) for weight in weights]
    expected = np.zeros(200)
    for weight, vector in [(1.0, picture), *((part.weight, part.vector) for part in parts)]:
        cosines = tracks.embeddings.astype(np.float64) @ vector.astype(np.float64)
        expected += weight * (cosines - cosines.mean()) / cosines.std()
    query = blend(picture, parts, Pool.of(tracks.embeddings))
    scores = tracks.embeddings.astype(np.float64) @ query.astype(np.float64)
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-6)
    assert query.dtype == np.float32
    assert np.corrcoef(scores, expected)[0, 1] == pytest.approx(1, abs=1e-6)


def test_a_reference_counts_as_much_as_the_picture_and_not_more(make_tracks: Any) -> None:
    """What the plain sum of vectors gets wrong."""
    tracks, picture = two_scales(make_tracks)
    reference = track_vector(tracks, 7)

    def shares(query: NDArray[np.floating]) -> tuple[float, float]:
        scores = tracks.embeddings @ query
        return tuple(  # type: ignore[return-value]
            float(np.corrcoef(scores, tracks.embeddings @ one)[0, 1]) for one in (picture, reference)
        )

    of_picture, of_reference = shares(
        blend(picture, [Part("reference", reference, 1.0)], Pool.of(tracks.embeddings))
    )
    assert of_picture == pytest.approx(of_reference, abs=1e-3)
    plain_picture, plain_reference = shares(unit(picture + reference))
    assert plain_reference > 0.97 > plain_picture + 0.3


def test_weights_pull_and_push(make_tracks: Any) -> None:
    tracks, picture = two_scales(make_tracks)
    pool, place = Pool.of(tracks.embeddings), []
    for weight in (-3.0, -1.0, 0.0, 1.0, 3.0):
        query = blend(picture, [Part("reference", track_vector(tracks, 7), weight)], pool)
        order = [match.track for match in rank(tracks, query, 6.0, top_k=200)]
        place.append(order.index(7))
    assert place == sorted(place, reverse=True)
    assert place[0] > 150
    assert place[-1] == 0


def test_without_extras_the_query_is_the_same_bits(make_tracks: Any) -> None:
    tracks, _ = two_scales(make_tracks)
    picture = 1.0001 * unit(np.random.default_rng(1).standard_normal(6))  # a tower's length is not exactly 1
    pool = Pool.of(tracks.embeddings)
    for parts in ([], [Part("reference", track_vector(tracks, 3), 0.0)]):
        assert blend(picture, parts, pool).tobytes() == picture.tobytes()


def test_parts_that_cancel_out_are_refused(make_tracks: Any) -> None:
    tracks, picture = two_scales(make_tracks)
    with pytest.raises(BadOptions, match="cancel"):
        blend(picture, [Part("reference", picture, -1.0)], Pool.of(tracks.embeddings))


@pytest.mark.parametrize("durations_s", [[3.0], [3.0, 4.0], [200.0]])
def test_a_tiny_pool_and_one_of_equals_do_not_break(make_tracks: Any, durations_s: list[float]) -> None:
    tracks = make_tracks(1, durations_s)
    same = make_tracks(
        [np.ones((len(rows), 6)) for rows in np.split(tracks.embeddings, tracks.first_segment[1:-1])],
        durations_s,
    )
    for pool in (tracks, same):
        picture = unit(np.arange(1.0, 7))
        query = blend(picture, [Part("text", unit(np.ones(6)), 1.0)], Pool.of(pool.embeddings))
        assert np.isfinite(query).all()
        assert np.linalg.norm(query) == pytest.approx(1, abs=1e-6)


def test_a_track_is_the_vector_nearest_to_all_its_segments(make_tracks: Any) -> None:
    """No other direction has a larger mean cosine: tried with thousands."""
    tracks = make_tracks(4, [60.0, 90.0, 6.0])
    for track in range(3):
        rows = tracks.embeddings[tracks.first_segment[track] : tracks.first_segment[track + 1]]
        vector = track_vector(tracks, track)
        others = unit(np.random.default_rng(0).standard_normal((5000, 6)))
        others = np.concatenate([others, unit(vector + 0.05 * others)])
        assert (rows @ vector).mean() >= (rows @ others.T).mean(axis=0).max() - 1e-6
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_a_large_pool_is_sampled_and_told_the_same_within_a_few_percent() -> None:
    rng = np.random.default_rng(0)
    rows = unit(rng.standard_normal((5 * SAMPLED + 3, 8)) * np.arange(1, 9))
    pool, query = Pool.of(rows), unit(rng.standard_normal(8))
    exact = (rows @ query).std()
    assert pool.deviation(query) == pytest.approx(exact, rel=0.03)
    above = pool.standard(query) @ (rows[5] - rows.mean(axis=0))
    assert above == pytest.approx((rows[5] @ query - (rows @ query).mean()) / exact, rel=0.05, abs=0.05)
