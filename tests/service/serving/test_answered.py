"""Equal questions that come together: one is worked on at a time, nobody waits for ever."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect

from model.errors import DeadlineExceeded, Overloaded, YuyinError
from service.app import create_app
from service.ranking.answering import Answering, Film
from service.ranking.recommender import Stopwatch
from service.schemas.options import Options
from service.serving.answered import Answered, Kept
from service.serving.workers import Workers
from service.settings import Settings
from service.stores.memory import MemoryCache

MANY = 20


async def never() -> bool:
    return False


class Work:
    """Gives a body of its own each time; fails in the turns that it is told to."""

    def __init__(self, *, fails: frozenset[int] = frozenset(), lasts: bool = True) -> None:
        self.begun = self._at_work = self.most = 0
        self._fails, self._lasts = fails, lasts

    async def __call__(self) -> tuple[bytes, bool]:
        self.begun, self._at_work = self.begun + 1, self._at_work + 1
        turn, self.most = self.begun, max(self.most, self._at_work)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            if turn in self._fails:
                raise YuyinError(f"turn {turn}")
            return f"answer {turn}".encode(), self._lasts
        finally:
            self._at_work -= 1


def ask_together(work: Work, cache: MemoryCache) -> list[Kept | BaseException]:
    """The answers to equal questions, in the order in which they were asked."""

    async def all_of_them() -> list[Kept | BaseException]:
        answered, workers = Answered(cache, ttl_s=60), Workers(1, MANY)
        wait = partial(workers.wait, gone=never, until_s=workers.until_s())
        questions = (answered.once("key", work, wait) for _ in range(MANY))
        found = await asyncio.gather(*questions, return_exceptions=True)
        workers.close()
        assert answered._begun == {}
        return found

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("room", [1 << 20, 0])  # 0: as if the cache were away, or the answer too large for it
def test_one_answer_is_everybodys_whether_it_can_be_kept_or_not(room: int) -> None:
    work = Work()
    found = ask_together(work, MemoryCache(room))
    assert found == [Kept(b"answer 1", hit=False)] + [Kept(b"answer 1", hit=True)] * (MANY - 1)
    assert work.begun == 1


@pytest.mark.parametrize("room", [1 << 20, 0])
def test_after_each_failure_one_takes_over(room: int) -> None:
    work = Work(fails=frozenset({1, 2, 3}))
    found = ask_together(work, MemoryCache(room))
    assert [str(one) for one in found if isinstance(one, YuyinError)] == ["turn 1", "turn 2", "turn 3"]
    kept = [one for one in found if isinstance(one, Kept)]
    assert len(kept) == MANY - 3
    assert {one.body for one in kept} == {b"answer 4"}
    assert [one.hit for one in kept].count(False) == 1
    assert (work.begun, work.most) == (4, 1)


def test_errors_are_found_out_by_each_in_turn() -> None:
    work = Work(fails=frozenset(range(1, MANY + 1)))
    found = ask_together(work, MemoryCache())
    assert {str(one) for one in found} == {f"turn {turn}" for turn in range(1, MANY + 1)}
    assert (work.begun, work.most) == (MANY, 1)


def test_an_answer_that_must_not_be_kept_is_nobody_elses() -> None:
    work = Work(lasts=False)
    found = ask_together(work, MemoryCache())
    assert {one.body for one in found if isinstance(one, Kept)} == {
        f"answer {turn}".encode() for turn in range(1, MANY + 1)
    }
    assert work.most == 1


def test_one_that_is_cancelled_is_followed_by_another() -> None:
    async def both() -> tuple[bytes, int]:
        answered, workers, work, begun = Answered(MemoryCache(), 60), Workers(1, 1), Work(), asyncio.Event()
        wait = partial(workers.wait, gone=never, until_s=workers.until_s())

        async def stays() -> tuple[bytes, bool]:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        first = asyncio.create_task(answered.once("key", stays, wait))
        await begun.wait()
        second = asyncio.create_task(answered.once("key", work, wait))
        await asyncio.sleep(0)
        first.cancel()
        workers.close()
        return (await second).body, work.begun

    assert asyncio.run(both()) == (b"answer 1", 1)


class Client:
    """Of one question; leaves when it is told to."""

    def __init__(self, answering: Answering, path: Path, name: str) -> None:
        self.left = False
        film = Film(path, name * 64, Options())
        self.answer = asyncio.create_task(answering.answer(film, name, self._gone, Stopwatch()))

    async def _gone(self) -> bool:
        return self.left


@contextmanager
def busy(store: Path, deadline_s: float) -> Iterator[Answering]:
    """A service whose only thread has something else to do all the time."""
    settings = Settings(store=store, in_flight=1, deadline_s=deadline_s)
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        parts: Any = client.app.state.parts  # type: ignore[attr-defined]
        over = threading.Event()
        busied = parts.workers._threads.submit(over.wait)
        try:
            yield parts.answering
        finally:
            over.set()
            busied.result()


async def first_to_end(*clients: Client) -> list[bool]:
    await asyncio.wait([one.answer for one in clients], return_when=asyncio.FIRST_COMPLETED)
    return [one.answer.done() for one in clients]


def test_who_waits_for_an_equal_question_may_leave(built_store: Path, tmp_path: Path) -> None:
    async def do(answering: Answering) -> None:
        first, waits = (Client(answering, tmp_path, "a") for _ in range(2))
        await asyncio.sleep(0)
        waits.left = True
        assert await first_to_end(first, waits) == [False, True]
        with pytest.raises(ClientDisconnect):
            await waits.answer
        first.left = True
        with pytest.raises(ClientDisconnect):
            await first.answer

    with busy(built_store, deadline_s=10) as answering:
        asyncio.run(do(answering))


def test_waiting_for_an_equal_question_has_an_end() -> None:
    """As `run` ends its own work: at the deadline, though what is waited for never ends."""

    async def do() -> None:
        workers, other = Workers(1, 0, deadline_s=0.05), asyncio.get_running_loop().create_future()
        with pytest.raises(DeadlineExceeded, match="send a shorter part"):
            await workers.wait(other, never, workers.until_s())
        assert not other.cancelled()
        workers.close()

    asyncio.run(do())


def test_who_waited_and_takes_over_has_one_deadline_for_both(built_store: Path, tmp_path: Path) -> None:
    """Another question comes when the wait ends: it may stay for longer than who takes over then."""

    async def do(answering: Answering) -> None:
        first, waits = (Client(answering, tmp_path, "a") for _ in range(2))
        await asyncio.sleep(1.5)
        another = Client(answering, tmp_path, "b")
        await asyncio.sleep(0)
        first.left = True
        assert await first_to_end(first) == [True]
        assert await first_to_end(waits, another) == [True, False]
        for one in (waits, another):
            with pytest.raises(Overloaded):  # neither was ever worked on
                await one.answer
        with pytest.raises(ClientDisconnect):
            await first.answer

    with busy(built_store, deadline_s=3) as answering:
        asyncio.run(do(answering))
