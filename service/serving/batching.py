"""Items of concurrent requests in, their features out, computed in batches that they share; for GPUs only.

On a CPU a batch gains less than a fifth (Inception v3 on two cores), and the cores are shared by requests
anyway. A GPU wants batches, and with one owner of its session the memory of one batch is all that it needs.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect

from model.errors import Corrupt, NotReady, Overloaded
from model.runtime.network import Network
from service.serving.workers import CLIENT_LEFT

LEFT_POLL_S = 0.05  # how soon a request whose client has left stops to wait
ROUNDS = 8  # calls whose items share the queue, each with up to a batch's worth
MOST_WAITING = 64  # calls beyond those


class PlacedNetwork(Network, Protocol):
    """A network that says where it runs, such as `GraphNetwork`."""

    @property
    def provider(self) -> str:
        """`cpu`, or the name of an accelerator."""

    @property
    def max_batch(self) -> int:
        """Most items that it computes at once."""


def nobody(items: int) -> None:
    """Takes the sizes of batches where nobody counts them."""


def batched(
    network: PlacedNetwork, wait_ms: float, told: Callable[[int], None] = nobody
) -> "Network | Batcher":
    """The network itself where it runs on a CPU; else a `Batcher` of it, to be closed in the end."""
    match network.provider:
        case "cpu":
            return network
        case _:
            return Batcher(network, max_batch=network.max_batch, wait_ms=wait_ms, told=told)


@dataclass(eq=False, slots=True)
class Call:
    """The items of one call, and what became of them."""

    x: NDArray[Any]  # (b, ...)
    left: threading.Event | None = None  # set when nobody waits any more
    arrived_s: float = 0.0  # monotonic
    offered: int = 0  # items in the queue
    taken: int = 0  # items given to a batch
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    error: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def kind(self) -> Hashable:
        """Only items of one kind fit into a batch."""
        return self.x.shape[1:], self.x.dtype.str

    @property
    def remaining(self) -> int:
        """Items neither in the queue nor given to a batch yet."""
        return len(self.x) - self.taken - self.offered

    @property
    def unwanted(self) -> bool:
        """Whether its client has left."""
        return self.left is not None and self.left.is_set()

    def end(self, error: BaseException | None = None) -> None:
        """Wake whoever waits for it; the first end counts."""
        if not self.ended.is_set():
            self.error = error
            self.ended.set()


@dataclass(frozen=True, slots=True)
class Share:
    """What of a call goes into a batch."""

    call: Call
    begin: int
    end: int


class Queue:
    """Whose turn it is; no threads, no clock.

    A call has at most one batch's worth of its items in the queue. Those in it take turns, item by item; one
    whose part is used up goes to the end of the line of those who wait for room. So however many items the
    others have, a call of m items among n calls, both at most max_batch, is served within
    ceil(m / (max_batch // n)) batches; among more calls, within m * ceil(n / max_batch). It waits for the
    batch that runs when it comes, and for up to n - 1 more if there is no room. A call of more items than
    max_batch is served as several, one after another.
    """

    def __init__(self, max_batch: int, max_items: int) -> None:
        """A queue of `max_items` >= 2 * `max_batch` items: below that, batches would go out half empty."""
        self._max_batch = max_batch
        self._max_items = max(max_items, 2 * max_batch)
        self._turns: deque[Call] = deque()
        self._line: deque[Call] = deque()
        self.items = 0  # in the queue

    @property
    def calls(self) -> list[Call]:
        """All of them."""
        return [*self._turns, *self._line]

    @property
    def waiting(self) -> int:
        """How many wait for room."""
        return len(self._line)

    @property
    def oldest_s(self) -> float:
        """When the first of those in the queue came; there is one."""
        return min(each.arrived_s for each in self._turns)

    def add(self, call: Call) -> None:
        """Let a call of at least one item in."""
        self._line.append(call)
        self._admit()

    def drop(self, call: Call) -> None:
        """Take a call out, wherever it is."""
        if call in self._turns:
            self._turns.remove(call)
            self.items -= call.offered
        elif call in self._line:
            self._line.remove(call)
        self._admit()

    def take(self) -> list[Share]:
        """The next batch, at most one share of each call, all of the kind of the first."""
        first = self._turns[0].kind
        lanes = [each for each in self._turns if each.kind == first]
        shares = []
        for call, count in zip(lanes, _fair([each.offered for each in lanes], self._max_batch), strict=True):
            if count:
                shares.append(Share(call, call.taken, call.taken + count))
                self._serve(call, count)
        self._admit()
        return shares

    def _serve(self, call: Call, count: int) -> None:
        call.taken += count
        call.offered -= count
        self.items -= count
        self._turns.remove(call)
        if call.offered:
            self._turns.append(call)
        elif call.remaining:
            self._line.append(call)

    def _admit(self) -> None:
        while self._line:
            part = min(self._line[0].remaining, self._max_batch)
            if self.items + part > self._max_items:
                return
            call = self._line.popleft()
            call.offered = part
            self.items += part
            self._turns.append(call)


def _fair(offered: Sequence[int], room: int) -> list[int]:
    """How many items of each call: one of each in turn, until the batch is full or nothing is left."""
    given = [0] * len(offered)
    while room and given != list(offered):
        for i, most in enumerate(offered):
            if room and given[i] < most:
                given[i] += 1
                room -= 1
    return given


class Batcher:
    """A `Network` for many threads over one that only a thread of its own ever calls."""

    def __init__(
        self,
        network: Network,
        *,
        max_batch: int,
        wait_ms: float,
        max_items: int | None = None,
        max_waiting: int = MOST_WAITING,
        told: Callable[[int], None] = nobody,
    ) -> None:
        """Start its threads; `close` ends them.

        Args:
            network: what computes a batch.
            max_batch: most items of a batch.
            wait_ms: how long an item waits for others before a batch goes out that is not full.
            max_items: of all calls in the queue; others wait for room.
            max_waiting: most calls that do; the next is refused.
            told: of the items of each batch.
        """
        self._told = told
        self._network = network
        self._max_batch = max_batch
        self._wait_s = wait_ms / 1000
        self._max_waiting = max_waiting
        self._queue = Queue(max_batch, ROUNDS * max_batch if max_items is None else max_items)
        self._changed = threading.Condition()
        self._closed = False
        # An executor of one thread owns the network: what the network raises comes back as a value.
        self._owner = ThreadPoolExecutor(1, thread_name_prefix="yuyin-network")
        threading.Thread(target=self._serve, name="yuyin-batches", daemon=True).start()

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """(b, ...) to (b, d), b >= 0; waits for its turn.

        Raises:
            Overloaded: if too many wait already.
            ClientDisconnect: if the client has left (`CLIENT_LEFT`).
            NotReady: if the batcher is closed.
            BaseException: what the network raised on a batch with items of this call.
        """
        if len(x) == 0:
            return self._network(x)  # nothing is computed
        call = Call(x, CLIENT_LEFT.get(), time.monotonic())
        self._enter(call)
        while not call.ended.wait(LEFT_POLL_S):
            if call.unwanted:
                self._end([call], ClientDisconnect())
        if call.error is not None:
            try:
                raise call.error
            finally:
                del call  # else it would hold this frame, and this frame it with all its items
        return np.concatenate(call.rows)

    def close(self) -> None:
        """Finish the batch that runs, tell whoever still waits, end the threads; does not wait for any of it.

        A finalizer calls it, which runs wherever garbage is collected: on the event loop, or in a thread that
        holds a lock which the batch needs to end.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _enter(self, call: Call) -> None:
        with self._changed:
            if self._closed:
                raise _stopping()
            if self._queue.waiting >= self._max_waiting:
                raise Overloaded(
                    f"{self._queue.waiting} requests wait for the accelerator already: try again in a moment"
                )
            self._queue.add(call)
            self._changed.notify_all()

    def _end(self, calls: Sequence[Call], error: BaseException) -> None:
        with self._changed:
            for call in calls:
                self._queue.drop(call)
                call.end(error)

    def _serve(self) -> None:
        while shares := self._next():
            self._compute(shares)
            del shares  # of who has its answer nothing is kept while nobody asks
        self._end(self._queue.calls, _stopping())
        self._owner.shutdown(wait=False)

    def _next(self) -> list[Share]:
        """Wait for a batch that is full, or old enough; none once closed."""
        with self._changed:
            while not self._closed:
                self._end([each for each in self._queue.calls if each.unwanted], ClientDisconnect())
                if not self._queue.items:
                    self._changed.wait()
                    continue
                wait_s = self._queue.oldest_s + self._wait_s - time.monotonic()
                if self._queue.items >= self._max_batch or wait_s <= 0:
                    return self._queue.take()
                self._changed.wait(wait_s)
            return []

    def _compute(self, shares: Sequence[Share]) -> None:
        """Compute one batch and hand out its rows, or what went wrong."""
        calls, parts = [each.call for each in shares], [each.call.x[each.begin : each.end] for each in shares]
        self._told(sum(map(len, parts)))
        try:
            outcome = self._owner.submit(self._rows, parts)
        except RuntimeError as refusal:  # the system gives no thread: its callers would wait for ever
            self._end(calls, refusal.with_traceback(None))
            return
        error = outcome.exception()
        if error is not None:
            self._end(calls, error)
            return
        rows = outcome.result()
        with self._changed:
            for share in shares:
                count = share.end - share.begin
                share.call.rows.append(rows[:count])
                rows = rows[count:]
                if share.end == len(share.call.x):
                    share.call.end()

    def _rows(self, parts: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        x = np.concatenate(parts) if len(parts) > 1 else parts[0]
        rows = np.asarray(self._network(x), np.float32)
        if rows.shape[:1] != (len(x),):
            raise Corrupt(f"a network gave {rows.shape} for {len(x)} items: export it again")
        return rows


def _stopping() -> NotReady:
    return NotReady("the service is stopping: ask again in a moment")
