"""The rows beside recall: from the right matrices, with the chance that a random scorer really gets."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from model.evaluation.categories import category_recall
from model.evaluation.quality import Figure, Labels, quality


def by_name(figures: tuple[Figure, ...], direction: str = "V->M") -> dict[str, Figure]:
    return {each.name: each for each in figures if each.direction == direction}


def labels_of(n: int, seed: int = 0) -> Labels:
    rng = np.random.default_rng(seed)
    tracks, categories = rng.integers(0, n // 2 + 1, n).astype(str), rng.integers(0, 3, n).astype(str)
    return Labels(tracks, categories, rng.integers(0, 9, n) + 1.0)


@pytest.mark.parametrize("direction", ["V->M", "M->V"])
def test_every_figure_is_of_its_own_direction(direction: str) -> None:
    n, labels = 40, labels_of(40)
    scores = np.random.default_rng(1).standard_normal((n, n)) + np.eye(n)
    matrix = scores if direction == "V->M" else scores.T
    found = by_name(quality(scores, labels), direction)
    same = labels.tracks[:, None] == labels.tracks
    precisions = [average_precision_score(same[i], matrix[i]) for i in range(n)]
    assert found["mAP, shared"].value == pytest.approx(np.mean(precisions))
    first = np.argsort(-matrix, axis=1)[:, :10]
    agreement = np.mean([labels.categories[first[i]] == labels.categories[i] for i in range(n)])
    assert found["category agreement@10"].value == pytest.approx(agreement)
    macro = np.mean(
        [c.value for c in category_recall(scores, labels.categories, 10) if c.direction == direction]
    )
    assert found["macro R@10 over categories"].value == pytest.approx(macro)
    assert found["coverage@10"].value == pytest.approx(len(np.unique(first)) / n)
    shown = np.bincount(first.ravel(), minlength=n)
    lift = (shown @ labels.popularity) / shown.sum() / labels.popularity.mean()
    assert found["popularity lift@10"].value == pytest.approx(lift)


def test_chance_is_what_random_scores_get() -> None:
    n, labels = 150, labels_of(150, seed=2)
    runs = [by_name(quality(np.random.default_rng(s).standard_normal((n, n)), labels)) for s in range(20)]
    for name, figure in runs[0].items():
        values = [run[name].value for run in runs]
        error = np.std(values) / np.sqrt(len(values))
        assert np.mean(values) == pytest.approx(figure.chance, abs=4 * error + 1e-9), name
    assert runs[0]["category agreement@10"].chance == pytest.approx(
        (np.unique(labels.categories, return_counts=True)[1] ** 2).sum() / n**2
    )


def test_equal_scores_get_exactly_chance() -> None:
    labels = labels_of(30)
    for figure in quality(np.zeros((30, 30)), labels):
        if figure.low is not None:
            assert figure.value == pytest.approx(figure.chance), figure.name
            assert figure.low <= figure.value + 1e-12
            assert figure.high >= figure.value - 1e-12


@pytest.mark.parametrize("n", [1, 2, 3])
def test_small_splits_and_one_category(n: int) -> None:
    found = by_name(quality(np.eye(n), Labels(np.arange(n).astype(str), np.array(["x"] * n))))
    assert not any("category" in name or "lift" in name for name in found)
    assert found["mAP, shared"].value == 1
    assert np.isfinite([each.value for each in found.values()]).all()


def test_perfect_lists_of_few_queries_have_intervals_and_certain_ones_have_none() -> None:
    few, tracks = np.eye(9), np.arange(9).astype(str)
    found = by_name(quality(few, Labels(tracks, np.repeat(["a", "b", "c"], 3)), 1))
    perfect = 9 / (9 + 1.96**2)  # Wilson's lower end of 9 of 9
    for name in ("IR recall@1, shared", "mAP, shared", "R-precision, shared", "nDCG@1, graded"):
        assert (found[name].low, found[name].high) == pytest.approx((perfect, 1), abs=1e-4)
    assert found["macro R@1 over categories"].low == pytest.approx(perfect, abs=1e-4)
    alone = by_name(quality(np.array([[0.3]]), Labels(np.array(["t"]), np.array(["a"])), 1))
    assert (alone["mAP, shared"].low, alone["mAP, shared"].high) == (1, 1)
