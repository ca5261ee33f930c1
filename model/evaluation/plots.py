"""Figures of an evaluation in, pictures of them for the inside of a page out."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator, PercentFormatter

from model.evaluation.axes import BAND, DASHED, MINUS, SMALL_PX, plain, shares, shortened
from model.evaluation.categories import CategoryRecall
from model.evaluation.curve import RecallCurve
from model.evaluation.html import Html
from model.evaluation.similarity import Similarity
from model.evaluation.svg import TEXT_PX, Paint, drawing, inline_svg

WIDTH_PX, HEIGHT_PX = 380.0, 290.0  # 10.5 px text stays legible where a phone shows this 350 px wide
ROW_PX, FRAME_PX = 30.0, 62.0


def recall_plot(curves: Sequence[RecallCurve], name: str, title: str) -> Html:
    """Recall over K of one direction: the strict curve with its band, the shared one, and chance.

    Args:
        curves: strict, then shared if it differs.
        name: of the picture on its page.
        title: what a screen reader says.
    """
    strict = curves[0]
    with drawing(WIDTH_PX, HEIGHT_PX) as figure:
        axes = figure.subplots()
        plain(axes)
        axes.fill_between(strict.k, strict.low, strict.high, color=Paint.FIRST, alpha=BAND, linewidth=0)
        axes.plot(strict.k, strict.chance, color=Paint.QUIET, linewidth=1.2, linestyle=DASHED)
        for shared in curves[1:]:
            axes.plot(shared.k, shared.value, color=Paint.SECOND, linewidth=1.4)
        marker = "o" if len(strict.k) == 1 else ""
        axes.plot(strict.k, strict.value, color=Paint.FIRST, linewidth=2.2, marker=marker)
        _log_k(axes, int(strict.k[-1]))
        shares(axes)
        axes.set_xlabel("length of the list, K")
        _label_curves(axes, curves)
        return inline_svg(figure, name, title)


def similarity_plot(found: Similarity, name: str, title: str) -> Html:
    """Both densities over the cosine; `found` has them."""
    with drawing(WIDTH_PX, HEIGHT_PX) as figure:
        axes = figure.subplots()
        plain(axes)
        sides = (
            (found.unmatched, Paint.SECOND, "unmatched"),
            (found.matched, Paint.FIRST, "matched"),
        )
        for density, paint, label in sides:
            axes.fill_between(found.cosine, density, color=paint, alpha=BAND, linewidth=0)
            axes.plot(found.cosine, density, color=paint, linewidth=2)
            top = int(density.argmax())
            right = density is found.matched
            axes.annotate(
                label,
                (float(found.cosine[top]), float(density[top])),
                (8 if right else -8, 5),
                textcoords="offset points",
                color=paint,
                ha="left" if right else "right",
                fontweight="bold",
            )
        said = f"AUC {found.matched_wins:.3f}\nd′ {found.d_prime:.2f}".replace("-", MINUS)
        axes.text(0.02, 0.98, said, transform=axes.transAxes, va="top", color=Paint.INK, fontsize=SMALL_PX)
        axes.set_ylim(0, 1.14 * float(max(found.matched.max(), found.unmatched.max())))
        axes.set_xlim(float(found.cosine[0]), float(found.cosine[-1]))
        axes.set_xlabel("cosine of video and clip")
        axes.set_ylabel("density")
        axes.yaxis.set_major_locator(NullLocator())
        return inline_svg(figure, name, title)


def category_plot(found: Sequence[CategoryRecall], name: str, title: str) -> Html:
    """A dot with its interval for each category, chance as a line; all of one direction."""
    with drawing(WIDTH_PX, FRAME_PX + ROW_PX * len(found)) as figure:
        axes = figure.subplots()
        plain(axes)
        axes.axvline(found[0].chance, color=Paint.QUIET, linewidth=1.2, linestyle=DASHED)
        for row, each in enumerate(found):
            axes.plot([each.low, each.high], [row, row], color=Paint.FIRST, linewidth=5, alpha=0.3)
            axes.plot([each.value], [row], color=Paint.FIRST, marker="o", markersize=7, clip_on=False)
        axes.set_yticks(range(len(found)), [shortened(each.category) for each in found])
        axes.tick_params(axis="y", pad=8)
        axes.set_ylim(len(found) - 0.5, -0.75)
        axes.annotate(
            "chance",
            (found[0].chance, -0.75),
            (4, -2),
            textcoords="offset points",
            color=Paint.QUIET,
            fontsize=SMALL_PX,
            va="top",
        )
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        axes.grid(axis="x", color=Paint.LINE, linewidth=0.8)
        axes.spines["left"].set_visible(False)
        return inline_svg(figure, name, title)


def _log_k(axes: Axes, pool: int) -> None:
    """1, 10, 100 and so on, with the pool's own size at the end."""
    axes.set_xscale("log")
    axes.set_xlim(1, max(pool, 2))
    whole = [float(10**e) for e in range(int(np.log10(max(pool, 1))) + 1) if 10**e * 1.6 < pool]
    axes.xaxis.set_major_locator(FixedLocator([*(whole or [1.0]), float(pool)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{k:,.0f}"))


def _label_curves(axes: Axes, curves: Sequence[RecallCurve]) -> None:
    """Name each line where it has room: above the curves at the left, below chance at the right."""
    axes.text(
        0.03, 0.95, "own clip, with 95 % band", color=Paint.FIRST, fontweight="bold", transform=axes.transAxes
    )
    if len(curves) > 1:
        axes.text(0.03, 0.88, "any clip of its track", color=Paint.SECOND, transform=axes.transAxes)
    at = int(np.searchsorted(curves[0].chance, 0.18).clip(0, len(curves[0].k) - 1))
    axes.annotate(
        "chance",
        (float(curves[0].k[at]), float(curves[0].chance[at])),
        (7, -4),
        textcoords="offset points",
        color=Paint.QUIET,
        fontsize=TEXT_PX - 1,
        va="top",
    )
