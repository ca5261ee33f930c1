"""A flat map of labelled points in, a light picture of it out: one path for each label, however many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.axes import shortened
from model.evaluation.html import Html, join, tag, text
from model.evaluation.svg import SERIES, Paint

SIDE_PX, MARGIN_PX, ROW_PX, TEXT_PX = 380.0, 8.0, 17.0, 10.5
DOT_PX = 3.2
OTHERS = "others"
CAPS = ("round", "square")  # of a line without length: a dot, a square


@dataclass(frozen=True, slots=True)
class FlatMap:
    """n points of t-SNE; its axes have no meaning and no unit."""

    points: NDArray[np.float64]  # (n, 2)
    labels: NDArray[np.str_]  # (n,) which colour
    shapes: NDArray[np.str_] | None = None  # (n,) of one or two kinds, such as video and music


def scatter_plot(flat: FlatMap, name: str, title: str) -> Html:
    """Points in their labels' colours; of more labels than colours the rarest share the last, in grey.

    Args:
        flat: n >= 1 points.
        name: of the picture on its page.
        title: what a screen reader says.
    """
    names = _named(flat.labels)
    kinds = ["" for _ in flat.labels] if flat.shapes is None else flat.shapes.tolist()
    shapes = sorted(set(kinds))
    if len(shapes) > len(CAPS):
        raise ValueError(f"there are {len(CAPS)} shapes, not {len(shapes)}")
    at = _placed(flat.points)
    label = np.array([each if each in names else OTHERS for each in flat.labels.tolist()])
    paths = [
        _path(at[(label == each) & (np.array(kinds) == shape)], _paint(each, names), cap)
        for each in [OTHERS, *reversed(names)]  # the rarest on top of what would cover them
        if each in label
        for shape, cap in zip(shapes, CAPS, strict=False)
    ]
    shown = [each for each in (*names, OTHERS) if each in label]
    keys = [(each, _paint(each, names), CAPS[0]) for each in shown]
    if len(shapes) > 1:
        keys += [(shape, Paint.QUIET, cap) for shape, cap in zip(shapes, CAPS, strict=True)]
    height = SIDE_PX + ROW_PX * ((len(keys) + 1) // 2) + MARGIN_PX
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        join(paths),
        join(_key(i, *key) for i, key in enumerate(keys)),
        viewBox=f"0 0 {SIDE_PX:g} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title",
    )


def _named(labels: NDArray[np.str_]) -> list[str]:
    """Labels that get a colour of their own, the most frequent first."""
    names, counts = np.unique(labels, return_counts=True)
    order: list[str] = names[np.argsort(-counts, kind="stable")].tolist()
    return order if len(order) <= len(SERIES) else order[: len(SERIES)]


def _paint(label: str, names: Sequence[str]) -> Paint:
    return SERIES[names.index(label)] if label in names else Paint.QUIET


def _placed(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) px: both axes to one scale, in the middle of a square."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = float((high - low).max()) or 1.0
    room = SIDE_PX - 2 * MARGIN_PX
    return np.asarray(SIDE_PX / 2 + (points - (low + high) / 2) / span * room, np.float64)


def _path(at: NDArray[np.float64], paint: Paint, cap: str) -> Html:
    """A line of no length for each point, which its cap makes a dot: eleven bytes instead of an element."""
    drawn = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in at)
    return tag(
        "path",
        d=drawn,
        fill="none",
        style=f"stroke: {paint.variable}; stroke-width: {DOT_PX:g}; stroke-opacity: 0.65",
        stroke_linecap=cap,
    )


def _key(i: int, label: str, paint: Paint, cap: str) -> Html:
    """One entry of the legend, which has two columns below the map."""
    x = MARGIN_PX + DOT_PX + (i % 2) * SIDE_PX / 2
    y = SIDE_PX + ROW_PX * (i // 2 + 0.5)
    style = f"stroke: {paint.variable}; stroke-width: {2.4 * DOT_PX:g}"
    words = tag(
        "text",
        text(shortened(label)),
        x=f"{x + 9:g}",
        y=f"{y + TEXT_PX / 3:g}",
        style=f"fill: {Paint.INK.variable}; font-size: {TEXT_PX:g}px",
    )
    return join([tag("path", d=f"M{x:g} {y:g}h0", fill="none", style=style, stroke_linecap=cap), words])
