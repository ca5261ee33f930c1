"""Flat maps as pictures: one path a label, every point in it, at a pixel that can be computed by hand."""

import numpy as np
import pytest

from model.evaluation.scatter import MARGIN_PX, OTHERS, SIDE_PX, FlatMap, scatter_plot
from model.evaluation.svg import SERIES

TALLEST_BYTES = 300_000


def test_known_points_are_at_known_pixels(drawn) -> None:
    points = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0]])
    picture = drawn(scatter_plot(FlatMap(points, np.array(["a", "a", "b"])), "map", "said"))
    picture.check_inside()
    low, high = MARGIN_PX, SIDE_PX - MARGIN_PX
    middle, quarter = SIDE_PX / 2, (high - low) / 4
    dots = "stroke-opacity"
    (a,) = [p for p in picture.paths(f"stroke: {SERIES[0].variable}") if len(p) == 2]
    np.testing.assert_allclose(a, [[low, middle - quarter], [high, middle - quarter]], atol=0.051)
    (b,) = [p for p in picture.paths(dots) if len(p) == 1 and abs(p[0, 0] - high) < 0.1]
    np.testing.assert_allclose(b, [[high, middle + quarter]], atol=0.051)
    assert picture.texts == ["a", "b"]


def test_one_path_a_label_and_shape_whatever_the_number_of_points(drawn) -> None:
    rng = np.random.default_rng(0)
    n = 4_000
    labels = rng.choice(["clothing", "baby <b>", "daily", "electronic"], n)
    flat = FlatMap(rng.standard_normal((n, 2)), labels, np.repeat(["video", "music"], n // 2))
    markup = scatter_plot(flat, "map", "said")
    picture = drawn(markup)
    picture.check_inside()
    assert len(markup) < TALLEST_BYTES
    dots = picture.paths("stroke-opacity")
    assert len(dots) == 8
    counts = [
        int(((labels == a) & (flat.shapes == b)).sum()) for a in np.unique(labels) for b in ("video", "music")
    ]
    assert sorted(len(each) for each in dots) == sorted(counts)
    assert set(picture.texts) == {*labels.tolist(), "video", "music"}
    caps = {e.get("stroke-linecap") for e in picture.root.iter("path")}
    assert caps == {"round", "square"}


def test_of_more_labels_than_colours_the_rarest_share_one(drawn) -> None:
    labels = np.array([f"tag {i:02d}" for i in range(15) for _ in range(20 - i)])
    points = np.random.default_rng(1).standard_normal((len(labels), 2))
    picture = drawn(scatter_plot(FlatMap(points, labels), "map", "said"))
    assert picture.texts == [*(f"tag {i:02d}" for i in range(8)), OTHERS]
    rest = [p for p in picture.paths("stroke: var(--quiet)") if len(p) > 1]
    assert [len(each) for each in rest] == [sum(20 - i for i in range(8, 15))]


@pytest.mark.parametrize("n", [1, 2])
def test_points_that_coincide_stand_in_the_middle(drawn, n: int) -> None:
    picture = drawn(scatter_plot(FlatMap(np.full((n, 2), 7.0), np.array(["a"] * n)), "map", "said"))
    assert (picture.paths("stroke-opacity")[0] == SIDE_PX / 2).all()


def test_a_third_shape_is_refused() -> None:
    flat = FlatMap(np.zeros((3, 2)), np.array(["a"] * 3), np.array(["x", "y", "z"]))
    with pytest.raises(ValueError, match="2 shapes"):
        scatter_plot(flat, "map", "said")
