"""Ids of jobs from the server to a worker, over Redis: dramatiq's broker and consumer alone (ADR 0009).

A worker acknowledges an id as soon as it has looked at the record: an hour's work holds no message. An id
that is lost is found by the next look at the open records, a second later.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed
from redis import Redis
from redis.exceptions import RedisError

from service.stores.shared import Hint

log = logging.getLogger("yuyin.service")

QUEUE = "jobs"
RECOMMENDING = "recommending"
ACTOR = "take_up"  # nothing is registered under it: the record says what to do
TIMEOUT_S = 1.0
LOST_MS = 5_000  # then an id that a worker took and never acknowledged is for another
MAINTENANCE = 200_000  # of a million fetches, how many look for those


class RedisQueue:
    """Blocking calls, in two threads of its own: who waits for an id must not hold up who sends one."""

    def __init__(self, url: str, prefix: str, name: str = QUEUE) -> None:
        self._name = name
        client: Redis = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        self._client = client
        self._broker = RedisBroker(  # type: ignore[no-untyped-call]
            client=client,
            middleware=[],
            namespace=f"{prefix}:queue",
            heartbeat_timeout=LOST_MS,
            maintenance_chance=MAINTENANCE,
        )
        self._consumer: Any = None
        self._sending = ThreadPoolExecutor(1, thread_name_prefix="yuyin-queue")
        self._waiting = ThreadPoolExecutor(1, thread_name_prefix="yuyin-queue")

    async def put(self, job_id: str) -> None:
        """Tell one worker; while Redis is away it finds the record by itself."""
        message: Message[Any] = Message(
            queue_name=self._name, actor_name=ACTOR, args=(job_id,), kwargs={}, options={}
        )
        await self._try(self._sending, lambda: self._broker.enqueue(message))

    async def take(self, timeout_s: float) -> Hint | None:
        """The next one; None after about `timeout_s`, or at once while Redis is away."""
        began_s = asyncio.get_running_loop().time()
        hint: Hint | None = await self._try(self._waiting, lambda: self._next(timeout_s))
        if hint is None:  # dramatiq waits a random part of it, a dead connection not at all
            await asyncio.sleep(max(0.0, timeout_s / 2 - (asyncio.get_running_loop().time() - began_s)))
        return hint

    async def done(self, hint: Hint) -> None:
        """Acknowledge; if that fails another worker looks at the record too, and finds it taken."""
        consumer, message = cast("tuple[Any, Any]", hint.receipt)
        await self._try(self._waiting, lambda: consumer.ack(message))

    async def close(self) -> None:
        """End the threads, which takes as long as the fetch that runs."""
        self._sending.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._waiting.shutdown, cancel_futures=True)
        self._client.close()

    def _next(self, timeout_s: float) -> Hint | None:
        if self._consumer is None:
            self._consumer = self._broker.consume(self._name, prefetch=1, timeout=int(timeout_s * 1000))
        try:
            message = next(self._consumer)
        except BaseException:
            self._consumer = None  # it may remember messages of a Redis that has forgotten them
            raise
        return None if message is None else Hint(str(message.args[0]), (self._consumer, message))

    async def _try(self, threads: ThreadPoolExecutor, call: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        except (RedisError, ConnectionClosed, OSError) as error:
            log.debug("the queue does not answer", extra={"reason": str(error)})
            return None
