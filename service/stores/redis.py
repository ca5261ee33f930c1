"""Shared state of several processes and replicas, in Redis; none of it is missed for longer than it is away.

A call that fails or takes too long opens a breaker (`service.stores.link`): until a probe succeeds, the cache
answers that it has nothing, and idempotency keys and limits are kept by each process for itself. So a limit
of n a second is at worst n for each process while Redis is away: callers who keep to it are never refused,
and the bound on requests in flight stays.
"""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from redis.asyncio import Redis

from service.stores.link import Away, Link
from service.stores.memory import FEEDBACK, MemoryIdempotency, MemoryLimiter
from service.stores.notices import RedisNotices
from service.stores.queue import QUEUE, RECOMMENDING, RedisQueue
from service.stores.shared import Claim, Shared

AWAY = "away: nothing is cached, and each process keeps its own limits"
MAX_CACHED_BYTES = 1 << 20  # a larger value holds up whoever waits behind it
LOCAL = "local-"  # tokens of claims that were made while Redis was away

_CLAIM = """
local kept = redis.call('HMGET', KEYS[1], 'fingerprint', 'answer')
if not kept[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1], 'token', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'yours'}
end
if kept[1] ~= ARGV[1] then return {'other'} end
if kept[2] then return {'answered', kept[2]} end
return {'running'}
"""
_FINISH = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'token')
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""
_RELEASE = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
# `service.stores.memory.gcra` in microseconds of the clock of Redis, which all replicas have in common
_TAKE = """
local time = redis.call('TIME')
local now, step, most = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or '0')
due = math.min(math.max(due, now), now + most) + step
if due - most > now then return math.ceil(due - most - now) end
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1)
return 0
"""


class RedisCache:
    """Bytes with a time to live; `maxmemory` and its policy are the operator's."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def get(self, key: str) -> bytes | None:
        """What was put there; nothing while Redis is away."""
        try:
            return cast("bytes | None", await self._link.ask(lambda: self._client.get(self._key(key))))
        except Away:
            return None

    async def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        """Keep it, unless it is too large or Redis is away."""
        if len(value) > MAX_CACHED_BYTES:
            return
        try:
            await self._link.ask(lambda: self._client.set(self._key(key), value, px=_ms(ttl_s)))
        except Away:
            return

    @property
    def _client(self) -> Redis:
        return self._link.client

    def _key(self, key: str) -> str:
        return self._link.key("cache", key)


class RedisIdempotency:
    """Claims and answers of all processes; those made while Redis is away are this process's own."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._local = MemoryIdempotency()
        register = link.client.register_script
        self._claim, self._finish, self._release = register(_CLAIM), register(_FINISH), register(_RELEASE)

    async def claim(self, key: str, fingerprint: str, *, hold_s: float) -> Claim:
        """Begin to answer, or learn what became of the key."""
        token = secrets.token_hex(8)
        try:
            found = await self._run(self._claim, key, fingerprint, token, _ms(hold_s))
        except Away:
            claim = await self._local.claim(key, fingerprint, hold_s=hold_s)
            return Claim(claim.state, LOCAL + claim.token, claim.answer) if claim.token else claim
        state = found[0].decode()
        return Claim(state, token if state == "yours" else "", found[1] if len(found) > 1 else b"")

    async def finish(self, key: str, token: str, answer: bytes, *, keep_s: float) -> None:
        """Keep the answer where the claim was made, if it is still ours."""
        if token.startswith(LOCAL):
            await self._local.finish(key, token.removeprefix(LOCAL), answer, keep_s=keep_s)
        elif len(answer) > MAX_CACHED_BYTES:
            await self.release(key, token)
        else:
            await self._try(self._finish, key, token, answer, _ms(keep_s))

    async def release(self, key: str, token: str) -> None:
        """Give the key up unanswered, if the claim is still ours."""
        if token.startswith(LOCAL):
            await self._local.release(key, token.removeprefix(LOCAL))
        else:
            await self._try(self._release, key, token)

    async def _run(self, script: Any, key: str, *values: Any) -> Any:
        return await self._link.ask(lambda: script(keys=[self._link.key("idempotency", key)], args=values))

    async def _try(self, script: Any, key: str, *values: Any) -> None:
        try:
            await self._run(script, key, *values)
        except Away:
            return  # the claim runs out by itself


class RedisLimiter:
    """One count for all processes; one for each while Redis is away."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._local = MemoryLimiter()
        self._script = link.client.register_script(_TAKE)

    async def take(self, key: str, *, per_s: float, burst: int) -> float:
        """Seconds to wait; 0 if admitted."""
        step = 1e6 / per_s
        numbers = [f"{step:.3f}", f"{burst * step:.3f}"]
        try:
            wait: int = await self._link.ask(
                lambda: self._script(keys=[self._link.key("limit", key)], args=numbers)
            )
        except Away:
            return await self._local.take(key, per_s=per_s, burst=burst)
        return wait / 1e6


class RedisFeedback:
    """A stream; what is appended while Redis is away is missing in it."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def append(self, events: Sequence[bytes]) -> None:
        """Add some, in this order, in one round trip: who sent them waits for it."""
        key = self._link.key("feedback")

        async def add() -> None:
            async with self._link.client.pipeline(transaction=False) as pipe:
                for event in events:
                    pipe.xadd(key, {"event": event}, maxlen=FEEDBACK, approximate=True)
                await pipe.execute()

        with suppress(Away):
            await self._link.ask(add)

    async def newest(self, count: int) -> list[bytes]:
        """At most so many, the newest first; none while Redis is away."""
        client, key = self._link.client, self._link.key("feedback")
        try:
            found: Any = await self._link.ask(lambda: client.xrevrange(key, count=count))
        except Away:
            return []
        return [fields[b"event"] for _, fields in found]


def _ms(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


@asynccontextmanager
async def redis_shared(url: str, prefix: str) -> AsyncIterator[Shared]:
    """All of it, in Redis; which need not be there yet."""
    link = Link(url, prefix)
    notices = RedisNotices(url, link)
    queue, recommending = (RedisQueue(url, link.prefix, name) for name in (QUEUE, RECOMMENDING))
    try:
        async with notices.running():
            yield Shared(
                cache=RedisCache(link),
                idempotency=RedisIdempotency(link),
                limiter=RedisLimiter(link),
                notices=notices,
                queue=queue,
                recommending=recommending,
                feedback=RedisFeedback(link),
                state=lambda: "ok" if notices.connected and link.closed else AWAY,
            )
    finally:
        await asyncio.gather(queue.close(), recommending.close())
        await link.client.aclose()
