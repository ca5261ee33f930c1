"""One contract, two keepers: what memory promises, Redis promises too."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.stores.memory import MemoryCache, MemoryLimiter, gcra, memory_shared
from service.stores.shared import Shared

Open = Callable[[], AbstractAsyncContextManager[Shared]]


@pytest.fixture(params=["memory", "redis"])
def opened(request: pytest.FixtureRequest) -> Open:
    if request.param == "memory":
        return memory_shared
    server = request.getfixturevalue("redis_server")
    redis = pytest.importorskip("service.stores.redis")

    def open_redis() -> Any:
        return redis.redis_shared(server.url, "test")

    return open_redis


def run(opened: Open, check: Callable[[Shared], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with opened() as shared:
            await check(shared)

    asyncio.run(inside())


def test_the_cache_gives_back_bytes_until_they_run_out(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        assert await shared.cache.get("k") is None
        for value in (b"", b"\x00\xff\r\n", b"x" * 100_000):
            await shared.cache.put("k", value, ttl_s=60)
            assert await shared.cache.get("k") == value
        await shared.cache.put("k", b"soon gone", ttl_s=0.05)
        assert await shared.cache.get("other") is None
        await asyncio.sleep(0.1)
        assert await shared.cache.get("k") is None

    run(opened, check)


def test_an_idempotency_key_is_answered_once(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        keys = shared.idempotency
        first = await keys.claim("caller:k", "hash-1", hold_s=60)
        assert first.state == "yours"
        assert (await keys.claim("caller:k", "hash-1", hold_s=60)).state == "running"
        assert (await keys.claim("caller:k", "hash-2", hold_s=60)).state == "other"
        assert (await keys.claim("other:k", "hash-2", hold_s=60)).state == "yours"
        await keys.finish("caller:k", "not the token", b"forged", keep_s=60)
        await keys.finish("caller:k", "", b"forged", keep_s=60)
        assert (await keys.claim("caller:k", "hash-1", hold_s=60)).state == "running"
        await keys.finish("caller:k", first.token, b"200\n\x00{}", keep_s=60)
        again = await keys.claim("caller:k", "hash-1", hold_s=60)
        assert (again.state, again.answer) == ("answered", b"200\n\x00{}")
        assert (await keys.claim("caller:k", "hash-2", hold_s=60)).state == "other"
        await keys.finish("caller:k", first.token, b"another", keep_s=60)  # told once
        assert (await keys.claim("caller:k", "hash-1", hold_s=60)).answer == b"200\n\x00{}"

    run(opened, check)


def test_a_claim_that_is_released_or_runs_out_is_free_again(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        keys = shared.idempotency
        first = await keys.claim("k", "h", hold_s=60)
        await keys.release("k", "not the token")
        await keys.release("k", "")
        assert (await keys.claim("k", "h", hold_s=60)).state == "running"
        await keys.release("k", first.token)
        second = await keys.claim("k", "another request", hold_s=0.05)
        assert second.state == "yours"
        await asyncio.sleep(0.1)
        third = await keys.claim("k", "h", hold_s=60)
        assert third.state == "yours"
        await keys.finish("k", second.token, b"too late", keep_s=60)  # of the one that was too slow
        assert (await keys.claim("k", "h", hold_s=60)).state == "running"
        await keys.finish("k", third.token, b"soon forgotten", keep_s=0.05)
        await asyncio.sleep(0.1)
        assert (await keys.claim("k", "h", hold_s=60)).state == "yours"

    run(opened, check)


def test_of_many_that_claim_at_once_one_wins(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        found = await asyncio.gather(*(shared.idempotency.claim("k", "h", hold_s=60) for _ in range(20)))
        assert sorted(claim.state for claim in found) == ["running"] * 19 + ["yours"]

    run(opened, check)


def test_a_limit_lets_a_burst_through_and_then_says_how_long_to_wait(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        waits = [await shared.limiter.take("a", per_s=0.5, burst=3) for _ in range(5)]
        assert waits[:3] == [0, 0, 0]
        assert all(1.0 < wait <= 2.0 for wait in waits[3:]), waits
        assert await shared.limiter.take("b", per_s=0.5, burst=3) == 0  # a caller of its own
        assert [await shared.limiter.take("c", per_s=20, burst=1) > 0 for _ in range(2)] == [False, True]
        await asyncio.sleep(0.1)
        assert await shared.limiter.take("c", per_s=20, burst=1) == 0

    run(opened, check)


def test_many_at_once_are_counted_each(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        waits = await asyncio.gather(*(shared.limiter.take("k", per_s=0.01, burst=7) for _ in range(30)))
        assert sum(wait == 0 for wait in waits) == 7

    run(opened, check)


def test_notices_reach_who_listens_and_wake_at_once(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        await asyncio.sleep(0.3)  # the first connection counts as a notice of everything
        with shared.notices.listen("snapshot", "rights") as both, shared.notices.listen("job:1") as one:
            await both.wait(0.01)
            await one.wait(0.01)
            waiting = asyncio.ensure_future(both.wait(20))
            await asyncio.sleep(0.05)
            began = time.monotonic()
            await shared.notices.publish("snapshot")
            assert await waiting == {"snapshot"}
            assert time.monotonic() - began < 5
            assert await one.wait(0.05) == frozenset()
            for _ in range(300):  # missed ones are one, whichever echoes
                await shared.notices.publish("rights")
            heard = [await both.wait(0.3) for _ in range(4)]
            assert "rights" in heard[0]
            assert heard[-1] == frozenset()

    run(opened, check)


def test_a_queue_hands_each_id_to_one_taker(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        assert await shared.queue.take(0.1) is None
        for number in range(5):
            await shared.queue.put(f"{number:032x}")
        seen, silent = [], 0
        while silent < 5:
            hint = await shared.queue.take(0.2)
            silent = silent + 1 if hint is None else 0
            if hint is not None:
                seen.append(hint.job_id)
                await shared.queue.done(hint)
        assert sorted(seen) == [f"{number:032x}" for number in range(5)]

    run(opened, check)


def test_feedback_is_newest_first(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        assert await shared.feedback.newest(3) == []
        for some in ([], [b"0"], [b"1", b"2", b"3"], [b"4"]):
            await shared.feedback.append(some)
        assert await shared.feedback.newest(3) == [b"4", b"3", b"2"]
        assert len(await shared.feedback.newest(100)) == 5

    run(opened, check)


def test_all_is_well(opened: Open) -> None:
    async def check(shared: Shared) -> None:
        await shared.cache.get("k")
        for _ in range(100):  # Redis is found in the background
            await asyncio.sleep(0.05 * (shared.state() != "ok"))
        assert shared.state() == "ok"

    run(opened, check)


@asynccontextmanager
async def two(opened: Open) -> AsyncIterator[tuple[Shared, Shared]]:
    async with opened() as one, opened() as other:
        await asyncio.sleep(0.3)
        yield one, other


def test_two_processes_share_what_redis_keeps(redis_server: Any) -> None:
    redis = pytest.importorskip("service.stores.redis")

    async def check() -> None:
        async with two(lambda: redis.redis_shared(redis_server.url, "test")) as (one, other):
            await one.cache.put("k", b"v", ttl_s=60)
            assert await other.cache.get("k") == b"v"
            assert (await one.idempotency.claim("k", "h", hold_s=60)).state == "yours"
            assert (await other.idempotency.claim("k", "h", hold_s=60)).state == "running"
            waits = [await each.limiter.take("k", per_s=0.01, burst=3) for each in (one, other) * 2]
            assert [wait > 0 for wait in waits] == [False, False, False, True]
            with other.notices.listen("snapshot") as listener:
                await listener.wait(0.01)
                await one.notices.publish("snapshot")
                assert await listener.wait(10) == {"snapshot"}
        async with redis.redis_shared(redis_server.url, "another") as stranger:
            assert await stranger.cache.get("k") is None

    asyncio.run(check())


def test_every_key_is_prefixed_and_versioned_and_runs_out(redis_server: Any) -> None:
    redis = pytest.importorskip("service.stores.redis")
    from redis import Redis

    async def fill() -> None:
        async with redis.redis_shared(redis_server.url, "shop") as shared:
            await shared.cache.put("k", b"v", ttl_s=60)
            claim = await shared.idempotency.claim("k", "h", hold_s=60)
            await shared.idempotency.finish("k", claim.token, b"", keep_s=60)
            await shared.limiter.take("k", per_s=1, burst=1)
            await shared.feedback.append([b"e"])
            await shared.queue.put("0" * 32)

    asyncio.run(fill())
    client = Redis.from_url(redis_server.url)
    kept = {key.decode(): client.ttl(key) for key in client.scan_iter()}
    client.close()
    assert len(kept) >= 5
    assert all(name.startswith("shop:1:") for name in kept), kept
    for purpose in ("cache", "idempotency", "limit"):
        assert 0 < kept[f"shop:1:{purpose}:k"] <= 60


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 400)), max_size=60))
@settings(max_examples=50, deadline=None)
def test_a_full_memory_cache_forgets_what_was_used_least_lately(puts: list[tuple[str, int]]) -> None:
    """Against a plain list in order of use."""

    async def check() -> None:
        cache, order = MemoryCache(max_bytes=1500), list[tuple[str, bytes]]()
        for key, size in puts:
            value = bytes(size)
            await cache.put(key, value, ttl_s=60)
            order = [kept for kept in order if kept[0] != key] + [(key, value)]
            while sum(len(k) + len(v) + 200 for k, v in order) > 1500:
                order.pop(0)
            assert cache._bytes == sum(len(k) + len(v) + 200 for k, v in order) <= 1500
        for key, value in list(order):
            assert await cache.get(key) == value
        for key in set("abc") - {key for key, _ in order}:
            assert await cache.get(key) is None

    asyncio.run(check())


def test_what_is_larger_than_the_cache_is_not_kept() -> None:
    async def check() -> None:
        cache = MemoryCache(max_bytes=1000)
        await cache.put("a", b"1", ttl_s=60)
        await cache.put("b", bytes(2000), ttl_s=60)
        assert (await cache.get("a"), await cache.get("b")) == (b"1", None)

    asyncio.run(check())


class Bucket:
    """The slow definition: tokens that drip in."""

    def __init__(self, per_s: float, burst: int) -> None:
        self.per_s, self.burst = per_s, burst
        self.tokens, self.at_s = float(burst), 0.0

    def take(self, now_s: float) -> float:
        self.tokens = min(self.burst, self.tokens + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        if self.tokens >= 1 - 1e-6:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / self.per_s


@given(
    st.lists(st.integers(0, 3000), max_size=80),
    st.sampled_from([0.1, 1.0, 3.0, 50.0]),
    st.integers(1, 10),
)
@settings(max_examples=200, deadline=None)
def test_gcra_is_a_token_bucket(gaps_ms: list[int], per_s: float, burst: int) -> None:
    bucket, due_s, now_s = Bucket(per_s, burst), 0.0, 0.0
    for gap_ms in gaps_ms:
        now_s += gap_ms / 1000
        wait_s, due_s = gcra(due_s, now_s, per_s=per_s, burst=burst)
        assert wait_s == pytest.approx(bucket.take(now_s), abs=1e-5 / per_s)


def test_a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_burst() -> None:
    wait_s, _ = gcra(1e9, 5.0, per_s=2.0, burst=4)
    assert 0 < wait_s <= 0.5


def test_the_memory_limiter_remembers_so_many_keys() -> None:
    async def check() -> None:
        limiter = MemoryLimiter(max_keys=10)
        for number in range(100):
            await limiter.take(str(number), per_s=1, burst=1)
        assert len(limiter._due_s) == 10
        assert await limiter.take("99", per_s=1, burst=1) > 0

    asyncio.run(check())
