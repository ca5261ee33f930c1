"""Answers by all that they depend on: who asks the same again costs a look-up.

An answer is kept without its request_id and timings_ms, as the bytes that go out, so that a repeat parses
and validates nothing. Only answers are kept, never errors.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from model.artifact import canonical_json
from service.stores.shared import Cache

Begun = asyncio.Future[bytes | None]  # the answer once it is there, if it may be kept


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer's lasting part."""

    body: bytes
    hit: bool  # it was there


class Answered:
    """The shared cache, and what this process works on at the moment. Used on the event loop only."""

    def __init__(self, cache: Cache, ttl_s: float) -> None:
        """Args: with a `ttl_s` of 0 nothing is kept, and equal questions are worked on side by side."""
        self._cache = cache
        self._ttl_s = ttl_s
        self._begun: dict[str, Begun] = {}

    async def once(
        self,
        key: str,
        make: Callable[[], Awaitable[tuple[bytes, bool]]],
        wait: Callable[[Begun], Awaitable[None]],
    ) -> Kept:
        """The answer under `key`, or what `make` gives: bytes, and whether they may be kept.

        Who asks while somebody else's equal question is worked on waits for that, by `wait`, which raises
        when the time is over. What may be kept is everybody's, be the cache away or too small for it; after
        anything else, one of those who waited takes over and the others wait for that one.
        """
        if not self._ttl_s:
            return Kept((await make())[0], hit=False)
        while (other := self._begun.get(key)) is not None:
            await wait(other)
            if (body := other.result()) is not None:
                return Kept(body, hit=True)
        lasting: bytes | None = None
        ended = self._begun[key] = asyncio.get_running_loop().create_future()
        try:
            if (lasting := await self._cache.get(key)) is not None:
                return Kept(lasting, hit=True)
            body, lasts = await make()
            if lasts:
                lasting = body
                await self._cache.put(key, body, ttl_s=self._ttl_s)
            return Kept(body, hit=False)
        finally:
            del self._begun[key]
            ended.set_result(lasting)


def key_of(**of: Any) -> str:
    """A key for `once`, of everything that the answer depends on."""
    return "answer:" + hashlib.sha256(canonical_json(of).encode()).hexdigest()
