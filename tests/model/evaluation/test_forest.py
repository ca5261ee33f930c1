"""The forest plot: every estimate at its place, in the colour of what it says."""

import numpy as np
import pytest

from model.evaluation.forest import ForestRow, forest_numbers, forest_plot
from model.evaluation.svg import Paint

ROWS = [
    ForestRow("better", 0.04, 0.01, 0.07),
    ForestRow("alike <&>", 0.0, -0.02, 0.02),
    ForestRow("worse", -0.03, -0.05, -0.01),
]


def test_dots_and_intervals_stand_where_their_numbers_are(drawn) -> None:
    picture = drawn(forest_plot(ROWS, "forest", "said", axis="difference", meaning="full system"))
    picture.check_inside()
    dots = np.concatenate([picture.marks(f"fill: {row.beside(0).variable}") for row in ROWS])
    assert len(dots) == 3
    assert (np.diff(dots[:, 1]) > 10).all()  # one below the other
    scale, zero = np.polyfit([row.value for row in ROWS], dots[:, 0], 1)
    np.testing.assert_allclose(zero + scale * np.array([row.value for row in ROWS]), dots[:, 0], atol=0.01)
    for row, dot in zip(ROWS, dots, strict=True):
        (bar,) = picture.paths(f"stroke: {row.beside(0).variable}; stroke-opacity: 0.35; stroke-width: 5")
        np.testing.assert_allclose(
            np.sort(bar[:, 0]), zero + scale * np.array([row.low, row.high]), atol=0.01
        )
        np.testing.assert_allclose(bar[:, 1], dot[1], atol=0.01)
    (line,) = picture.paths("stroke: var(--quiet); stroke-width: 1.2")
    np.testing.assert_allclose(line[:, 0], zero, atol=0.01)
    assert {"better", "alike <&>", "worse", "full system", "difference", "0 %"} <= set(picture.texts)
    assert any(text.startswith("−") for text in picture.texts)
    assert any(text.startswith("+") for text in picture.texts)


def test_the_colour_says_whether_the_interval_holds_the_line() -> None:
    assert [row.beside(0.0) for row in ROWS] == [Paint.FIRST, Paint.QUIET, Paint.SECOND]
    assert ROWS[0].beside(0.05) is Paint.QUIET
    assert ForestRow("touches", 0.01, 0.0, 0.02).beside(0.0) is Paint.QUIET


def test_shares_have_no_sign(drawn) -> None:
    rows = [ForestRow("a", 0.4, 0.35, 0.45)]
    picture = drawn(forest_plot(rows, "forest", "said", axis="R@10", reference=0.38))
    assert not any(text.startswith("+") for text in picture.texts)


@pytest.mark.parametrize("count", [1, 25])
def test_any_number_of_rows(drawn, count: int) -> None:
    rows = [ForestRow(f"{'x' * 60} {i}", 0.01 * i, 0.01 * i, 0.01 * i) for i in range(count)]
    picture = drawn(forest_plot(rows, "forest", "said", axis="difference"))
    picture.check_inside()
    assert sum(text.startswith("xxx") for text in picture.texts) == count


def test_numbers() -> None:
    header, rows = forest_numbers(ROWS, axis="R@10")
    assert header == ["", "R@10", "95 %"]
    assert rows[2] == ["worse", "−0.030", "−0.050 to −0.010"]
