import asyncio
import gc
import threading
import time
import weakref
from contextlib import ExitStack, suppress

import pytest
from starlette.requests import ClientDisconnect

from model.errors import DeadlineExceeded, Overloaded, YuyinError
from service.serving.workers import CLIENT_LEFT, Workers, unwanted


async def never() -> bool:
    return False


async def always() -> bool:
    return True


def test_results_and_errors_come_back() -> None:
    workers = Workers(1, 0)

    def fail() -> None:
        raise YuyinError("as it was")

    async def both() -> int:
        with pytest.raises(YuyinError, match="as it was"):
            await workers.run(fail, never)
        return await workers.run(lambda: 42, never)

    assert asyncio.run(both()) == 42
    workers.close()


@pytest.mark.parametrize(("in_flight", "queue"), [(1, 0), (2, 3)])
def test_one_more_than_fits_is_refused_and_places_come_back(in_flight: int, queue: int) -> None:
    workers = Workers(in_flight, queue)
    held = [workers.admit() for _ in range(in_flight + queue)]
    for place in held:
        place.__enter__()
    with pytest.raises(Overloaded), workers.admit():
        pass
    held[0].__exit__(None, None, None)
    with pytest.raises(ValueError, match="inside"), workers.admit():
        raise ValueError("inside")  # a place comes back after a failure too
    with workers.admit():
        assert workers.admitted == in_flight + queue
    workers.close()


def test_never_more_at_work_than_allowed() -> None:
    workers, at_work, most, lock = Workers(2, 10), 0, 0, threading.Lock()

    def work() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        time.sleep(0.02)
        with lock:
            at_work -= 1

    async def all_of_them() -> None:
        await asyncio.gather(*(workers.run(work, never) for _ in range(8)))

    asyncio.run(all_of_them())
    workers.close()
    assert most == 2


def test_the_loop_goes_on_meanwhile() -> None:
    workers, release = Workers(1, 0), threading.Event()

    async def during() -> int:
        work = asyncio.create_task(workers.run(lambda: release.wait(10), never))
        turns = 0
        while turns < 50:
            await asyncio.sleep(0)
            turns += 1
        assert not work.done()
        release.set()
        assert await work
        return turns

    assert asyncio.run(during()) == 50
    workers.close()


def test_waiting_work_that_nobody_wants_any_more_is_dropped_and_begun_work_is_finished() -> None:
    workers, release, begun, ran = Workers(1, 5), threading.Event(), threading.Event(), []

    def first() -> str:
        begun.set()
        release.wait(10)
        return "finished"

    async def both() -> str:
        running = asyncio.create_task(workers.run(first, always))
        await asyncio.to_thread(begun.wait, 10)
        with pytest.raises(ClientDisconnect):
            await workers.run(lambda: ran.append(1), always)
        release.set()
        return await running

    assert asyncio.run(both()) == "finished"
    workers.close()
    assert ran == []


def test_begun_work_is_told_that_its_client_has_left_and_no_other_is() -> None:
    workers, others = Workers(2, 0), threading.Event()

    def looks() -> str:
        left = CLIENT_LEFT.get()
        assert left is not None
        if left.wait(10):
            raise ClientDisconnect
        return "never told"

    def stays() -> bool:
        others.wait(10)
        left = CLIENT_LEFT.get()
        return left is not None and not left.is_set()

    async def both() -> bool:
        staying = asyncio.create_task(workers.run(stays, never))
        with pytest.raises(ClientDisconnect):
            await workers.run(looks, always)
        others.set()
        return await staying

    assert asyncio.run(both())
    assert CLIENT_LEFT.get() is None
    workers.close()


def test_work_beyond_its_deadline_is_told_and_answered_so() -> None:
    workers, ended = Workers(1, 5, deadline_s=0.05), threading.Event()

    def looks() -> None:
        while not unwanted():
            time.sleep(0.005)
        time.sleep(0.05)  # it needs a moment to end
        ended.set()
        raise ValueError("whatever work says that gives up")

    async def both() -> None:
        first = asyncio.create_task(workers.run(looks, never))
        await asyncio.sleep(0)  # it takes the only thread
        with pytest.raises(Overloaded, match="no place") as refused:  # behind it in the queue
            await workers.run(lambda: 42, never)
        assert refused.value.retry_after_s == 1
        with pytest.raises(DeadlineExceeded, match="proxy"):
            await first
        assert ended.is_set()  # nobody is told before the work has let go of its file
        assert await workers.run(lambda: 42, never) == 42

    asyncio.run(both())
    workers.close()


def test_work_that_does_not_look_is_finished_even_if_late() -> None:
    workers = Workers(1, 0, deadline_s=0.01)

    def stubborn() -> int:
        time.sleep(0.1)
        return 42

    assert asyncio.run(workers.run(stubborn, never)) == 42
    workers.close()


@pytest.mark.parametrize(("in_flight", "queue", "work_s"), [(1, 0, 0.0), (1, 2, 0.4), (2, 6, 0.4)])
def test_who_is_refused_is_told_when_all_inside_will_be_done(
    in_flight: int, queue: int, work_s: float
) -> None:
    workers = Workers(in_flight, queue)

    async def some() -> None:
        for _ in range(6):
            await workers.run(lambda: time.sleep(work_s), never)

    asyncio.run(some())
    mean_s = work_s + (1 - work_s) * 0.8**6  # of the first guess, 1 s, and six of these
    with ExitStack() as held:
        for _ in range(in_flight + queue):
            held.enter_context(workers.admit())
        with pytest.raises(Overloaded) as refused, workers.admit():
            pass
    told_s = refused.value.retry_after_s
    assert told_s is not None
    assert told_s - (in_flight + queue) * mean_s / in_flight == pytest.approx(0.5, abs=0.55)
    workers.close()


def test_nobody_is_told_to_wait_for_ever() -> None:
    workers = Workers(1, 100)
    workers._mean_s = 1e6
    with ExitStack() as held:
        for _ in range(101):
            held.enter_context(workers.admit())
        with pytest.raises(Overloaded) as refused, workers.admit():
            pass
    assert refused.value.retry_after_s == 60
    workers.close()


def test_work_whose_wait_is_cancelled_is_told_so() -> None:
    workers, begun, told = Workers(1, 0), threading.Event(), threading.Event()

    def work() -> None:
        left = CLIENT_LEFT.get()
        assert left is not None
        begun.set()
        if left.wait(10):
            told.set()

    async def stopped() -> None:
        running = asyncio.create_task(workers.run(work, never))
        await asyncio.to_thread(begun.wait, 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(stopped())
    workers.close()
    assert told.is_set()


def test_waiting_work_whose_wait_is_cancelled_never_begins() -> None:
    """Its upload is gone by then."""
    workers, release, ran = Workers(1, 5), threading.Event(), []

    async def stopped() -> None:
        first = asyncio.create_task(workers.run(lambda: release.wait(10), never))
        second = asyncio.create_task(workers.run(lambda: ran.append(1), never))
        await asyncio.sleep(0.05)
        second.cancel()
        with suppress(asyncio.CancelledError):
            await second
        release.set()
        assert await first
        assert await workers.run(lambda: 42, never) == 42  # behind the one that was cancelled

    asyncio.run(stopped())
    workers.close()
    assert ran == []


def test_nothing_of_failed_work_is_kept_after_its_answer() -> None:
    """Not by a cycle through its error: the frames of a long video are hundreds of megabytes."""

    class Frames:
        pass

    workers, kept = Workers(1, 0), []

    def work() -> None:
        frames = Frames()
        kept.append(weakref.ref(frames))
        raise YuyinError("after decoding")

    async def failing() -> None:
        with suppress(YuyinError):
            await workers.run(work, never)

    gc.disable()
    try:
        asyncio.run(failing())
        workers.close()  # the thread has let go of it too
        assert kept[0]() is None
    finally:
        gc.enable()
