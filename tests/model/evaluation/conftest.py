"""What a picture draws, read back from its markup as a browser would place it."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from model.datasets.layout import Layout, write_features
from model.datasets.table import Dataset, Ragged

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


class Drawn:
    """A picture, parsed."""

    def __init__(self, markup: str) -> None:
        self.root = ElementTree.fromstring(markup)
        self.view_box = [float(x) for x in self.root.attrib["viewBox"].split()]

    @property
    def texts(self) -> list[str]:
        return ["".join(each.itertext()).strip() for each in self.root.iter("text")]

    def paths(self, style: str) -> list[np.ndarray]:
        """(p, 2) points of every path whose style holds `style`."""
        chosen = [e for e in self.root.iter("path") if style in e.get("style", "")]
        return [points(each) for each in chosen]

    def marks(self, style: str) -> np.ndarray:
        """(m, 2) where marks of that style stand."""
        chosen = [e for e in self.root.iter("use") if style in e.get("style", "")]
        return np.array([[float(e.get("x", 0)), float(e.get("y", 0))] for e in chosen])

    def check_inside(self) -> None:
        """Every path that is shown (none of a definition) lies in the view box."""
        hidden = {e for kind in ("defs", "clipPath") for d in self.root.iter(kind) for e in d.iter("path")}
        left, top, width, height = self.view_box
        for path in (e for e in self.root.iter("path") if e not in hidden):
            at = points(path)
            assert (at >= [left - 0.5, top - 0.5]).all(), at.min(axis=0)
            assert (at <= [left + width + 0.5, top + height + 0.5]).all(), at.max(axis=0)


def points(path: ElementTree.Element) -> np.ndarray:
    """(p, 2) of a path of M and L; of `h0` too, which adds nothing."""
    numbers = [float(x) for x in NUMBER.findall(path.get("d", "").replace("h0", ""))]
    return np.array(numbers).reshape(-1, 2)


@pytest.fixture
def drawn() -> Callable[[str], Drawn]:
    """Parse a picture: fails unless it is well-formed, with a title and a view box."""

    def parse(markup: str) -> Drawn:
        found = Drawn(markup)
        assert found.root.get("role") == "img"
        title = found.root.find("title")
        assert title is not None
        assert found.root.get("aria-labelledby") == title.get("id")
        return found

    return parse


@pytest.fixture(scope="session")
def add_listener() -> Callable[[Path], None]:
    """`add_listener(folder)`: features of a profile `ear` beside those that systems read."""

    def add(folder: Path) -> None:
        pair_ids = Dataset.open(folder).pairs["pair_id"]
        rng = np.random.default_rng(0)
        counts = rng.integers(1, 4, len(pair_ids))
        offsets = np.cumsum([0, *counts], dtype=np.int64)
        values = rng.standard_normal((offsets[-1], 5)).astype(np.float32)
        ragged = Ragged(values, np.arange(offsets[-1], dtype=np.float64), offsets)
        layout = Layout(video=("seen",), music=("audio",))
        write_features(folder, pair_ids, "ear", layout, {"seen": ragged, "audio": ragged}, None, {})

    return add
