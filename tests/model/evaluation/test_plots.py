"""What a picture says in text, read back from its markup as a browser would show it."""

from xml.etree import ElementTree

import numpy as np
import pytest

from model.evaluation.categories import category_recall
from model.evaluation.curve import recall_curves
from model.evaluation.plots import category_plot, recall_plot

SCORES = np.random.default_rng(0).normal(size=(40, 40)) + np.eye(40)


def texts(markup: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(markup).iter("text")]


@pytest.mark.parametrize("name", ["$5_{a}$ or less", "服装", "<b> & co", "a" * 60])
def test_a_category_is_written_as_it_is_called(name: str) -> None:
    found = category_recall(SCORES, np.array([name] * 39 + ["rest"]), 10)
    said = texts(category_plot([each for each in found if each.direction == "V->M"], "plot", "title"))
    assert (name if len(name) < 20 else f"{'a' * 21}…") in said
    assert {"rest", "chance", "0 %", "100 %"} <= set(said)


@pytest.mark.parametrize(("n", "ticks"), [(1, {"1"}), (2, {"1", "2"}), (40, {"1", "10", "40"})])
def test_the_axis_goes_from_one_to_the_pool(n: int, ticks: set[str]) -> None:
    curves = [
        each for each in recall_curves(SCORES[:n, :n], np.arange(n).astype(str)) if each.direction == "V->M"
    ]
    said = texts(recall_plot(curves[:1], "plot", "title"))
    assert ticks <= set(said)
    assert "any clip of its track" not in said
    assert "any clip of its track" in texts(recall_plot(curves, "plot", "title"))


def test_the_lines_are_drawn_where_the_figures_are() -> None:
    """Of a curve that is 1 from the first K on, the line is flat and at the top."""
    curves = recall_curves(np.eye(20), np.arange(20).astype(str))[:1]
    root = ElementTree.fromstring(recall_plot(curves, "plot", "title"))
    (line,) = [
        e for e in root.iter("path") if "stroke: var(--first); stroke-width: 2.2" in e.get("style", "")
    ]
    heights = {float(part) for part in line.get("d", "").replace("M", "").replace("L", "").split()[1::2]}
    grid = [e for e in root.iter("path") if "stroke: var(--line)" in e.get("style", "")]
    tops = [
        float(part) for e in grid for part in e.get("d", "").replace("M", "").replace("L", "").split()[1::2]
    ]
    assert heights == {min(tops)}
