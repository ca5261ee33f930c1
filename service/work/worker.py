"""A store and a Redis in, queued jobs run one after another out: what `yuyin worker` is."""

import asyncio
import logging
import signal

from model.errors import BadOptions
from service.settings import Settings
from service.stores.jobs import JobStore
from service.stores.opened import open_shared
from service.stores.shared import SNAPSHOT
from service.work.jobs import Runner
from service.work.reindex import Reindex

log = logging.getLogger("yuyin.service")

ATTEMPTS = 3  # workers that may die over one job before it has failed


def check(settings: Settings) -> None:
    """Raise `BadOptions` unless these settings make a worker."""
    if settings.redis_url is None:
        raise BadOptions(
            "a worker needs YUYIN_REDIS_URL, the one of the servers: without it a server runs its jobs itself"
        )
    if not settings.pools:
        raise BadOptions(
            "a worker needs the pools of the servers, by the same names: set YUYIN_POOLS, such as "
            '{"house": "/music"}'
        )


async def work(settings: Settings) -> None:
    """Run jobs until SIGTERM or SIGINT; the one that runs then is handed on, and begins where it was."""
    check(settings)
    async with open_shared(settings) as shared:

        async def put_in_force() -> None:
            await shared.notices.publish(SNAPSHOT)  # the builder has made it CURRENT; servers follow

        runner = Runner(
            "reindex",
            Reindex(settings, put_in_force),
            JobStore(settings.store),
            shared.notices,
            shared.queue,
            attempts=ATTEMPTS,
        )
        running = asyncio.create_task(runner.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.cancel)
        log.info("the worker waits for jobs", extra={"pools": sorted(settings.pools)})
        await asyncio.wait({running})
        if not running.cancelled():
            running.result()
        log.info("the worker has ended")
