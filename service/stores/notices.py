"""Notices between processes over Redis: each process keeps one connection that hears all of them.

They are lost while Redis is away. So after every connection all topics count as changed, and listeners look
at the store now and then anyway.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from service.stores.link import Away, Link
from service.stores.memory import MemoryNotices
from service.stores.shared import Listener

log = logging.getLogger("yuyin.service")

CONNECT_S = 1.0
SILENCE_S = 1.0  # then a ping; whoever does not answer it in the same time again has gone
RETRY_S = 0.5


class RedisNotices:
    """To listeners of this process at once, and through Redis to those of the others.

    `connected` says whether those of the others are heard; it is asked for by /readyz.
    """

    def __init__(self, url: str, link: Link) -> None:
        self._channel = link.key("notice", "")
        self._here = MemoryNotices()
        self.connected = False
        self._link = link  # to speak; hearing blocks a connection and waits longer
        self._client: Redis = Redis.from_url(url, socket_connect_timeout=CONNECT_S)

    async def publish(self, topic: str) -> None:
        """Tell every listener, in all processes that Redis reaches."""
        self._here.hear(topic)
        with suppress(Away):  # the others will look at the store
            await self._link.ask(lambda: self._link.client.publish(self._channel + topic, b""))

    def listen(self, *topics: str) -> AbstractContextManager[Listener]:
        """Hear of these from here on."""
        return self._here.listen(*topics)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear the other processes meanwhile."""
        hearing = asyncio.create_task(self._hear())
        try:
            yield
        finally:
            while not hearing.done():  # redis-py takes a cancellation while it connects for its own
                hearing.cancel()
                await asyncio.wait({hearing}, timeout=RETRY_S)
            await self._client.aclose()

    async def _hear(self) -> None:
        """Connect, hear until the connection is lost, and again; until cancelled."""
        while True:
            heard = self._client.pubsub()
            try:
                await self._subscribed(heard)
            except (RedisError, OSError, TimeoutError) as error:
                log.debug("notices are not heard", extra={"reason": str(error)})
            finally:
                self.connected = False
                with suppress(RedisError, OSError):
                    await heard.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(RETRY_S)

    async def _subscribed(self, heard: PubSub) -> None:
        async with asyncio.timeout(CONNECT_S):
            await heard.psubscribe(f"{self._channel}*")
        last_s, asked = time.monotonic(), False
        while True:
            message: Any = await heard.get_message(timeout=SILENCE_S)
            if message is not None:
                last_s, asked = time.monotonic(), False
                self._take(message)
            elif time.monotonic() - last_s < SILENCE_S:
                continue
            elif asked:
                raise TimeoutError("no answer to a ping")
            else:
                await heard.ping()
                last_s, asked = time.monotonic(), True

    def _take(self, message: Any) -> None:
        match message["type"]:
            case "psubscribe":
                self.connected = True
                self._here.hear_all()
            case "pmessage":
                self._here.hear(message["channel"].decode().removeprefix(self._channel))
