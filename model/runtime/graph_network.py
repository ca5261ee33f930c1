"""The graph of a backbone in, a `Network` out: opened when first called, the same from any thread."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import Corrupt, Mismatch
from model.runtime.accelerator import Accelerator
from model.runtime.session import Port, Session, open_session


class GraphNetwork:
    """`x` (b, ...) to `features` (b, d) of one ONNX file."""

    def __init__(self, graph: Path, accelerator: Accelerator, max_batch: int = 16) -> None:
        """Remember what to open; in shapes, b items and d features.

        Args:
            graph: an ONNX file with the input `x` (b, ...) and the output `features` (b, d).
            accelerator: where it shall run.
            max_batch: most items of one run on an accelerator, which bounds its memory.
        """
        self.max_batch = max_batch
        self._graph = graph
        self._accelerator = accelerator
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    def __reduce__(self) -> tuple[type["GraphNetwork"], tuple[Path, Accelerator, int]]:
        """Sessions cannot be sent to worker processes; their files can be named there."""
        return GraphNetwork, (self._graph, self._accelerator, self.max_batch)

    @property
    def provider(self) -> str:
        """Where it runs, as `Session.provider` says; opens the session."""
        return self._open().session.provider

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """(b, ...) to (b, d), b >= 0; an accelerator runs `max_batch` items at once, a core one.

        On a CPU a batch gains Inception 3 % and AST nothing, so each item runs alone, on a core of its own:
        one request has all cores, several share them by turns, memory is that of one item a core, and an
        item's features do not depend on its neighbours, by as little as a bit; those of dynamic int8, whose
        ranges are of everything in a run, would.

        Raises:
            Mismatch: if the items have another shape or dtype than the graph takes.
            NoAccelerator: if a GPU is required and cannot be used.
            Corrupt: if the graph cannot be run, or gives numbers that are not finite.
        """
        opened = self._open()
        opened.check(x)
        step = self.max_batch if opened.on_accelerator else 1
        chunks = [x[begin : begin + step] for begin in range(0, len(x), step)]
        rows = opened.runs.map(partial(self._run, opened), chunks)  # an error of one cancels what waits
        return np.concatenate([np.empty((0, opened.width), np.float32), *rows])

    def warm(self) -> None:
        """Run each size of batch that will be seen once, so that no request pays for the first of its kind.

        On a GPU these are the sizes that others are padded to; a CPU plans nothing by size.
        """
        opened = self._open()
        for size in buckets(self.max_batch) if opened.on_accelerator else [1]:
            # ones, not zeros: a text of nothing but padding has no mean
            self._run(opened, np.ones((size, *(each or 1 for each in opened.item)), opened.dtype))

    def _open(self) -> "_Opened":
        with self._opening:
            if self._opened is None:
                self._opened = _Opened(open_session(self._graph, self._accelerator), self._accelerator)
            return self._opened

    def _run(self, opened: "_Opened", chunk: NDArray[Any]) -> NDArray[np.float32]:
        padded = _padded(chunk, self.max_batch) if opened.on_accelerator else chunk
        features: NDArray[np.float32] = opened.session.run({"x": padded})[0][: len(chunk)]
        if not np.isfinite(features).all():
            raise Corrupt(f"{self._graph} gave numbers that are not finite: export it again, or as fp32")
        return features


class _Opened:
    """A session, and what its graph says of itself."""

    def __init__(self, session: Session, accelerator: Accelerator) -> None:
        match session.inputs, session.outputs:
            case [Port("x", (None, *item), dtype)], [Port("features", (_, int(width)), "float32")]:
                self.item, self.dtype, self.width = tuple(item), dtype, width
            case _:
                raise Corrupt(
                    f"{session.graph} is no backbone, x (b, ...) to features (b, d): it takes "
                    f"{_described(session.inputs)}, gives {_described(session.outputs)}: export it again"
                )
        self.session = session
        self.on_accelerator = session.provider != "cpu"
        # Each run holds the activations of its items: more at once than cores would be slower and larger.
        at_once = 1 if self.on_accelerator else accelerator.at_once or max(1, _cores() // accelerator.threads)
        self.runs = ThreadPoolExecutor(at_once, thread_name_prefix="network")

    def check(self, x: NDArray[Any]) -> None:
        """Raise `Mismatch` unless these are items that the graph takes."""
        fits = len(x.shape) == 1 + len(self.item) and all(
            wanted in (None, given) for wanted, given in zip(self.item, x.shape[1:], strict=True)
        )
        if not fits or x.dtype != np.dtype(self.dtype):
            shape = ", ".join(["b", *("any" if each is None else str(each) for each in self.item)])
            raise Mismatch(
                f"{self.session.graph} takes ({shape}) {self.dtype}, not {x.shape} {x.dtype}: "
                "give it what its own extractor makes"
            )


def buckets(max_batch: int) -> Iterator[int]:
    """The sizes that batches are padded to: powers of two, and `max_batch` itself."""
    size = 1
    while size < max_batch:
        yield size
        size *= 2
    yield max_batch


def _padded(chunk: NDArray[Any], max_batch: int) -> NDArray[Any]:
    """Fill up to the next bucket with zeros, whose rows nobody sees; accelerators only.

    There a size not seen before costs a plan (cuDNN: milliseconds to a second; TensorRT: an engine, minutes)
    and a part of the arena of its own; buckets are few, and all of them are warmed. What padding wastes is
    less than half of a run, and of the last run of an input only.
    """
    size = next(each for each in buckets(max_batch) if each >= len(chunk))
    if size == len(chunk):
        return chunk
    padded = np.zeros((size, *chunk.shape[1:]), chunk.dtype)
    padded[: len(chunk)] = chunk
    return padded


def _described(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"{each.name} {each.shape} {each.dtype}".replace("None", "any") for each in ports)


def _cores() -> int:
    return len(os.sched_getaffinity(0))  # not os.cpu_count(): a container may have fewer
