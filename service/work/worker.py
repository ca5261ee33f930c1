"""A store and a Redis in, queued jobs run out, of each kind by itself: what `yuyin worker` is."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from model.errors import BadOptions
from model.media.child import Decoder
from service.metrics.counted import Metrics
from service.ranking.answering import Answering
from service.serving.answered import Answered
from service.serving.current import Current
from service.serving.following import follow
from service.serving.rightsbook import FOLLOW_S, Rightsbook
from service.serving.workers import Workers, unwanted
from service.settings import Settings
from service.stores.jobs import JobStore, Kind
from service.stores.opened import open_shared
from service.stores.shared import RIGHTS, SNAPSHOT, JobQueue, Shared
from service.stores.uploads import UploadStore
from service.work.jobs import Runner, Work, prune_now_and_then
from service.work.recommend import AT_ONCE, Recommending, sweep_now_and_then
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
    """Run jobs until SIGTERM or SIGINT; those that run then are handed on."""
    check(settings)
    async with open_shared(settings) as shared, _answering(settings, shared) as answering:

        async def put_in_force() -> None:
            await shared.notices.publish(SNAPSHOT)  # the builder has made it CURRENT; servers follow

        uploads = UploadStore(settings.store, settings.upload_ttl_s, settings.uploads_max_bytes)
        records = JobStore(settings.store)
        background = [sweep_now_and_then(uploads), prune_now_and_then(records)]
        background += [_runner("reindex", Reindex(settings, put_in_force), records, shared, shared.queue)]
        recommending = Recommending(answering, uploads)
        for _ in range(AT_ONCE):
            background += [_runner("recommend", recommending, records, shared, shared.recommending)]
        await _until_stopped([asyncio.create_task(each) for each in background], settings)


def _runner(
    kind: Kind, task: Work, records: JobStore, shared: Shared, queue: JobQueue
) -> Coroutine[Any, Any, None]:
    return Runner(kind, task, records, shared.notices, queue, attempts=ATTEMPTS).run()


async def _until_stopped(tasks: list[asyncio.Task[None]], settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    log.info("the worker waits for jobs", extra={"pools": sorted(settings.pools)})
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, waiting):
        task.cancel()
    await asyncio.wait([*tasks, waiting])
    for task in tasks:
        if not task.cancelled():
            task.result()  # nothing ends by itself: it raises
    log.info("the worker has ended")


@asynccontextmanager
async def _answering(settings: Settings, shared: Shared) -> AsyncIterator[Answering]:
    """What answers a recommendation here, following the store as a server does."""
    book = Rightsbook(settings.store, settings.unknown_licences)
    current = Current(
        settings.store, settings.backbones, batch_wait_ms=settings.batch_wait_ms, prepare=book.prepare
    )
    workers = Workers(AT_ONCE, 0, settings.deadline_s)
    decoder = Decoder(settings.limits.for_video(), sandbox=settings.sandbox, unwanted=unwanted)
    answered = Answered(shared.cache, settings.cache_s)
    loader = ThreadPoolExecutor(2, thread_name_prefix="yuyin-loader")  # rights never wait for a snapshot
    await asyncio.to_thread(book.follow)
    await asyncio.to_thread(current.follow)
    following = [
        follow(shared.notices, SNAPSHOT, current.follow, loader, every_s=settings.follow_s),
        follow(shared.notices, RIGHTS, book.look(current), loader, every_s=FOLLOW_S),
    ]
    tasks = [asyncio.create_task(each) for each in following]
    try:
        yield Answering(settings, current, book, decoder, workers, answered, Metrics())
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.to_thread(workers.close)
        await asyncio.to_thread(decoder.close)
        loader.shutdown()
