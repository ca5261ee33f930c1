"""Densities and their overlap against SciPy and against normal distributions whose answer is known."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde, mannwhitneyu, norm

from model.evaluation.similarity import MOST_VALUES, similarity


def own(n: int) -> np.ndarray:
    return np.arange(n).astype(str)


def test_densities_are_scipy_s_and_integrate_to_one() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 0.2, (40, 40)) + 0.4 * np.eye(40)
    tracks = np.repeat(np.arange(20), 2).astype(str)
    found = similarity(scores, tracks)
    assert found is not None
    others = np.array([scores[i, j] for i in range(40) for j in range(40) if tracks[i] != tracks[j]])
    assert (found.matched_pairs, found.unmatched_pairs) == (40, len(others)) == (40, 40 * 38)
    np.testing.assert_allclose(found.matched, gaussian_kde(np.diag(scores))(found.cosine), rtol=1e-9)
    np.testing.assert_allclose(found.unmatched, gaussian_kde(others)(found.cosine), rtol=1e-9)
    for density in (found.matched, found.unmatched):
        assert np.trapezoid(density, found.cosine) == pytest.approx(1, abs=2e-3)
    u = mannwhitneyu(np.diag(scores), others).statistic
    assert found.matched_wins == pytest.approx(u / (40 * len(others)))


@pytest.mark.parametrize("distance", [0.0, 1.0, 2.0])
def test_two_normals_overlap_as_their_distance_says(distance: float) -> None:
    """Overlap of N(0, 1) and N(d, 1) is 2 Phi(-d / 2), P(one > other) is Phi(d / sqrt 2), d' is d."""
    n = 400
    scores = np.random.default_rng(1).normal(0, 1, (n, n))
    scores[np.diag_indices(n)] = norm.ppf((np.arange(n) + 0.5) / n) + distance
    found = similarity(scores, own(n))
    assert found is not None
    assert found.overlap == pytest.approx(2 * norm.cdf(-distance / 2), abs=0.04)
    assert found.matched_wins == pytest.approx(norm.cdf(distance / np.sqrt(2)), abs=0.01)
    assert found.d_prime == pytest.approx(distance, abs=0.02)


def test_many_pairs_give_the_density_of_all_of_them() -> None:
    n = 200
    assert n * n > MOST_VALUES
    scores = np.random.default_rng(2).beta(2, 5, (n, n))
    found = similarity(scores, own(n))
    assert found is not None
    everything = gaussian_kde(scores[~np.eye(n, dtype=np.bool_)])
    np.testing.assert_allclose(found.unmatched, everything(found.cosine), atol=0.03 * found.unmatched.max())


def test_ties_count_by_half() -> None:
    scores = np.array([[0.5, 0.5, 0.1], [0.5, 0.9, 0.1], [0.5, 0.5, 0.5]])
    found = similarity(scores, own(3))
    assert found is not None
    pairs = [(m, u) for m in (0.5, 0.9, 0.5) for u in (0.5, 0.1, 0.5, 0.1, 0.5, 0.5)]
    assert found.matched_wins == pytest.approx(np.mean([(m > u) + (m == u) / 2 for m, u in pairs]))


@pytest.mark.parametrize(
    ("scores", "tracks"),
    [
        (np.array([[0.3]]), ["a"]),
        (np.array([[0.3, 0.1], [0.2, 0.4]]), ["a", "a"]),
        (np.zeros((3, 3)), ["a", "b", "c"]),
    ],
    ids=["one pair", "one track", "all the same"],
)
def test_says_nothing_where_there_is_no_density(scores: np.ndarray, tracks: list[str]) -> None:
    assert similarity(scores, np.array(tracks)) is None
