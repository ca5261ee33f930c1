import asyncio
import gc
import threading
import time
import weakref
from contextlib import suppress

import pytest
from starlette.requests import ClientDisconnect

from model.errors import Overloaded, YuyinError
from service.workers import CLIENT_LEFT, Workers


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
