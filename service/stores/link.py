"""The address of a Redis in, its answers in good time out, or none."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.stores.breaker import Breaker

log = logging.getLogger("yuyin.service")

VERSION = 1  # of what is stored under our keys
TIMEOUT_S = 0.25  # a healthy Redis answers in one thousandth of that; an answer is not to wait for a cache
CONNECTIONS = 32  # at once; whoever finds them all busy waits for one

Result = TypeVar("Result")


class Away(Exception):
    """Redis did not answer, or is not asked for a moment."""


class Link:
    """One Redis, asked in good time or not at all."""

    def __init__(self, url: str, prefix: str) -> None:
        self.prefix = f"{prefix}:{VERSION}"
        pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),  # a connection that a restart left dead; within the same timeout
        )
        self.client: Redis = Redis.from_pool(pool)
        self._breaker = Breaker()

    def key(self, *parts: str) -> str:
        """`PREFIX:1:purpose:...`: of this deployment and this version of what is stored."""
        return ":".join((self.prefix, *parts))

    @property
    def closed(self) -> bool:
        """Whether the last call was answered."""
        return self._breaker.closed

    async def ask(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Its answer; raises `Away`."""
        if not self._breaker.allows():
            raise Away
        task = asyncio.current_task()
        cancels = task.cancelling() if task else 0
        failure: Exception | None = None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await call()
        except (RedisError, OSError, TimeoutError) as error:
            failure = error
        if task and task.cancelling() > cancels:  # redis-py takes it for a failure of the connection
            raise asyncio.CancelledError
        if failure is not None:
            self._failed(failure)
            raise Away from failure
        if not self._breaker.closed:
            log.info("Redis answers again")
        self._breaker.succeeded()
        return answer

    def _failed(self, error: Exception) -> None:
        if self._breaker.closed:  # its words name a host, never a password
            log.warning("Redis does not answer", extra={"reason": f"{type(error).__name__}: {error}"})
        self._breaker.failed()
