"""Values of many queries, clips or gates in, pictures of how they are spread out."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray
from scipy.stats import binom

from model.evaluation.axes import BAND, DASHED, SMALL_PX, percents, plain
from model.evaluation.html import Html
from model.evaluation.plots import HEIGHT_PX, WIDTH_PX
from model.evaluation.svg import SERIES, Paint, drawing, inline_svg

RANK_BINS, GATE_BINS, MOST_BARS = 14, 40, 60
HEADROOM = 1.22  # above what is drawn, for its legend


def rank_bins(candidates: int) -> NDArray[np.int64]:
    """Where bins of ranks begin, about evenly on a log axis, and where the last one ends: (b + 1,)."""
    return np.unique(np.geomspace(1, candidates + 1, RANK_BINS + 1).round().astype(np.int64))


def rank_plot(ranks: NDArray[np.float64], candidates: int, name: str, title: str) -> Html:
    """How many right answers stand where, beside a blind scorer's, on a log axis.

    Args:
        ranks: (q,) of the right answers, from 1; expected ones where scores tie.
        candidates: of each query.
        name: of the picture on its page.
        title: what a screen reader says.
    """
    edges = rank_bins(candidates)
    counts, _ = np.histogram(ranks, edges)
    with drawing(WIDTH_PX, HEIGHT_PX) as figure:
        axes = figure.subplots()
        plain(axes)
        axes.stairs(counts / len(ranks), edges, fill=True, color=Paint.FIRST, alpha=0.55)
        axes.stairs(
            np.diff(edges) / candidates,
            edges,
            baseline=None,
            color=Paint.QUIET,
            linestyle=DASHED,
            linewidth=1.2,
        )
        axes.set_xscale("log")
        axes.set_xlim(1, candidates + 1)
        shown = [10.0**e for e in range(int(np.log10(max(candidates, 1))) + 1)]
        axes.xaxis.set_major_locator(FixedLocator(shown))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rank, _: f"{rank:,.0f}"))
        axes.set_ylim(
            0, HEADROOM * max(float(counts.max()) / len(ranks), float(np.diff(edges).max()) / candidates)
        )
        percents(axes.yaxis)
        axes.grid(axis="y", color=Paint.LINE, linewidth=0.8)
        axes.set_xlabel("rank of the right answer")
        _legend(axes, {"measured": Paint.FIRST, "guessing": Paint.QUIET})
        return inline_svg(figure, name, title)


def hubness_plot(shown: NDArray[np.float64], queries: int, k: int, name: str, title: str) -> Html:
    """How many candidates are in how many lists, beside what random scores give.

    Args:
        shown: (c,) N_k, in how many of the queries' first k candidate j is.
        queries: how many lists there are.
        k: their length.
        name: of the picture on its page.
        title: what a screen reader says.
    """
    width = max(1, int(np.ceil((shown.max() + 1) / MOST_BARS)))
    edges = np.arange(0, shown.max() + 1 + width, width) - 0.5
    counts, _ = np.histogram(shown, edges)
    by_chance = binom(queries, min(1.0, k / len(shown)))
    expected = len(shown) * np.diff(by_chance.cdf(edges))
    with drawing(WIDTH_PX, HEIGHT_PX) as figure:
        axes = figure.subplots()
        plain(axes)
        axes.stairs(counts, edges, fill=True, color=Paint.FIRST, alpha=0.55)
        axes.stairs(expected, edges, baseline=None, color=Paint.QUIET, linestyle=DASHED, linewidth=1.2)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_yscale("symlog", linthresh=1, linscale=0.5)
        axes.yaxis.set_major_locator(FixedLocator([0, 1, 10, 100, 1_000, 10_000, 100_000]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
        axes.set_ylim(0, 3 * max(float(counts.max()), float(expected.max())))
        axes.grid(axis="y", color=Paint.LINE, linewidth=0.8)
        axes.set_xlabel(f"how many lists of {k} a candidate is in")
        axes.set_ylabel("candidates")
        _legend(axes, {"measured": Paint.FIRST, "random scores": Paint.QUIET})
        return inline_svg(figure, name, title)


def gate_plot(gates: Mapping[str, NDArray[np.float64]], name: str, title: str) -> Html:
    """How far the weighted fusion module opens for each input, clip by clip.

    Args:
        gates: by input, (n,) mean over the input's dimensions of each clip's gate, between 0 and 1.
        name: of the picture on its page.
        title: what a screen reader says.
    """
    everything = np.concatenate(list(gates.values()))
    low, high = float(everything.min()), float(everything.max())
    margin = max(0.02, 0.05 * (high - low))
    edges = np.linspace(max(0, low - margin), min(1, high + margin), GATE_BINS + 1)
    with drawing(WIDTH_PX, HEIGHT_PX) as figure:
        axes = figure.subplots()
        plain(axes)
        for paint, values in zip(SERIES, gates.values(), strict=False):
            share = np.histogram(values, edges)[0] / len(values)
            axes.stairs(share, edges, fill=True, color=paint, alpha=BAND)
            axes.stairs(share, edges, baseline=None, color=paint, linewidth=1.6)
            axes.axvline(
                float(values.mean()), ymax=1 / HEADROOM, color=paint, linewidth=1.2, linestyle=DASHED
            )
        axes.set_xlim(edges[0], edges[-1])
        percents(axes.yaxis)
        axes.set_ylim(0, HEADROOM * axes.get_ylim()[1])
        axes.grid(axis="y", color=Paint.LINE, linewidth=0.8)
        axes.set_xlabel("mean gate of a clip, 0 shut, 1 open")
        axes.set_ylabel("clips")
        labels = [f"{key}, mean {values.mean():.2f}" for key, values in gates.items()]
        _legend(axes, dict(zip(labels, SERIES, strict=False)))
        return inline_svg(figure, name, title)


def _legend(axes: Axes, entries: Mapping[str, Paint]) -> None:
    """Names in their colours, in the corner at the top right."""
    for row, (label, paint) in enumerate(entries.items()):
        axes.text(
            0.98,
            0.98 - 0.075 * row,
            label,
            transform=axes.transAxes,
            color=paint,
            fontsize=SMALL_PX,
            fontweight="normal" if paint is Paint.QUIET else "bold",
            ha="right",
            va="top",
        )
