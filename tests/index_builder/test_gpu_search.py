"""The owner's thread over indexes of the CPU, held to a GPU's rules; the policies with the FAISS there is."""

import logging
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_builder.gpu_search import LIMIT, GpuSearch, built_for_gpus, count_gpus, fault, open_search
from index_builder.search import FlatSearch
from model.errors import NoAccelerator, NotReady
from model.runtime.accelerator import Accelerator

DIM = 6
MANY = 3 * LIMIT + 1
DETERMINISTIC = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def drawn(seed: int, *shape: int) -> NDArray[np.float32]:
    return unit(np.random.default_rng(seed).standard_normal(shape, np.float32))


def indexed(vectors: NDArray[np.float32]) -> Any:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


class Strict:
    """An index that a GPU's rules hold for: one thread, one search at a time, `LIMIT` rows, no mask."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.inner = indexed(vectors)
        self.ntotal = self.inner.ntotal
        self.threads: set[int] = set()
        self.asked: list[tuple[int, int]] = []  # queries, rows
        self.open = threading.Event()  # a search waits for it
        self.open.set()
        self.begun = threading.Event()
        self.broken = False
        self.busy = threading.Lock()

    def search(self, queries: NDArray[np.float32], count: int) -> Any:
        assert self.busy.acquire(blocking=False), "two searches at once"
        try:
            self.begun.set()
            assert self.open.wait(30)
            self.threads.add(threading.get_ident())
            self.asked.append((len(queries), count))
            assert 0 < count <= min(LIMIT, self.ntotal)
            if self.broken:
                raise RuntimeError("CUDA error 2 out of memory")
            return self.inner.search(queries, count)
        finally:
            self.busy.release()


def owned(vectors: NDArray[np.float32]) -> tuple[GpuSearch, Strict]:
    index = Strict(vectors)
    return GpuSearch(index, FlatSearch(vectors), "cuda:0"), index


# What it finds


@DETERMINISTIC
@given(
    n=st.integers(1, 40),
    count=st.integers(0, 50),
    share=st.sampled_from([None, 0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_it_is_numpy(n: int, count: int, share: float | None, seed: int) -> None:
    vectors, query = drawn(seed, n, DIM), drawn(seed + 1, DIM)
    allowed = None if share is None else np.random.default_rng(seed).random(n) < share
    search, index = owned(vectors)
    cosines, rows = search.nearest(query, count, allowed)
    search.close()
    exact = vectors @ query
    inside = np.arange(n) if allowed is None else np.flatnonzero(allowed)
    assert rows.tolist() == inside[np.argsort(-exact[inside], kind="stable")][:count].tolist()
    assert np.allclose(cosines, exact[rows], atol=1e-6)
    assert (cosines.dtype, rows.dtype) == (np.float32, np.int64)
    assert bool(index.asked) == (min(count, len(inside)) > 0)


@pytest.mark.parametrize(
    ("count", "share", "on_gpu"),
    [
        (LIMIT, None, True),
        (LIMIT + 1, None, False),
        (MANY, None, False),  # as an evaluation asks
        (10 * MANY, None, False),
        (LIMIT, 1.0, True),
        (LIMIT // 3, 0.5, True),
        (LIMIT // 2 + 200, 0.5, False),  # LIMIT rows hold too few, however lucky
        (640, 0.01, False),
        (1, 1 / MANY, False),
    ],
)
def test_what_a_gpu_cannot_give_comes_from_the_cpu(count: int, share: float | None, on_gpu: bool) -> None:
    vectors, query = drawn(1, MANY, DIM), drawn(2, DIM)
    allowed = None if share is None else np.arange(MANY) % round(1 / share) == 0
    search, index = owned(vectors)
    cosines, rows = search.nearest(query, count, allowed)
    expected = FlatSearch(vectors).nearest(query, count, allowed)
    assert np.allclose(cosines, expected[0], atol=1e-6)
    assert np.array_equal(rows, expected[1])
    assert bool(index.asked) == on_gpu


def test_a_mask_that_strikes_out_the_nearest_is_answered_whole() -> None:
    """Half of the rows are allowed, and all of them lie behind the others: the first look finds none."""
    vectors, query = drawn(1, MANY, DIM), drawn(2, DIM)
    allowed = vectors @ query < np.median(vectors @ query)
    search, index = owned(vectors)
    cosines, rows = search.nearest(query, 100, allowed)
    expected = FlatSearch(vectors).nearest(query, 100, allowed)
    assert np.array_equal(rows, expected[1])
    assert np.array_equal(cosines, expected[0])
    assert index.asked == [(1, LIMIT)]


def test_other_dtypes_of_a_query_are_taken() -> None:
    vectors = drawn(1, 9, DIM)
    search, _ = owned(vectors)
    assert search.nearest(vectors[4].astype(np.float64), 1, None)[1].tolist() == [4]


# The owner


def test_eight_threads_share_one_owner() -> None:
    vectors = drawn(1, MANY, DIM)
    search, index = owned(vectors)
    exact = FlatSearch(vectors)

    def ask(seed: int) -> bool:
        query, count = drawn(seed, DIM), 1 + seed * 37 % 900
        allowed = None if seed % 3 else np.random.default_rng(seed).random(MANY) < 0.6
        found, expected = search.nearest(query, count, allowed), exact.nearest(query, count, allowed)
        return bool(np.allclose(found[0], expected[0], atol=1e-6)) and np.array_equal(found[1], expected[1])

    with ThreadPoolExecutor(8) as askers:
        assert all(askers.map(ask, range(120)))
    assert len(index.threads) == 1
    assert threading.get_ident() not in index.threads
    assert sum(queries for queries, _ in index.asked) == 120


def test_those_that_wait_share_one_search() -> None:
    vectors = drawn(1, 50, DIM)
    search, index = owned(vectors)
    index.open.clear()
    with ThreadPoolExecutor(6) as askers:
        first = askers.submit(search.nearest, vectors[7], 3, None)
        assert index.begun.wait(30)
        counts = (5, 1, 4, 2, 3)
        others = [askers.submit(search.nearest, vectors[count], count, None) for count in counts]
        until(lambda: search._waiting is not None and len(search._waiting.queries) == 5)
        index.open.set()
        assert first.result()[1][0] == 7
        for count, other in zip(counts, others, strict=True):
            rows = FlatSearch(vectors).nearest(vectors[count], count, None)[1]
            assert np.array_equal(other.result()[1], rows)
    assert index.asked == [(1, 3), (5, 5)]


def test_an_error_reaches_everybody_who_asked_and_ends_nothing() -> None:
    vectors = drawn(1, 50, DIM)
    search, index = owned(vectors)
    index.broken = True
    index.open.clear()
    with ThreadPoolExecutor(3) as askers:
        asked = [askers.submit(search.nearest, vectors[i], 1, None) for i in range(3)]
        index.open.set()
        for one in asked:
            with pytest.raises(RuntimeError, match="out of memory"):
                one.result()
    index.broken = False
    assert search.nearest(vectors[3], 1, None)[1].tolist() == [3]
    search.close()


def test_a_query_of_another_length_is_refused_as_faiss_refuses_it() -> None:
    vectors = drawn(1, 50, DIM)
    search = GpuSearch(indexed(vectors), FlatSearch(vectors), "cuda:0")
    with pytest.raises(AssertionError):
        search.nearest(drawn(1, DIM + 1), 1, None)
    search.close()


def test_closing_answers_who_waits_and_frees_the_index() -> None:
    vectors, before = drawn(1, 50, DIM), owners()
    search, index = owned(vectors)
    index.open.clear()
    with ThreadPoolExecutor(2) as askers:
        waiting = askers.submit(search.nearest, vectors[7], 1, None)
        assert index.begun.wait(30)
        closing = askers.submit(search.close)
        until(lambda: search._closed)
        with pytest.raises(NotReady, match="ask again"):
            search.nearest(vectors[0], 1, None)
        index.open.set()
        closing.result()
        assert waiting.result()[1].tolist() == [7]
    held = weakref.ref(index)
    del index
    assert held() is None
    search.close()  # a second time changes nothing
    assert owners() <= before


def test_dropping_it_ends_its_thread() -> None:
    """A snapshot is dropped by the last request that holds it; nobody closes it."""
    vectors, before = drawn(1, 50, DIM), owners()
    search, index = owned(vectors)
    search.nearest(vectors[0], 1, None)
    held = weakref.ref(index)
    assert len(owners() - before) == 1
    del search, index
    until(lambda: owners() <= before)
    assert held() is None


def until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def owners() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name.startswith("gpu-search")}


# The self-test


@pytest.mark.parametrize("n", [0, 1, 2, 300, LIMIT + 9])
def test_an_index_that_is_right_has_no_fault(n: int) -> None:
    vectors = drawn(3, n, 32)
    assert fault(indexed(vectors), FlatSearch(vectors), vectors) == ""


def test_equal_rows_are_no_fault() -> None:
    vectors = np.repeat(drawn(3, 40, 32), 10, axis=0)
    backwards = indexed(np.ascontiguousarray(vectors[::-1]))  # the same cosines at other rows
    assert fault(backwards, FlatSearch(vectors[::-1]), vectors[::-1]) == ""
    assert fault(indexed(vectors), FlatSearch(vectors), vectors) == ""


def rounded(vectors: NDArray[np.float32]) -> Any:
    """To half precision: 11 bits of significand, as many as a tensor core keeps of float32 (TF32)."""
    index = faiss.IndexScalarQuantizer(
        vectors.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.train(vectors)
    index.add(vectors)
    return index


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (rounded, "not those of the CPU"),
        (lambda vectors: indexed(np.roll(vectors, 1, axis=0)), "not those of the CPU"),
        (lambda vectors: indexed(vectors * np.float32(np.nan)), "rows"),
        (lambda vectors: indexed(vectors[:-1]), "rows twice or not at all"),
        (lambda vectors: indexed(np.vstack([vectors[1:], np.zeros((1, 32), np.float32)])), "not those of"),
    ],
)
def test_an_index_that_is_wrong_has_one(wrong: Any, said: str) -> None:
    vectors = drawn(3, 300, 32)
    assert said in fault(wrong(vectors), FlatSearch(vectors), vectors)


# The policies, with the FAISS that is installed here

cpu_build = pytest.mark.skipif(built_for_gpus(), reason="the FAISS here is built for GPUs")
gpu_build = pytest.mark.skipif(not built_for_gpus(), reason="the FAISS here is built for CPUs: needs [cuda]")
no_gpu = pytest.mark.skipif(count_gpus() > 0, reason="there is a GPU here")
a_gpu = pytest.mark.skipif(count_gpus() == 0, reason="FAISS sees no GPU here")


def test_the_cpu_is_where_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    assert open_search(drawn(1, 9, DIM), Accelerator("cpu")).device == "cpu"
    assert caplog.records == []


@no_gpu
def test_preferring_a_gpu_ends_on_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    vectors = drawn(1, 9, DIM)
    with caplog.at_level(logging.INFO, "yuyin"):
        search = open_search(vectors, Accelerator("prefer"))
    assert search.device == "cpu"
    assert search.nearest(vectors[4], 1, None)[1].tolist() == [4]
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(told) == built_for_gpus()
    assert all("no NVIDIA GPU" in record.getMessage() for record in told)
    assert not any("=prefer" in record.getMessage() for record in told)


@cpu_build
def test_requiring_a_gpu_of_the_cpu_build_is_refused() -> None:
    with pytest.raises(NoAccelerator, match=r"required.*built without.*pip install -e '\.\[cuda\]'.*=prefer"):
        open_search(drawn(1, 9, DIM), Accelerator("require"))


@gpu_build
@no_gpu
@pytest.mark.parametrize("device", [0, 3])
def test_requiring_a_gpu_where_there_is_none_is_refused(device: int) -> None:
    with pytest.raises(NoAccelerator, match=r"required.*no NVIDIA GPU.*driver.*--gpus all.*=prefer"):
        open_search(drawn(1, 9, DIM), Accelerator("require", device=device))


@a_gpu
def test_on_a_real_gpu() -> None:
    vectors = drawn(1, MANY, 256)
    search = open_search(vectors, Accelerator("require"))
    assert search.device == "cuda:0"
    allowed = np.arange(MANY) % 2 == 0
    for seed in range(20):
        for mask, count in ((None, LIMIT), (None, MANY), (allowed, 640)):
            found = search.nearest(drawn(seed, 256), count, mask)
            expected = FlatSearch(vectors).nearest(drawn(seed, 256), count, mask)
            assert np.allclose(found[0], expected[0], atol=1e-5)
            assert mask is None or mask[found[1]].all()
    with pytest.raises(NoAccelerator, match="number 99"):
        open_search(vectors, Accelerator("require", device=99))
