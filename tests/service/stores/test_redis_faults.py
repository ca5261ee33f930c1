"""Redis killed, frozen, started again: requests are answered meanwhile, and all is as before afterwards."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from service.stores.shared import Shared

redis = pytest.importorskip("service.stores.redis")
from service.stores.link import TIMEOUT_S  # noqa: E402

NOBODY = "redis://user:hunter2@127.0.0.1:1/0"  # nothing listens there


async def eventually(ask: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> bool:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if await ask():
            return True
        await asyncio.sleep(0.05)
    return False


async def works_without_redis(shared: Shared, fresh: str = "fresh") -> None:
    """Nothing raises, nothing is cached, limits and keys are this process's own."""
    await shared.cache.put("k", b"v", ttl_s=60)
    assert await shared.cache.get("k") is None
    waits = [await shared.limiter.take(fresh, per_s=0.01, burst=2) for _ in range(3)]
    assert [wait > 0 for wait in waits] == [False, False, True]
    claim = await shared.idempotency.claim(fresh, "h", hold_s=60)
    assert claim.state == "yours"
    assert (await shared.idempotency.claim(fresh, "h", hold_s=60)).state == "running"
    await shared.idempotency.finish(fresh, claim.token, b"a", keep_s=60)
    assert (await shared.idempotency.claim(fresh, "h", hold_s=60)).answer == b"a"
    await shared.feedback.append([b"e"])
    assert await shared.feedback.newest(1) == []
    await shared.queue.put("0" * 32)
    assert await shared.queue.take(0.1) is None
    with shared.notices.listen("snapshot") as listener:
        await shared.notices.publish("snapshot")
        assert await listener.wait(1) == {"snapshot"}
    assert shared.state().startswith("away")


def test_without_a_redis_everything_is_answered() -> None:
    async def check() -> None:
        async with redis.redis_shared(NOBODY, "test") as shared:
            await shared.cache.get("k")
            await works_without_redis(shared)

    asyncio.run(check())


def test_the_password_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with redis.redis_shared(NOBODY, "test") as shared:
            await shared.cache.get("k")
            await shared.queue.put("0" * 32)
            await asyncio.sleep(0.2)

    with caplog.at_level(logging.DEBUG):
        logging.getLogger("yuyin").propagate = True
        asyncio.run(check())
    assert "Redis does not answer" in caplog.text
    assert "hunter2" not in caplog.text + "".join(str(vars(record)) for record in caplog.records)


def test_a_frozen_redis_costs_one_timeout_and_not_one_a_request(redis_server: Any) -> None:
    async def check() -> None:
        async with redis.redis_shared(redis_server.url, "test") as shared:
            await shared.cache.put("k", b"before", ttl_s=60)
            redis_server.freeze()
            try:
                began = time.monotonic()
                for _ in range(200):
                    assert await shared.cache.get("k") is None
                assert time.monotonic() - began < 200 * TIMEOUT_S / 10
                await works_without_redis(shared)
            finally:
                redis_server.thaw()
            assert await eventually(lambda: is_there(shared, "k", b"before"))
            assert await eventually(lambda: is_well(shared))

    asyncio.run(check())


async def is_well(shared: Shared) -> bool:
    return shared.state() == "ok"


def test_an_idle_process_knows_too_that_redis_has_gone(redis_server: Any) -> None:
    async def check() -> None:
        async with redis.redis_shared(redis_server.url, "test") as shared:
            for _ in range(2):
                assert await eventually(lambda: is_well(shared))
                redis_server.kill()
                assert await eventually(lambda: is_not_well(shared))
                redis_server.start()

    asyncio.run(check())


async def is_not_well(shared: Shared) -> bool:
    return shared.state().startswith("away")


async def is_there(shared: Shared, key: str, value: bytes) -> bool:
    return await shared.cache.get(key) == value


@pytest.mark.parametrize("times", [1, 2])
def test_a_redis_that_is_killed_and_started_again_is_used_again(redis_server: Any, times: int) -> None:
    async def check() -> None:
        async with (
            redis.redis_shared(redis_server.url, "test") as shared,
            redis.redis_shared(redis_server.url, "test") as other,
        ):
            for round_ in range(times):
                await shared.cache.put("k", b"v", ttl_s=60)
                with other.notices.listen("snapshot") as listener:
                    redis_server.kill()
                    assert await shared.cache.get("k") is None
                    await works_without_redis(shared, f"fresh-{round_}")
                    await asyncio.sleep(1.0)
                    while await listener.wait(0.05):
                        pass
                    redis_server.start()
                    # a change may have been missed: whoever listens looks again
                    assert await listener.wait(20) == {"snapshot"}
                assert await eventually(lambda: put_and_there(shared))
                assert await eventually(lambda: heard_by(other, shared))
                await shared.queue.put("f" * 32)
                assert await eventually(lambda: taken(other, "f" * 32))
                # what was claimed meanwhile was this process's own: gone with the outage
                claim = await shared.idempotency.claim(f"fresh-{round_}", "h", hold_s=60)
                assert claim.state == "yours"
                redis_server.kill()
                redis_server.start()

    asyncio.run(check())


async def put_and_there(shared: Shared) -> bool:
    await shared.cache.put("k", b"v", ttl_s=60)
    return await shared.cache.get("k") == b"v"


async def heard_by(other: Shared, shared: Shared) -> bool:
    with other.notices.listen("rights") as listener:
        await shared.notices.publish("rights")
        return bool(await listener.wait(0.5))


async def taken(shared: Shared, job_id: str) -> bool:
    hint = await shared.queue.take(0.2)
    if hint is None:
        return False
    await shared.queue.done(hint)
    return hint.job_id == job_id


def test_an_id_that_a_dead_worker_took_goes_to_another(
    redis_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from service.stores import queue

    monkeypatch.setattr(queue, "LOST_MS", 300)
    monkeypatch.setattr(queue, "MAINTENANCE", 1_000_000)

    async def check() -> None:
        async with redis.redis_shared(redis_server.url, "test") as dead:
            await dead.queue.put("a" * 32)
            hint = None
            while hint is None:
                hint = await dead.queue.take(0.2)
        # it never acknowledged
        async with redis.redis_shared(redis_server.url, "test") as other:
            assert await eventually(lambda: taken(other, "a" * 32))
            assert await other.queue.take(0.5) is None
        async with redis.redis_shared(redis_server.url, "test") as third:  # the other acknowledged
            assert not await eventually(lambda: taken(third, "a" * 32), within_s=2.0)

    asyncio.run(check())


def test_a_claim_made_before_redis_went_away_does_not_stay(redis_server: Any) -> None:
    async def check() -> None:
        async with redis.redis_shared(redis_server.url, "test") as shared:
            claim = await shared.idempotency.claim("k", "h", hold_s=60)
            redis_server.kill()
            await shared.idempotency.finish("k", claim.token, b"lost", keep_s=60)
            await shared.idempotency.release("k", claim.token)
            assert (await shared.idempotency.claim("k", "h", hold_s=60)).state == "yours"

    asyncio.run(check())


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.002, 0.005, 0.02, 0.1])
@pytest.mark.parametrize("fault", ["freeze", "kill", "restart"])
def test_who_is_cancelled_while_redis_is_asked_is_cancelled(
    redis_server: Any, after_s: float, fault: str
) -> None:
    """redis-py may take a cancellation for a fault of the connection; a stopped process would go on."""

    async def check() -> None:
        try:
            async with redis.redis_shared(redis_server.url, "test") as shared:
                await shared.notices.publish("snapshot")
                redis_server.freeze() if fault == "freeze" else redis_server.kill()
                if fault == "restart":
                    redis_server.start()

                async def work() -> None:
                    while True:
                        await shared.notices.publish("snapshot")
                        await asyncio.sleep(0.001)

                task = asyncio.create_task(work())
                await asyncio.sleep(after_s)
                task.cancel()
                await asyncio.wait({task}, timeout=5)
                assert task.cancelled()
        finally:
            redis_server.thaw() if fault == "freeze" else redis_server.kill()

    asyncio.run(check())
