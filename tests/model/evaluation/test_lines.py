"""Recall lines: their values against the metrics, and where they are drawn."""

import numpy as np
import pytest

from model.evaluation.intervals import clustered_bootstrap
from model.evaluation.lines import Line, line_numbers, recall_line, recall_lines_plot
from model.evaluation.metrics import hits, rank
from model.evaluation.svg import SERIES

K = np.arange(1, 101)


def flat(name: str, value: float, **more: object) -> Line:
    return Line(name, K, np.full(100, value), **more)


def test_a_line_is_the_mean_over_seeds_and_its_band_is_of_queries() -> None:
    rng = np.random.default_rng(0)
    own, tracks = np.eye(60, dtype=np.bool_), np.repeat(np.arange(30), 2).astype(str)
    found = [rank(rng.standard_normal((60, 60)) + 2 * own, own) for _ in range(3)]
    line = recall_line("ours", found, tracks, most=20)
    assert line.k.tolist() == list(range(1, 21))
    for i, k in enumerate(line.k):
        values = np.mean([hits(each, int(k)) for each in found], axis=0)
        assert line.value[i] == pytest.approx(values.mean())
        low, high = clustered_bootstrap(values[:, None], tracks)[0]
        assert (line.band[0][i], line.band[1][i]) == pytest.approx((low, high))


def test_a_band_closes_only_where_the_list_is_as_long_as_the_pool() -> None:
    own = np.eye(12, dtype=np.bool_)
    line = recall_line("knows all", [rank(own.astype(float), own)], np.arange(12).astype(str), most=15)
    assert line.value.tolist() == [1] * 15
    assert line.band[0][:11] == pytest.approx([12 / (12 + 1.96**2)] * 11, abs=1e-4)
    assert line.band[0][11:].tolist() == [1] * 4


def test_lines_stand_at_their_height_each_in_its_colour_and_named_once(drawn) -> None:
    lines = [flat("top", 1.0), flat("half", 0.5), flat("chance", 0.0, role="chance")]
    picture = drawn(recall_lines_plot(lines, "lines", "said"))
    picture.check_inside()
    (top,), (half,) = (picture.paths(f"stroke: {paint.variable}; stroke-width: 2;") for paint in SERIES[:2])
    (chance,) = [p for p in picture.paths("stroke: var(--quiet); stroke-width: 1.2") if len(p) > 2]
    heights = [np.unique(path[:, 1]) for path in (top, half, chance)]
    assert [len(each) for each in heights] == [1, 1, 1]
    assert heights[1][0] == pytest.approx((heights[0][0] + heights[2][0]) / 2, abs=0.01)
    assert top[0, 0] == half[0, 0]  # both begin at K = 1
    for name in ("top", "half", "chance", "0 %", "100 %", "20"):
        assert picture.texts.count(name) == 1


def test_names_never_stand_on_each_other(drawn) -> None:
    lines = [flat(f"system {i}", 0.3 + 0.001 * i) for i in range(8)] + [flat("oracle", 0.304, role="oracle")]
    picture = drawn(recall_lines_plot(lines, "lines", "said"))
    named = [e for e in picture.root.iter("text") if (e.text or "").startswith(("system", "oracle"))]
    heights = (
        sorted(float(e.get("transform", e.get("y", "")).split()[-1].strip(")") or e.get("y")) for e in named)
        if False
        else sorted(_height(e) for e in named)
    )
    assert len(heights) == 9
    assert np.diff(heights).min() > 10  # px, of text 9.5 px high
    order = [e.text for e in sorted(named, key=_height)]
    assert order.index("system 7") < order.index("oracle") < order.index("system 0")


def test_names_of_low_lines_stand_above_the_axis(drawn) -> None:
    lines = [flat("top", 1.0), *(flat(f"low {i}", 0.001 * i) for i in range(7))]
    picture = drawn(recall_lines_plot(lines, "lines", "said"))
    (axis,) = [e for e in picture.root.iter("text") if e.text == "0 %"]
    named = [e for e in picture.root.iter("text") if (e.text or "").startswith("low")]
    assert max(_height(each) for each in named) == pytest.approx(_height(axis), abs=4)
    order = sorted((each.text for each in named), key=lambda name: name or "", reverse=True)
    assert [each.text for each in sorted(named, key=_height)] == order


def _height(element) -> float:
    return float(element.get("y", "0"))


def test_more_systems_than_colours_are_refused() -> None:
    with pytest.raises(ValueError, match="tells 8 systems apart"):
        recall_lines_plot([flat(f"{i}", 0.1) for i in range(9)], "lines", "said")


@pytest.mark.parametrize("longest", [1, 2, 7])
def test_short_lists_and_nothing_found(drawn, longest: int) -> None:
    line = Line("none", np.arange(1, longest + 1), np.zeros(longest))
    drawn(recall_lines_plot([line], "lines", "said")).check_inside()


def test_numbers_are_those_of_the_lines() -> None:
    header, rows = line_numbers([flat("half", 0.5), Line("short", np.arange(1, 6), np.arange(5) / 10)])
    assert header == ["R@K", "1", "5", "10", "20", "50", "100"]
    assert rows == [["half", *["0.500"] * 6], ["short", "0.000", "0.400", "", "", "", ""]]
