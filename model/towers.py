"""ONNX graphs of a folder in, sequences to unit vectors out; no torch."""

from collections.abc import Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model.errors import Corrupt, Mismatch
from model.features.sequence import Sequence, pad
from model.runtime.accelerator import Accelerator
from model.runtime.session import Port, Session, open_session


@dataclass(frozen=True, slots=True)
class Tower:
    """One graph; in shapes, b the batch, t rows of a sequence, d the length of an embedding."""

    name: str
    widths: dict[str, int]  # of its inputs, by name
    session: Session
    dim: int  # d

    @classmethod
    def open(cls, folder: Path, name: str, inputs: Several[Mapping[str, Any]], threads: int) -> Self:
        """Start a session on the CPU: a tower takes less time there than its arrays to a GPU and back.

        Raises:
            Corrupt: if the graph cannot be run, or has other inputs and outputs than it should.
        """
        path = folder / f"{name}_tower.onnx"
        session = open_session(path, Accelerator("cpu", threads=threads))
        if {each.name for each in session.inputs} != {entry["name"] for entry in inputs}:
            raise Corrupt(f"{path} takes other inputs than its manifest says: export it again")
        match session.outputs:
            case [Port(name="embedding", shape=(_, int(dim)))]:
                widths = {e["name"]: int(e["shape"][-1]) for e in inputs if e["dtype"] == "float32"}
                return cls(name, widths, session, dim)
            case _:
                raise Corrupt(f"{path} gives no embedding of a fixed length: export it again")

    def run(self, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Arrays by the graph's own input names to (b, d), rows of L2 norm 1."""
        embedding: NDArray[np.float32] = self.session.run(feed)[0]
        if not np.isfinite(embedding).all():
            raise Corrupt(f"the {self.name} tower gave numbers that are not finite: export it again")
        return embedding

    def embed(self, batch: Several[Mapping[str, Sequence]]) -> NDArray[np.float32]:
        """The sequences of b things to (b, d), rows of L2 norm 1.

        A value that is not finite counts as the training mean, inside the graph. What a profile offers
        beyond the tower's inputs is left alone: not every system reads all.

        Raises:
            Mismatch: if an input is missing, empty or of another width.
        """
        for item in batch:
            if not set(self.widths) <= set(item):
                raise Mismatch(f"the {self.name} tower takes {sorted(self.widths)}, not {sorted(item)}")
        feed: dict[str, NDArray[Any]] = {}
        for name, width in self.widths.items():
            feed[name], feed[f"{name}_mask"] = pad([self._checked(item[name], name, width) for item in batch])
        return self.run(feed)

    def _checked(self, sequence: Sequence, name: str, width: int) -> NDArray[np.float32]:
        values = sequence.values
        if values.ndim != 2 or values.shape[1] != width:
            raise Mismatch(
                f"input {name!r} of the {self.name} tower is (t, {width}), not {values.shape}: "
                "extract the features with the bundle's profile"
            )
        if len(values) == 0:
            raise Mismatch(f"input {name!r} of the {self.name} tower is empty: it needs at least one row")
        return values


@dataclass(frozen=True, slots=True)
class Towers:
    """The towers of one system."""

    profile: str  # whose features they take
    video: Tower
    music: Tower
    text: Tower | None  # of a system that was trained with text

    @classmethod
    def open(
        cls, folder: Path, profile: str, inputs: Mapping[str, Several[Mapping[str, Any]]], *, threads: int = 1
    ) -> Self:
        """Open `<name>_tower.onnx` for each tower of `inputs`, which is as in bundle.json."""
        video, music = (Tower.open(folder, name, inputs[name], threads) for name in ("video", "music"))
        text = Tower.open(folder, "text", inputs["text"], threads) if "text" in inputs else None
        return cls(profile, video, music, text)

    @property
    def input_names(self) -> dict[str, tuple[str, ...]]:
        """By tower, the names of what it takes: keys of the profile."""
        there = [tower for tower in (self.video, self.music, self.text) if tower is not None]
        return {tower.name: tuple(tower.widths) for tower in there}

    def embed_video(self, sequences: Mapping[str, Sequence]) -> NDArray[np.float32]:
        """One video's sequences by input name to (d,), L2 norm 1."""
        embedding: NDArray[np.float32] = self.video.embed([sequences])[0]
        return embedding

    def embed_music(self, batch: Several[Mapping[str, Sequence]]) -> NDArray[np.float32]:
        """The sequences of b segments by input name to (b, d), rows of L2 norm 1."""
        return self.music.embed(batch) if batch else np.zeros((0, self.music.dim), np.float32)

    def embed_text(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(b, d_t) text vectors to (b, d), rows of L2 norm 1.

        Raises:
            Mismatch: for another width, or a system that was trained without text.
        """
        if self.text is None:
            raise Mismatch("this bundle was trained without text, so a text cannot ask: use one that was")
        width = self.text.widths["text"]
        if x.ndim != 2 or x.shape[1] != width:
            raise Mismatch(f"the text tower takes (b, {width}), not {x.shape}: use the bundle's profile")
        return self.text.run({"text": x.astype(np.float32, copy=False)})
