"""Estimates with intervals in, a forest plot out: one row each, beside a line to compare them with."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from model.evaluation.axes import DASHED, MINUS, SMALL_PX, percents, plain, shortened
from model.evaluation.html import Html
from model.evaluation.svg import Paint, drawing, inline_svg

WIDTH_PX, ROW_PX, FRAME_PX = 620.0, 26.0, 66.0


@dataclass(frozen=True, slots=True)
class ForestRow:
    """One estimate, such as what leaving a part out does to R@10."""

    label: str
    value: float
    low: float  # 95 %
    high: float

    def beside(self, reference: float) -> Paint:
        """Above the line, below it, or not to be told from it."""
        if self.low > reference:
            return Paint.FIRST
        return Paint.SECOND if self.high < reference else Paint.QUIET


def forest_plot(
    rows: Sequence[ForestRow], name: str, title: str, *, axis: str, reference: float = 0.0, meaning: str = ""
) -> Html:
    """A dot with its interval a row, the first on top; blue above the line, orange below, grey on it.

    Args:
        rows: at least one; shares, or differences of shares.
        name: of the picture on its page.
        title: what a screen reader says.
        axis: what is measured, such as "R@10, difference to the full system".
        reference: where the line is.
        meaning: of the line, such as "full system".
    """
    with drawing(WIDTH_PX, FRAME_PX + ROW_PX * len(rows)) as figure:
        axes = figure.subplots()
        plain(axes)
        axes.axvline(reference, color=Paint.QUIET, linewidth=1.2, linestyle=DASHED)
        for i, row in enumerate(rows):
            paint = row.beside(reference)
            axes.plot([row.low, row.high], [i, i], color=paint, linewidth=5, alpha=0.35)
            axes.plot([row.value], [i], color=paint, marker="o", markersize=7)
        axes.set_yticks(range(len(rows)), [shortened(row.label, 34) for row in rows])
        axes.tick_params(axis="y", pad=8)
        axes.set_ylim(len(rows) - 0.5, -0.9)
        if meaning:
            axes.annotate(
                meaning,
                (reference, -0.9),
                (4, -2),
                textcoords="offset points",
                color=Paint.QUIET,
                fontsize=SMALL_PX,
                va="top",
            )
        axes.margins(x=0.06)
        axes.xaxis.set_major_locator(MaxNLocator(6))
        percents(axes.xaxis, signed=any(min(row.low, row.value) < 0 for row in rows) or reference == 0)
        axes.grid(axis="x", color=Paint.LINE, linewidth=0.8)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis)
        return inline_svg(figure, name, title)


def forest_numbers(rows: Sequence[ForestRow], *, axis: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table that says what the picture shows."""
    cells = [[row.label, _number(row.value), f"{_number(row.low)} to {_number(row.high)}"] for row in rows]
    return ["", axis, "95 %"], cells


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", MINUS)
