"""Batches across requests: whose turn it is as pure rules, the rest with real threads and real networks."""

import asyncio
import gc
import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from starlette.requests import ClientDisconnect

from model.errors import Corrupt, NotReady, Overloaded
from model.runtime.accelerator import Accelerator
from model.runtime.graph_network import GraphNetwork
from service.serving.batching import Batcher, Call, Queue, batched
from service.serving.workers import CLIENT_LEFT, Workers

SOON_S = 10.0  # never waited for in full, unless something is broken


def items(b: int, owner: int = 0, width: int = 2) -> np.ndarray:
    """Items that say whose they are and which."""
    x = np.zeros((b, width), np.float32)
    x[:, 0], x[:, 1] = owner, np.arange(b)
    return x


# Whose turn it is


def served(queue: Queue, call: Call, *, within: int) -> int:
    """Batches until the last item of a call is in one."""
    for batch in range(1, within + 1):
        if any(share.call is call and share.end == len(call.x) for share in queue.take()):
            return batch
    return within + 1


class Played:
    """A queue, and what came out of it so far."""

    def __init__(self, max_batch: int, max_items: int) -> None:
        self.queue = Queue(max_batch, max_items)
        self.done: dict[Call, int] = {}
        self.dropped: set[Call] = set()
        self._max_batch, self._max_items = max_batch, max(max_items, 2 * max_batch)

    def step(self, what: Any) -> None:
        match what:
            case int():
                call = Call(items(what))
                self.done[call] = 0
                self.queue.add(call)
            case ("drop", which) if self.done:
                call = list(self.done)[which % len(self.done)]
                self.dropped.add(call)
                self.queue.drop(call)
            case "take" if self.queue.items:
                self.take()
        assert self.queue.items <= self._max_items
        assert (self.queue.items > 0) == bool(self.queue.calls)

    def take(self) -> None:
        expected = min(self._max_batch, self.queue.items)
        shares = self.queue.take()
        assert sum(share.end - share.begin for share in shares) == expected
        assert len({share.call for share in shares}) == len(shares)
        for share in shares:
            assert share.call not in self.dropped
            assert share.begin == self.done[share.call]
            self.done[share.call] = share.end


@given(
    max_batch=st.integers(1, 9),
    max_items=st.integers(1, 40),
    steps=st.lists(
        st.one_of(st.integers(1, 30), st.just("take"), st.tuples(st.just("drop"), st.integers(0, 99)))
    ),
)
@settings(deadline=None)
def test_every_item_is_taken_once_and_in_order(max_batch: int, max_items: int, steps: list[Any]) -> None:
    played = Played(max_batch, max_items)
    for step in steps:
        played.step(step)
    while played.queue.items:
        played.take()
    assert all(done == len(call.x) for call, done in played.done.items() if call not in played.dropped)


@given(
    max_batch=st.integers(1, 32),
    m=st.integers(1, 70),
    others=st.lists(st.integers(1, 10_000), max_size=40),
    later=st.lists(st.integers(1, 10_000), max_size=5),
)
@settings(deadline=None)
def test_with_room_for_all_a_call_is_served_by_its_own_size(
    max_batch: int, m: int, others: list[int], later: list[int]
) -> None:
    queue, call = Queue(max_batch, 10**9), Call(items(m))
    for each in others:
        queue.add(Call(items(each)))
    queue.add(call)
    for each in later:
        queue.add(Call(items(each)))
    n = len(others) + 1 + len(later)
    parts = [min(max_batch, m - begin) for begin in range(0, m, max_batch)]
    if n <= max_batch:
        bound = sum(math.ceil(part / (max_batch // n)) for part in parts)
    else:
        bound = m * math.ceil(n / max_batch)
    assert served(queue, call, within=bound) <= bound


@given(data=st.data(), max_batch=st.integers(1, 32), rounds=st.integers(2, 4))
@settings(deadline=None)
def test_without_room_it_waits_one_batch_more_for_each_of_the_others(
    data: st.DataObject, max_batch: int, rounds: int
) -> None:
    others = data.draw(st.lists(st.integers(1, 10_000), max_size=max_batch - 1))
    begun = data.draw(st.integers(0, 5))
    m = data.draw(st.integers(1, max_batch))
    queue, call = Queue(max_batch, rounds * max_batch), Call(items(m))
    for each in others:
        queue.add(Call(items(each)))
    for _ in range(begun):
        if queue.items:
            queue.take()
    queue.add(call)
    n = len(others) + 1
    bound = n - 1 + math.ceil(m / (max_batch // n))
    assert served(queue, call, within=bound) <= bound


def test_a_long_video_before_a_short_one_costs_it_two_batches_where_it_would_be_twenty() -> None:
    queue, short = Queue(32, 256), Call(items(10))
    queue.add(Call(items(600)))
    queue.add(short)
    assert served(queue, short, within=20) == 1
    queue, short = Queue(32, 64), Call(items(10))
    for _ in range(2):
        queue.add(Call(items(600)))
    queue.add(short)
    assert queue.waiting == 1
    assert served(queue, short, within=40) == 2


def test_items_of_another_shape_or_type_share_no_batch_and_get_their_turn() -> None:
    queue = Queue(4, 64)
    kinds = [items(3), items(3, width=5), items(3).astype(np.float16), items(3)]
    for x in kinds:
        queue.add(Call(x))
    batches = [[share.call.kind for share in queue.take()] for _ in range(4)]
    assert all(len(set(batch)) == 1 for batch in batches)
    assert len({batch[0] for batch in batches[:3]}) == 3
    assert queue.items == 0


# With threads


class Recording:
    """Doubles its input, slowly if told to, and notes what it was given by which thread."""

    def __init__(self, slow_s: float = 0.0) -> None:
        self.batches: list[np.ndarray] = []
        self.threads: set[int] = set()
        self.begun = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self._slow_s = slow_s

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.batches.append(x.copy())
        self.threads.add(threading.get_ident())
        self.begun.release()
        assert self.gate.wait(SOON_S)
        time.sleep(self._slow_s)
        if (x < 0).any():
            raise ArithmeticError("a poisoned item")
        return 2 * x

    def seen(self, owner: int) -> int:
        return sum(int((batch[:, 0] == owner).sum()) for batch in self.batches)


@contextmanager
def running(network: Any, **options: Any) -> Iterator[Batcher]:
    batcher = Batcher(network, **{"max_batch": 4, "wait_ms": 1} | options)
    try:
        yield batcher
    finally:
        if isinstance(network, Recording):
            network.gate.set()
        batcher.close()


@contextmanager
def callers(count: int = 16) -> Iterator[Callable[..., Future[Any]]]:
    """`ask(batcher, x, left=None)` in a thread of its own, as a request thread would."""

    def work(batcher: Batcher, x: np.ndarray, left: threading.Event | None) -> np.ndarray:
        token = CLIENT_LEFT.set(left)
        try:
            return batcher(x)
        finally:
            CLIENT_LEFT.reset(token)

    with ThreadPoolExecutor(count) as pool:
        yield lambda batcher, x, left=None: pool.submit(work, batcher, x, left)


def until(true: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + SOON_S
    while not true():
        assert time.monotonic() < ends_s
        time.sleep(0.001)


@given(
    sizes=st.lists(st.integers(0, 23), min_size=1, max_size=12),
    max_batch=st.integers(1, 8),
    max_items=st.integers(1, 60),
    wait_ms=st.sampled_from([0.0, 1.0, 5.0]),
    slow_s=st.sampled_from([0.0, 0.001]),
)
@settings(max_examples=30, deadline=None)
def test_every_caller_gets_exactly_its_rows(
    sizes: list[int], max_batch: int, max_items: int, wait_ms: float, slow_s: float
) -> None:
    network = Recording(slow_s)
    options = {"max_batch": max_batch, "max_items": max_items, "wait_ms": wait_ms}
    with running(network, **options) as batcher, callers(len(sizes)) as ask:
        asked = [(ask(batcher, items(b, i)), items(b, i)) for i, b in enumerate(sizes)]
        for answer, x in asked:
            np.testing.assert_array_equal(answer.result(SOON_S), 2 * x)
    computed = [each for each in network.batches if len(each)]
    assert all(len(batch) <= max_batch for batch in computed)
    assert sum(map(len, computed)) == sum(sizes)


def test_one_thread_alone_calls_the_network() -> None:
    network = Recording()
    with running(network) as batcher, callers() as ask:
        for answer in [ask(batcher, items(5, i)) for i in range(8)]:
            answer.result(SOON_S)
        assert len(network.threads) == 1
        assert threading.get_ident() not in network.threads


def test_a_full_batch_does_not_wait_for_more() -> None:
    network = Recording()
    with running(network, wait_ms=1000 * 60) as batcher, callers() as ask:
        first, second = ask(batcher, items(2, 1)), ask(batcher, items(2, 2))
        first.result(SOON_S)
        second.result(SOON_S)
    (batch,) = network.batches
    assert sorted(batch[:, 0]) == [1, 1, 2, 2]


def test_one_that_is_not_full_waits_for_others_and_not_for_ever() -> None:
    network = Recording()
    with running(network, max_batch=64, wait_ms=150) as batcher, callers() as ask:
        began_s = time.monotonic()
        answers = [ask(batcher, items(3, i)) for i in range(4)]
        for answer in answers:
            answer.result(SOON_S)
        assert time.monotonic() - began_s >= 0.15
    assert len(network.batches) == 1


def test_while_a_batch_runs_the_next_one_fills() -> None:
    network = Recording()
    network.gate.clear()
    with running(network, wait_ms=0) as batcher, callers() as ask:
        first = ask(batcher, items(1, 0))
        network.begun.acquire()
        rest = [ask(batcher, items(1, i)) for i in range(1, 5)]
        until(lambda: batcher._queue.items == 4)
        network.gate.set()
        for answer in [first, *rest]:
            answer.result(SOON_S)
    assert [len(batch) for batch in network.batches] == [1, 4]


def test_a_short_video_overtakes_a_long_one() -> None:
    """It comes while one batch runs: then two more at most, ceil(10 / (32 // 2)) + 1, where 18 wait."""
    network = Recording()
    network.gate.clear()
    with running(network, max_batch=32) as batcher, callers() as ask:
        long = ask(batcher, items(600, 1))
        network.begun.acquire()
        short = ask(batcher, items(10, 2))
        until(lambda: len(batcher._queue.calls) == 2)
        network.gate.set()
        short.result(SOON_S)
        long.result(SOON_S)
    with_short = [i for i, batch in enumerate(network.batches) if (batch[:, 0] == 2).any()]
    assert max(with_short) <= 2
    assert len(network.batches) == math.ceil(610 / 32)


def test_who_has_left_is_not_computed_for() -> None:
    network, left = Recording(), threading.Event()
    network.gate.clear()
    with running(network) as batcher, callers() as ask:
        stays = ask(batcher, items(4, 1))
        network.begun.acquire()
        leaves, other = ask(batcher, items(9, 2), left), ask(batcher, items(2, 3))
        until(lambda: len(batcher._queue.calls) == 2)
        left.set()
        with pytest.raises(ClientDisconnect):
            leaves.result(SOON_S)  # while the network is still at work for another
        assert len(batcher._queue.calls) == 1
        network.gate.set()
        np.testing.assert_array_equal(stays.result(SOON_S), 2 * items(4, 1))
        np.testing.assert_array_equal(other.result(SOON_S), 2 * items(2, 3))
    assert network.seen(2) == 0


def test_who_leaves_in_the_middle_takes_the_rest_along() -> None:
    network, left = Recording(), threading.Event()
    network.gate.clear()
    with running(network) as batcher, callers() as ask:
        leaves = ask(batcher, items(100, 2), left)
        network.begun.acquire()
        left.set()
        with pytest.raises(ClientDisconnect):
            leaves.result(SOON_S)
        assert batcher._queue.calls == []
        network.gate.set()
        np.testing.assert_array_equal(ask(batcher, items(3, 1)).result(SOON_S), 2 * items(3, 1))
    assert network.seen(2) == 4


def test_who_had_left_before_is_dropped_before_the_next_batch() -> None:
    network, left = Recording(), threading.Event()
    left.set()
    with running(network, wait_ms=0) as batcher, callers() as ask, pytest.raises(ClientDisconnect):
        ask(batcher, items(3, 2), left).result(SOON_S)
    assert network.batches == []


def test_a_request_whose_client_leaves_frees_its_batches() -> None:
    """Through the service's own pool: `Workers` notices, the network in between knows of neither."""
    network, workers, gone = Recording(), Workers(2, 0), threading.Event()
    network.gate.clear()

    async def left() -> bool:
        return gone.is_set()

    async def stayed() -> bool:
        return False

    async def both(batcher: Batcher) -> np.ndarray:
        stays = asyncio.create_task(workers.run(lambda: batcher(items(4, 1)), stayed))
        await asyncio.to_thread(network.begun.acquire)
        leaves = asyncio.create_task(workers.run(lambda: batcher(items(50, 2)), left))
        await asyncio.to_thread(until, lambda: len(batcher._queue.calls) == 1)
        gone.set()
        with pytest.raises(ClientDisconnect):
            await leaves
        network.gate.set()
        return await stays

    with running(network) as batcher:
        np.testing.assert_array_equal(asyncio.run(both(batcher)), 2 * items(4, 1))
    workers.close()
    assert network.seen(2) == 0


def test_a_full_queue_makes_callers_wait_and_a_long_line_refuses_them() -> None:
    network = Recording()
    network.gate.clear()
    with running(network, max_items=8, max_waiting=3) as batcher, callers() as ask:
        answers = [ask(batcher, items(4, 0))]
        network.begun.acquire()
        for i in range(1, 6):  # two in the queue, three in the line
            answers.append(ask(batcher, items(4, i)))
            until(lambda i=i: len(batcher._queue.calls) == i)
            assert batcher._queue.items <= 8
        assert batcher._queue.waiting == 3
        with pytest.raises(Overloaded, match="3 requests wait for the accelerator already"):
            ask(batcher, items(1, 9)).result(SOON_S)
        network.gate.set()
        for i, answer in enumerate(answers):
            np.testing.assert_array_equal(answer.result(SOON_S), 2 * items(4, i))
        np.testing.assert_array_equal(batcher(items(1, 9)), 2 * items(1, 9))


def test_closing_tells_who_waits_and_finishes_what_runs() -> None:
    network = Recording()
    network.gate.clear()
    batcher = Batcher(network, max_batch=4, wait_ms=1)
    with callers() as ask:
        runs = ask(batcher, items(4, 1))
        network.begun.acquire()
        waits = [ask(batcher, items(b, 2)) for b in (1, 30)]
        until(lambda: len(batcher._queue.calls) == 2)
        closing = threading.Thread(target=batcher.close)
        closing.start()
        until(lambda: batcher._closed)
        network.gate.set()
        closing.join(SOON_S)
        np.testing.assert_array_equal(runs.result(SOON_S), 2 * items(4, 1))
        for answer in waits:
            with pytest.raises(NotReady, match="stopping"):
                answer.result(SOON_S)
    with pytest.raises(NotReady, match="stopping"):
        batcher(items(1))
    batcher.close()  # again
    assert network.seen(2) == 0
    until(lambda: not own_threads())


def own_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name in ("yuyin-batches", "yuyin-network_0")]


def test_it_may_be_closed_from_within() -> None:
    """As by a finalizer, which runs in whatever thread collects garbage."""
    batcher = Batcher(lambda x: (batcher.close(), 2 * x)[1], max_batch=4, wait_ms=1)
    np.testing.assert_array_equal(batcher(items(3)), 2 * items(3))
    with pytest.raises(NotReady):
        batcher(items(3))
    until(lambda: not own_threads())


def test_closing_waits_for_nothing() -> None:
    """A finalizer may run on the event loop, or in a thread that holds what the batch waits for."""
    network = Recording()
    network.gate.clear()
    batcher = Batcher(network, max_batch=4, wait_ms=1)
    with callers() as ask:
        runs = ask(batcher, items(4, 1))
        network.begun.acquire()
        batcher.close()
        assert not runs.done()
        network.gate.set()
        np.testing.assert_array_equal(runs.result(SOON_S), 2 * items(4, 1))
    until(lambda: not own_threads())


def test_where_no_thread_can_be_started_callers_are_told() -> None:
    left = threading.Event()
    with running(Recording()) as batcher, callers() as ask:
        batcher._owner.shutdown()  # as the system refuses a thread: RuntimeError from `submit`
        try:
            for _ in range(2):
                with pytest.raises(RuntimeError, match="cannot schedule"):
                    ask(batcher, items(3), left).result(SOON_S)
        finally:
            left.set()


class Owner:
    """Whoever holds a batcher, and forgets it."""


def test_it_ends_with_the_last_who_holds_it() -> None:
    owner, batcher = Owner(), Batcher(Recording(), max_batch=4, wait_ms=1)
    weakref.finalize(owner, batcher.close)
    np.testing.assert_array_equal(batcher(items(3)), 2 * items(3))
    del owner
    with pytest.raises(NotReady):
        batcher(items(3))
    until(lambda: not own_threads())


def test_an_error_reaches_those_of_its_batch_and_no_other() -> None:
    network = Recording()
    network.gate.clear()
    with running(network, max_batch=4, wait_ms=0) as batcher, callers() as ask:
        before = ask(batcher, items(1, 1))
        network.begun.acquire()
        poisoned = items(9, 2)
        poisoned[0, 1] = -1
        culprit = ask(batcher, poisoned)
        until(lambda: len(batcher._queue.calls) == 1)
        beside = ask(batcher, items(2, 3))
        until(lambda: len(batcher._queue.calls) == 2)
        waits = ask(batcher, items(2, 5, width=3))  # of another shape: for the batch after it
        until(lambda: len(batcher._queue.calls) == 3)
        network.gate.set()
        np.testing.assert_array_equal(before.result(SOON_S), 2 * items(1, 1))
        np.testing.assert_array_equal(waits.result(SOON_S), 2 * items(2, 5, width=3))
        for answer in (culprit, beside):
            with pytest.raises(ArithmeticError, match="poisoned"):
                answer.result(SOON_S)
        np.testing.assert_array_equal(ask(batcher, items(5, 4)).result(SOON_S), 2 * items(5, 4))
    assert network.seen(2) == 2  # of nine: nothing of it is computed after its batch has failed


@pytest.mark.parametrize("first", [0, -1])
def test_nothing_of_a_request_is_kept_after_its_answer(first: int) -> None:
    """Not by a cycle through its error either: a video of minutes is a gigabyte."""
    x = items(3)
    x[0, 1] = first
    kept = weakref.ref(x)
    gc.disable()
    try:
        with running(Recording()) as batcher:
            with suppress(ArithmeticError):
                batcher(x)
            del x
            until(lambda: kept() is None)
    finally:
        gc.enable()


def test_a_network_that_loses_rows_is_at_fault() -> None:
    with running(lambda x: x[1:]) as batcher, pytest.raises(Corrupt, match=r"gave \(2, 2\) for 3 items"):
        batcher(items(3))


# Over a real graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """(b, 3, 12, 12) to (b, 6): a convolution, ReLU, the mean over the picture."""
    kernel = np.random.default_rng(0).standard_normal((6, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("ReduceMean", ["r"], ["features"], axes=[2, 3], keepdims=0),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, 12, 12])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["b", 6])
    made = helper.make_graph(nodes, "conv", [x], [features], [numpy_helper.from_array(kernel, "w")])
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


class OnGpu:
    """The same network, which says that it runs on a GPU."""

    provider = "cuda"

    def __init__(self, network: GraphNetwork) -> None:
        self.max_batch = network.max_batch
        self._network = network

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self._network(x)


@given(sizes=st.lists(st.integers(0, 20), min_size=2, max_size=8))
@settings(max_examples=15, deadline=None)
def test_batched_features_are_those_of_each_request_alone(graph: Path, sizes: list[int]) -> None:
    network = GraphNetwork(graph, Accelerator("cpu"), max_batch=8)
    rng = np.random.default_rng(len(sizes))
    videos = [rng.standard_normal((b, 3, 12, 12)).astype(np.float32) for b in sizes]
    batcher = batched(OnGpu(network), wait_ms=2)
    assert isinstance(batcher, Batcher)
    with callers(len(videos)) as ask:
        for answer, video in [(ask(batcher, video), video) for video in videos]:
            np.testing.assert_allclose(answer.result(SOON_S), network(video), atol=1e-4)
    batcher.close()


def test_on_a_cpu_it_steps_aside(graph: Path) -> None:
    network = GraphNetwork(graph, Accelerator("cpu"))
    before = set(threading.enumerate())  # not their number: threads of earlier tests may end meanwhile
    assert batched(network, wait_ms=2) is network
    assert set(threading.enumerate()) <= before
