"""A matplotlib figure in, SVG for the inside of a page out: the page's own font and colours, nothing foreign.

Colours are drawn as `Paint`s, hex numbers that stand for the page's CSS variables, so that one picture is
right on a light and on a dark page. Text stays text: it can be selected, read out and searched.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

from model.evaluation.html import Html

SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
INCH_PX = 72.0  # of the view box
TEXT_PX = 10.5


class Paint(StrEnum):
    """A role of a colour; the value is what it is called while matplotlib has it."""

    INK = "#0a0b01"
    QUIET = "#0a0b02"
    LINE = "#0a0b03"
    FIRST = "#0a0b04"
    SECOND = "#0a0b05"
    PAPER = "#0a0b06"
    THIRD = "#0a0b07"
    FOURTH = "#0a0b08"
    FIFTH = "#0a0b09"
    SIXTH = "#0a0b0a"
    SEVENTH = "#0a0b0b"
    EIGHTH = "#0a0b0c"

    @property
    def variable(self) -> str:
        """The CSS variable that it becomes."""
        return f"var(--{self.name.lower()})"


SERIES = (
    Paint.FIRST,
    Paint.SECOND,
    Paint.THIRD,
    Paint.FOURTH,
    Paint.FIFTH,
    Paint.SIXTH,
    Paint.SEVENTH,
    Paint.EIGHTH,
)  # of things that are told apart and have no order; no more of them in one picture


@contextmanager
def drawing(width_px: float, height_px: float) -> Iterator[Figure]:
    """A figure to draw on, with the page's settings for as long as it is drawn."""
    settings = matplotlib.rc_context(
        {
            "svg.fonttype": "none",  # text as text
            "svg.hashsalt": "yuyin",  # the same picture has the same ids
            "text.parse_math": False,  # a category may be called "$5 to $10"
            "font.size": TEXT_PX,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    with settings, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the browser has them
        yield Figure(figsize=(width_px / INCH_PX, height_px / INCH_PX), layout="constrained")


def inline_svg(figure: Figure, name: str, title: str) -> Html:
    """The figure as an element; draw and call it inside of `drawing`.

    Args:
        figure: whose colours are `Paint`s.
        name: of the figure, unique on its page: every id begins with it.
        title: what a screen reader says.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(buffer.getvalue())
    _drop(root, {f"{SVG}metadata", f"{SVG}style"})
    _localise(root, name)
    for unit_bound in ("width", "height", "version"):
        root.attrib.pop(unit_bound, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title"}
    label = ElementTree.Element("title", {"id": f"{name}-title"})
    label.text = title
    root.insert(0, label)
    markup = ElementTree.tostring(root, encoding="unicode", short_empty_elements=False)
    for paint in Paint:
        markup = markup.replace(paint.value, paint.variable)
    return Html(re.sub(r"\n\s*", " ", markup))


def _drop(root: ElementTree.Element, names: set[str]) -> None:
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag in names]:
            parent.remove(child)


def _localise(root: ElementTree.Element, name: str) -> None:
    """No name spaces, no fonts, no ids that another figure of the page may have too."""
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        for key, value in list(element.attrib.items()):
            del element.attrib[key]
            element.attrib[key.removeprefix(XLINK)] = _local(key.removeprefix(XLINK), value, name)


def _local(key: str, value: str, name: str) -> str:
    match key:
        case "id":
            return f"{name}-{value}"
        case "href":
            return value.replace("#", f"#{name}-")
        case "style":
            return re.sub(r"font-family: [^;]*(; |$)", "", value)
        case _:
            return value.replace("url(#", f"url(#{name}-")
