"""Maps that keep neighbours together, the same every time; separation against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from model.evaluation.space import drawn_rows, flat_map, separation


def clusters(n: int, apart: float, seed: int = 0, width: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, n)
    return rng.standard_normal((n, width)) + apart * rng.standard_normal((3, width))[label], label.astype(str)


def test_what_is_apart_stays_apart_and_the_map_is_the_same_again() -> None:
    vectors, labels = clusters(90, 3.0)
    found = flat_map(vectors)
    assert found.shape == (90, 2)
    nearest = NearestNeighbors(n_neighbors=6).fit(found).kneighbors(return_distance=False)
    assert (labels[nearest] == labels[:, None]).mean() > 0.95
    np.testing.assert_array_equal(found, flat_map(vectors))
    assert not np.array_equal(
        found, flat_map(vectors + 1e-3 * np.random.default_rng(1).standard_normal(vectors.shape))
    )


@pytest.mark.parametrize(("n", "width"), [(2, 5), (3, 2), (4, 1), (60, 3)])
def test_small_and_narrow_vectors_have_a_map(n: int, width: int) -> None:
    found = flat_map(np.random.default_rng(0).standard_normal((n, width)))
    assert found.shape == (n, 2)
    assert np.isfinite(found).all()
    vectors = np.random.default_rng(0).standard_normal((n, width))
    np.testing.assert_array_equal(found, flat_map(vectors))


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_separation_is_scikit_learn_s(apart: float) -> None:
    vectors, labels = clusters(120, apart, seed=3, width=8)
    found = separation(vectors, labels)
    assert found.silhouette == pytest.approx(silhouette_score(vectors, labels, metric="cosine"))
    nearest = NearestNeighbors(n_neighbors=10, metric="cosine").fit(vectors).kneighbors(return_distance=False)
    assert found.purity == pytest.approx((labels[nearest] == labels[:, None]).mean())
    if apart == 0:
        assert found.purity == pytest.approx(found.chance, abs=0.06)
        assert found.silhouette == pytest.approx(0, abs=0.05)


def test_chance_is_what_shuffled_labels_have() -> None:
    vectors, _ = clusters(60, 2.0)
    labels, rng = np.array(["a"] * 45 + ["b"] * 10 + ["c"] * 5), np.random.default_rng(5)
    shuffled = [separation(vectors, rng.permutation(labels)).purity for _ in range(100)]
    assert np.mean(shuffled) == pytest.approx(separation(vectors, labels).chance, abs=0.01)


def test_one_label_or_as_many_as_vectors_say_nothing() -> None:
    vectors = np.random.default_rng(0).standard_normal((4, 3))
    assert separation(vectors, np.array(["a"] * 4)) is None
    assert separation(vectors, np.array(["a", "b", "c", "d"])) is None
    assert separation(vectors, np.array(["a", "b", "b", "d"])) is not None


def test_drawn_rows_are_as_many_of_each_as_there_are_up_to_the_most() -> None:
    labels = np.array(["a"] * 50 + ["b"] * 3 + ["c"] * 20)
    rows = drawn_rows(labels, 10)
    assert (np.diff(rows) > 0).all()
    names, counts = np.unique(labels[rows], return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {"a": 10, "b": 3, "c": 10}
    assert rows[:10].tolist() != list(range(10))  # drawn, not the first ones
    assert drawn_rows(labels, 10).tolist() == rows.tolist()
