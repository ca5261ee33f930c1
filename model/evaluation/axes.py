"""Axes of a plot in, the page's look on them: a grid instead of ticks, its colours, its words."""

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, PercentFormatter

from model.evaluation.svg import Paint

SMALL_PX = 9.5
BAND = 0.18  # opacity
DASHED = (0, (4, 3))  # of what is no measurement: chance, an oracle
MINUS = "\N{MINUS SIGN}"


def plain(axes: Axes) -> None:
    """The page's colours; a grid instead of ticks."""
    axes.set_axisbelow(True)
    axes.tick_params(colors=Paint.QUIET, labelcolor=Paint.INK, length=0, labelsize=SMALL_PX)
    for spine in axes.spines.values():
        spine.set_color(Paint.LINE)
    for side in (axes.xaxis, axes.yaxis):
        side.label.set_color(Paint.QUIET)
        side.label.set_fontsize(SMALL_PX)


def shares(axes: Axes) -> None:
    """The y axis from 0 to 100 %."""
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.yaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
    axes.grid(color=Paint.LINE, linewidth=0.8)


def percents(side: Axis, *, signed: bool = False) -> None:
    """Shares of 1 along an axis, written in per cent; a difference with its sign."""
    side.set_major_formatter(FuncFormatter(_signed if signed else _percent))


def shortened(label: str, most: int = 22) -> str:
    """A label that fits beside its row."""
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _percent(share: float, _: int | None) -> str:
    return f"{100 * share:.4g} %"


def _signed(share: float, _: int | None) -> str:
    text = f"{100 * share:+.4g} %".replace("-", MINUS)
    return "0 %" if abs(share) < 1e-12 else text
