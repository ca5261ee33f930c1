"""Recall of several systems over the length of the list in, one picture of them out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from model.evaluation.axes import BAND, DASHED, SMALL_PX, percents, plain, shortened
from model.evaluation.html import Html
from model.evaluation.intervals import clustered_bootstrap
from model.evaluation.metrics import Ranking, hits
from model.evaluation.svg import SERIES, Paint, drawing, inline_svg

LONGEST = 100  # K of the papers' recall curves
WIDTH_PX, HEIGHT_PX = 620.0, 380.0
GAP = 0.05  # between two names, of the height of the axes
NAMES_AT, LEADS_FROM = 1.035, 1.005  # of the width of the axes


@dataclass(frozen=True, slots=True)
class Line:
    """Recall at c lengths of the list, of a system, of chance or of an oracle."""

    name: str
    k: NDArray[np.int64]  # (c,) ascending
    value: NDArray[np.float64]  # (c,)
    band: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None  # (c,) each, 95 %
    role: Literal["system", "chance", "oracle"] = "system"


def recall_line(name: str, found: Sequence[Ranking], tracks: NDArray[np.str_], most: int = LONGEST) -> Line:
    """Recall of one system at K = 1, 2 ... `most`, with its band.

    Args:
        name: of the system.
        found: the same q queries under each seed of training; the line is the mean over seeds.
        tracks: (q,) of the queries, which the bootstrap draws.
        most: length of the longest list.
    """
    k = np.arange(1, most + 1, dtype=np.int64)
    by_seed = [np.stack([hits(each, int(length)) for length in k], axis=1) for each in found]
    values = np.mean(by_seed, axis=0)
    certain = (k >= len(tracks)).astype(np.float64)  # as long as the pool, whose clips are the queries' own
    low, high = clustered_bootstrap(values, tracks, within=(certain, 1.0)).T
    return Line(name, k, values.mean(axis=0), (low, high))


def recall_lines_plot(lines: Sequence[Line], name: str, title: str) -> Html:
    """Every line with its name at its end; up to eight systems, chance and oracle dashed and grey.

    Args:
        lines: at least one, over any lengths.
        name: of the picture on its page.
        title: what a screen reader says.
    """
    with drawing(WIDTH_PX, HEIGHT_PX) as figure:
        axes = figure.subplots()
        plain(axes)
        paints = _paints(lines)
        for line, paint in zip(lines, paints, strict=True):
            _draw(axes, line, paint)
        axes.set_xlim(1, max(2, max(int(line.k[-1]) for line in lines)))
        highest = max(float(line.value.max()) for line in lines)
        axes.set_ylim(0, min(1.0, 1.06 * highest) if highest > 0 else 1.0)
        percents(axes.yaxis)
        axes.grid(color=Paint.LINE, linewidth=0.8)
        axes.set_xlabel("length of the list, K")
        _name(axes, lines, paints)
        return inline_svg(figure, name, title)


def line_numbers(
    lines: Sequence[Line], at: Sequence[int] = (1, 5, 10, 20, 50, 100)
) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table that says what the picture shows."""
    rows = []
    for line in lines:
        known = dict(zip(line.k.tolist(), line.value.tolist(), strict=True))
        rows.append([line.name, *(f"{known[k]:.3f}" if k in known else "" for k in at)])
    return ["R@K", *(f"{k}" for k in at)], rows


def _paints(lines: Sequence[Line]) -> list[Paint]:
    """One of its own for every system."""
    if sum(line.role == "system" for line in lines) > len(SERIES):
        raise ValueError(f"one picture tells {len(SERIES)} systems apart: draw fewer lines")
    free = iter(SERIES)
    return [next(free) if line.role == "system" else Paint.QUIET for line in lines]


def _draw(axes: Axes, line: Line, paint: Paint) -> None:
    if line.band is not None:
        axes.fill_between(line.k, *line.band, color=paint, alpha=BAND / 2, linewidth=0)
    style = "-" if line.role == "system" else DASHED
    width = 2.0 if line.role == "system" else 1.2
    axes.plot(line.k, line.value, color=paint, linewidth=width, linestyle=style)


def _name(axes: Axes, lines: Sequence[Line], paints: Sequence[Paint]) -> None:
    """Names stand to the right of the axes, in the order of the lines' ends, none over another."""
    top = axes.get_ylim()[1]
    ends = np.array([float(line.value[-1]) / top for line in lines])
    for i, height in zip(np.argsort(ends), _spread(np.sort(ends)), strict=True):
        line, paint = lines[int(i)], paints[int(i)]
        axes.plot(
            [LEADS_FROM, NAMES_AT - 0.008],
            [ends[i], height],
            transform=axes.transAxes,
            color=paint,
            linewidth=0.8,
            clip_on=False,
        )
        axes.text(
            NAMES_AT,
            height,
            shortened(line.name, 26),
            transform=axes.transAxes,
            color=paint,
            fontsize=SMALL_PX,
            va="center",
            fontweight="bold" if line.role == "system" else "normal",
        )


def _spread(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(l,) ascending to heights at least `GAP` apart, moved as little as pushing up, then down, allows."""
    placed = heights.copy()
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + GAP)
    placed[-1] = min(placed[-1], max(1.0, GAP * (len(placed) - 1)))
    for i in range(len(placed) - 2, -1, -1):
        placed[i] = min(placed[i], placed[i + 1] - GAP)
    return placed
