"""Embeddings and an accelerator in, an exact search on the device that it allows out.

On a GPU, FAISS scans all rows as on the CPU, with three differences (faiss-gpu 1.15, read in its wheel):

* It finds at most `LIMIT` rows at a time.
* It ignores a mask without a word, so none is handed to it: rows are struck out of what it found. What is
  left are the nearest of the allowed rows, since every row that it did not find lies behind those it found.
* Its indexes are not thread-safe: one thread owns the index, and queries that wait share one scan.

Whoever wants more than that can give is answered by the CPU, over the same rows. Two devices may order equal
cosines differently. `rank` does not mind: it takes rows for a set of tracks, fits those again in float64,
and reads on while a track that it has not seen could tie with the last one.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from index_builder.search import SLACK, FlatSearch, PlacedSearch
from model.errors import NoAccelerator, NotReady
from model.runtime.accelerator import INSTALL, Accelerator

log = logging.getLogger("yuyin.search")

LIMIT = 2048  # getMaxKSelection of faiss-gpu without cuVS; more is an error there
TRIALS = 8  # queries of the self-test
TEMPORARY_BYTES = 64 << 20  # of the GPU for intermediate results; FAISS would take 1.5 GiB from the networks

Found = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(slots=True)
class _Batch:
    """Queries that wait for the owner together."""

    answer: "Future[Found]" = field(init=False)  # (b, count) each
    queries: list[NDArray[np.float32]] = field(default_factory=list)
    count: int = 0


class GpuSearch:
    """Exact search on one GPU. Every method may be called from any thread.

    Dropping the last reference ends the owner and frees the GPU's memory; `close` does so now.
    """

    def __init__(self, index: Any, exact: FlatSearch, device: str) -> None:
        """Take over an index.

        Args:
            index: of FAISS, by inner product, over n rows; nobody else may use it from now on.
            exact: over the same rows on the CPU.
            device: where the index is, such as "cuda:0".
        """
        self.device = device
        self._index = index
        self._total = int(index.ntotal)
        self._exact = exact
        self._owner = ThreadPoolExecutor(1, thread_name_prefix="gpu-search")
        self._lock = Lock()
        self._waiting: _Batch | None = None
        self._closed = False

    def nearest(self, query: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None) -> Found:
        """See `Search`; raises `NotReady` after `close`, and what FAISS raises, such as RuntimeError."""
        inside = self._total if allowed is None else int(allowed.sum())
        wanted = min(count, inside)
        if wanted == 0:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        if wanted * self._total > LIMIT * inside:  # LIMIT rows hold fewer allowed ones, if all are alike
            return self._exact.nearest(query, count, allowed)
        cosines, rows = self._ask(query, wanted if allowed is None else min(self._total, LIMIT))
        kept = rows >= 0 if allowed is None else (rows >= 0) & allowed[rows]
        if kept.sum() < wanted:
            return self._exact.nearest(query, count, allowed)
        return cosines[kept][:wanted], rows[kept][:wanted]

    def close(self) -> None:
        """Answer who waits, end the owner and free the GPU's memory; nothing can be asked afterwards."""
        with self._lock:
            self._closed = True
        self._owner.shutdown()
        self._index = None

    def _ask(self, query: NDArray[np.float32], count: int) -> Found:
        """Join the queries that wait, or be the first; an error of their scan is raised in each asker."""
        with self._lock:
            if self._closed:
                raise NotReady(
                    "this search is closed, since its snapshot is not in force any more: ask again"
                )
            batch = self._waiting
            if batch is None:
                batch = _Batch()
                batch.answer = self._owner.submit(self._answer, batch)
                self._waiting = batch
            place = len(batch.queries)
            batch.queries.append(query)
            batch.count = max(batch.count, count)
        cosines, rows = batch.answer.result()
        return cosines[place, :count], rows[place, :count]

    def _answer(self, batch: _Batch) -> Found:
        """One scan for all of a batch; in the owner's thread."""
        with self._lock:
            self._waiting = None  # who comes from now on waits for the next
        found: Found = self._index.search(np.stack(batch.queries).astype(np.float32), batch.count)
        return found


def open_search(embeddings: NDArray[np.float32], accelerator: Accelerator) -> PlacedSearch:
    """Index unit rows where the policy says.

    Args:
        embeddings: (n, d).
        accelerator: its policy and its device count here.

    Raises:
        NoAccelerator: if a GPU is required and there is none, or it does not find what the CPU finds.
    """
    exact = FlatSearch(embeddings)
    if accelerator.policy == "cpu":
        return exact
    try:
        return open_on_gpu(embeddings, exact, accelerator.device)
    except NoAccelerator as error:
        if accelerator.policy == "require":
            raise NoAccelerator(f"a GPU is required, and {error}, or set YUYIN_ACCELERATOR=prefer") from error
        if built_for_gpus():  # else the operator chose the CPU when installing
            log.warning("the search runs on the CPU: %s", error)
        return exact


def open_on_gpu(embeddings: NDArray[np.float32], exact: FlatSearch, device: int) -> GpuSearch:
    """Index unit rows on one GPU, and compare it with the CPU before anybody asks it.

    Args:
        embeddings: (n, d).
        exact: over the same rows on the CPU.
        device: number of the GPU.

    Raises:
        NoAccelerator: with the reason, if this GPU cannot be searched or searches wrongly.
    """
    if not built_for_gpus():
        raise NoAccelerator(f"this FAISS ({faiss.__version__}) is built without GPUs: {INSTALL}")
    cards = count_gpus()
    if cards == 0:
        raise NoAccelerator(
            "FAISS sees no NVIDIA GPU: install NVIDIA's driver, or give a container the GPU with --gpus all"
        )
    if device >= cards:
        raise NoAccelerator(f"FAISS sees no GPU number {device}: choose one of 0 to {cards - 1}")
    name = f"cuda:{device}"
    try:
        index = _copy(embeddings, device)
        wrong = fault(index, exact, embeddings)
    except RuntimeError as error:
        raise NoAccelerator(f"FAISS cannot search on {name} ({error}): free its memory") from error
    if wrong:
        raise NoAccelerator(f"FAISS must not search on {name}, since {wrong}: try another GPU or driver")
    return GpuSearch(index, exact, name)


def built_for_gpus() -> bool:
    """Whether the FAISS that is imported could use a GPU; the distribution's name may lie."""
    return hasattr(faiss, "GpuIndexFlatIP")


def count_gpus() -> int:
    """How many GPUs FAISS can use."""
    return int(getattr(faiss, "get_num_gpus", lambda: 0)())


def fault(index: Any, exact: FlatSearch, embeddings: NDArray[np.float32]) -> str:
    """What an index does wrong on random queries, alone and together; empty if nothing.

    Cosines and rows have to be those of the CPU but for ties, within the slack on which `rank` relies.

    Args:
        index: of FAISS, over the rows of `embeddings`.
        exact: over the same.
        embeddings: (n, d) unit rows.
    """
    queries = np.random.default_rng(0).standard_normal((TRIALS, embeddings.shape[1]), np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    count = min(LIMIT, len(embeddings))
    for several in (queries, queries[:1]) if count else ():
        for query, cosines, rows in zip(several, *index.search(several, count), strict=True):
            if rows.min() < 0 or len(np.unique(rows)) < count:
                return "it finds rows twice or not at all"
            own = np.einsum("nd,d->n", embeddings[rows].astype(np.float64), query.astype(np.float64))
            off = max(abs(cosines - right).max() for right in (own, exact.nearest(query, count, None)[0]))
            if not off <= SLACK or (np.diff(cosines) > 0).any():
                return f"its cosines are not those of the CPU (off by {off:.1g})"
    return ""


def _copy(embeddings: NDArray[np.float32], device: int) -> Any:
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(TEMPORARY_BYTES)
    config = faiss.GpuIndexFlatConfig()
    config.device = device
    index = faiss.GpuIndexFlatIP(resources, embeddings.shape[1], config)
    index.add(np.ascontiguousarray(embeddings, np.float32))
    return index
