"""The figures of every epoch in, one picture of how training went out."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from model.training.loop import Epoch

WIDTH_IN, HEIGHT_IN, DOTS_PER_IN = 15.0, 4.6, 110  # 1650 x 506 px
INK, QUIET, LINE = "#1b1f24", "#57606a", "#d8dee4"
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"  # told apart by colour-blind eyes (Okabe and Ito 2008)
LABEL_HEIGHT = 0.125  # two lines of text, of a panel's height: labels closer than that would touch


@dataclass(frozen=True, slots=True)
class Line:
    """One figure over the epochs."""

    label: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines that share an axis."""

    title: str
    lines: tuple[Line, ...]


def curves_png(epochs: Sequence[Epoch]) -> bytes:
    """Retrieval, loss and category loss over the epochs; the epoch whose weights were kept is marked.

    Beside each line's end stands its value at that epoch.

    Args:
        epochs: at least one; the last of those marked best is the kept one.
    """
    kept = [i for i, epoch in enumerate(epochs) if epoch.best][-1]
    with rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        layout = ConstrainedLayoutEngine(w_pad=0.18, h_pad=0.18, wspace=0.0)
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DOTS_PER_IN, layout=layout)
        for axes, panel in zip(figure.subplots(1, 3), _panels(epochs), strict=True):
            _draw(axes, panel, [epoch.number for epoch in epochs], kept)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _panels(epochs: Sequence[Epoch]) -> tuple[Panel, ...]:
    return (
        Panel(
            "R@10 and MRR, held-out pairs",
            (
                Line("video → music", BLUE, [epoch.r10_video_to_music for epoch in epochs]),
                Line("music → video", ORANGE, [epoch.r10_music_to_video for epoch in epochs]),
                Line("MRR", GREEN, [epoch.mrr for epoch in epochs]),
            ),
        ),
        Panel(
            "Loss, nats",
            (
                Line("training", ORANGE, [epoch.train_loss for epoch in epochs]),
                Line("held out", BLUE, [epoch.evaluation_loss for epoch in epochs]),
                Line("held out, matching", GREEN, [epoch.evaluation_matching for epoch in epochs]),
            ),
        ),
        Panel(
            "Category loss, held-out pairs, nats",
            (Line("held out", BLUE, [epoch.evaluation_prediction for epoch in epochs]),),
        ),
    )


def _draw(axes: Axes, panel: Panel, numbers: Sequence[int], kept: int) -> None:
    marker = "o" if len(numbers) == 1 else ""
    for line in panel.lines:
        axes.plot(numbers, line.values, color=line.colour, linewidth=2, marker=marker)
        axes.plot(numbers[kept], line.values[kept], color=line.colour, marker="o", markersize=7)
    axes.axvline(numbers[kept], color=QUIET, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.margins(y=0.08)
    axes.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    axes.autoscale_view()
    ends = axes.transLimits.transform([(numbers[-1], line.values[-1]) for line in panel.lines])[:, 1]
    for line, height in zip(panel.lines, apart(ends, LABEL_HEIGHT), strict=True):
        said = f"{line.label}\n{line.values[kept]:.4g}"
        axes.text(1.02, float(height), said, color=line.colour, va="center", transform=axes.transAxes)
    axes.set_title(panel.title, loc="left", color=INK, fontweight="bold", fontsize=12)
    axes.set_xlabel(f"epoch; {numbers[kept]} of {numbers[-1]} was kept", color=QUIET)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.tick_params(colors=QUIET, labelcolor=INK, length=0)
    for spine in axes.spines.values():
        spine.set_color(LINE)


def apart(heights: np.ndarray[tuple[int], np.dtype[np.float64]], least: float) -> list[float]:
    """Move heights apart until neighbours differ by `least`, in their order, about their common middle."""
    order = np.argsort(heights, kind="stable")
    steps = np.arange(len(heights)) * least
    pushed = np.maximum.accumulate(heights[order] - steps) + steps
    moved = np.empty_like(pushed)
    moved[order] = pushed - (pushed - heights[order]).mean()
    return [float(height) for height in moved]
