"""Settings in, the shared state that they ask for out."""

from contextlib import AbstractAsyncContextManager

from service.settings import Settings
from service.stores.memory import memory_shared
from service.stores.shared import Shared


def open_shared(settings: Settings) -> AbstractAsyncContextManager[Shared]:
    """In this process, or in Redis, whose libraries are loaded only then."""
    if settings.redis_url is None:
        return memory_shared()
    from service.stores.redis import redis_shared

    return redis_shared(settings.redis_url.get_secret_value(), settings.redis_prefix)
