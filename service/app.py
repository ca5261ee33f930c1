"""Settings in, the ASGI application out: everything is built once, here, and handed down."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from model.errors import BadOptions
from model.media.child import Decoder
from service import errors
from service.deps import Parts
from service.edge import cors
from service.edge.admin import AdminAddress
from service.edge.bodies import Bodies, Pace
from service.edge.door import Door, DoorKeeper
from service.edge.fence import Fence, is_loopback
from service.edge.headers import SecurityHeaders
from service.edge.keybook import FOLLOW_S as FOLLOW_KEYS_S
from service.edge.keybook import KEYS, Keybook
from service.edge.keys import load_keys
from service.edge.links import Links
from service.edge.logs import RequestLog
from service.metrics.counted import Metrics
from service.metrics.exchange import Exchange
from service.metrics.state import State
from service.openapi import document, operation_id
from service.ranking.answering import Answering
from service.routes import (
    admin,
    docs,
    feedback,
    health,
    jobs,
    page,
    recommend,
    rights,
    samples,
    tracks,
    uploads,
)
from service.routes import metrics as scraped
from service.serving.answered import Answered
from service.serving.confined import FOLLOW_S as FOLLOW_SANDBOX_S
from service.serving.confined import SANDBOX, Confined
from service.serving.current import Current
from service.serving.following import follow
from service.serving.rightsbook import FOLLOW_S, Rightsbook
from service.serving.room import FOLLOW_S as FOLLOW_ROOM_S
from service.serving.room import ROOM, Room
from service.serving.workers import Workers, unwanted
from service.settings import Settings
from service.stores.feedback import FeedbackLog
from service.stores.jobs import JobStore, Kind
from service.stores.opened import open_shared
from service.stores.shared import RIGHTS, SNAPSHOT, JobQueue, Shared
from service.stores.uploads import UploadStore
from service.work.jobs import Jobs, Runner, free_lapsed, prune_now_and_then
from service.work.recommend import AT_ONCE, Recommending, sweep_now_and_then
from service.work.reindex import Reindex, swap_here

_ABOUT = """A rough cut in, ranked tracks of your own pool out, each with the moment to start from.

    curl -F video=@cut.mp4 http://localhost:8000/recommend

Every error is `application/problem+json` with a stable `code`."""


def create_app(settings: Settings, metrics_file: Path | None = None) -> FastAPI:
    """The service.

    Args:
        settings: all of them.
        metrics_file: where to put this process's metrics for others of its supervisor, if there are any.

    Raises:
        BadOptions: if it would listen to other machines without keys, or the keys cannot be read.
    """
    keyring = load_keys(settings)
    keys = Keybook(settings, keyring)
    if not keyring and not is_loopback(settings.host):
        raise BadOptions(
            f"without API keys this server listens to this machine only, not to {settings.host!r}: "
            "set YUYIN_HOST=127.0.0.1, or configure YUYIN_KEYS or YUYIN_KEYS_FILE"
        )
    if not keyring and settings.admin_host is not None and not is_loopback(settings.admin_host):
        raise BadOptions(
            f"without API keys admins are served on this machine only, not on {settings.admin_host!r}: "
            "set YUYIN_ADMIN_HOST=127.0.0.1, or configure YUYIN_KEYS or YUYIN_KEYS_FILE"
        )

    door, metrics = Door(), Metrics()
    exchange = Exchange(metrics.registry, metrics_file)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(settings, keys, metrics, exchange) as parts:
            app.state.parts, app.state.end_streams = parts, parts.jobs.end_streams
            metrics.registry.register(state := State(parts, door))
            yield
            metrics.registry.unregister(state)

    app = FastAPI(
        title="YuYin",
        version=version("yuyin"),
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    for part in (
        recommend,
        uploads,
        rights,
        tracks,
        samples,
        jobs,
        feedback,
        admin,
        health,
        scraped,
        docs,
        page,
    ):
        app.include_router(part.router)
    page.mount(app)
    errors.install(app)
    app.state.door = door
    _guard(app, settings, metrics, keyless=not keyring)
    document(app)
    return app


def _guard(app: FastAPI, settings: Settings, metrics: Metrics, *, keyless: bool) -> None:
    """What every request passes before it meets a route, from the inside out.

    The outermost gives refusals an id and a line in the log, too.
    """
    if settings.admin_port is not None:
        app.add_middleware(AdminAddress, port=settings.admin_port)
    app.add_middleware(Bodies, pace=Pace(settings.upload_idle_s, settings.upload_bytes_per_s))
    app.add_middleware(DoorKeeper, door=app.state.door)
    cors.allow(app, settings.cors_origins)
    app.add_middleware(Fence, keyless=keyless, origins=settings.cors_origins)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestLog, ended=metrics.ended)


@asynccontextmanager
async def _running(
    settings: Settings, keys: Keybook, metrics: Metrics, exchange: Exchange
) -> AsyncIterator[Parts]:
    """Open the store, start what works in the background, end all of it again."""
    rightsbook = Rightsbook(settings.store, settings.unknown_licences)
    current = Current(
        settings.store,
        settings.backbones,
        batch_wait_ms=settings.batch_wait_ms,
        prepare=rightsbook.prepare,
        on_batch=metrics.batches.observe,
    )
    room = Room(settings.store)
    workers = Workers(settings.in_flight, settings.queue, settings.deadline_s)
    decoder = Decoder(settings.limits.for_video(), sandbox=settings.sandbox, unwanted=unwanted)
    confined = Confined(decoder)
    loader = ThreadPoolExecutor(1, thread_name_prefix="yuyin-loader")
    looks = (
        (RIGHTS, rightsbook.look(current), FOLLOW_S),
        (KEYS, keys.follow, FOLLOW_KEYS_S),
        (ROOM, room.look, FOLLOW_ROOM_S),
    )
    # A thread each: none waits for another, nor for a large snapshot.
    reader = ThreadPoolExecutor(len(looks), thread_name_prefix="yuyin-looks")
    async with open_shared(settings) as shared:
        await asyncio.to_thread(rightsbook.follow)
        await asyncio.to_thread(room.look)
        await asyncio.to_thread(current.follow)
        answered = Answered(shared.cache, settings.cache_s)
        answering = Answering(settings, current, rightsbook, decoder, workers, answered, metrics)
        uploads = UploadStore(settings.store, settings.upload_ttl_s, settings.uploads_max_bytes)
        queues: dict[Kind, JobQueue] = {"reindex": shared.queue, "recommend": shared.recommending}
        jobs = Jobs(JobStore(settings.store), shared.notices, queues)
        kept = FeedbackLog(settings.store)
        background = [asyncio.create_task(work) for work in _background(settings, current, shared, loader)]
        background += [asyncio.create_task(work) for work in _recommending(answering, uploads, shared)]
        for topic, look, every_s in looks:
            following = follow(shared.notices, topic, look, reader, every_s=every_s)
            background.append(asyncio.create_task(following))
        background.append(asyncio.create_task(exchange.run()))
        loader.submit(confined.look)
        following = follow(shared.notices, SANDBOX, confined.look, loader, every_s=FOLLOW_SANDBOX_S)
        background.append(asyncio.create_task(following))
        try:
            links = Links(settings.store)
            yield Parts(
                settings,
                keys,
                current,
                decoder,
                workers,
                jobs,
                shared,
                links,
                rightsbook,
                answering,
                uploads,
                feedback=kept,
                metrics=metrics,
                exchange=exchange,
                room=room,
                confined=confined,
            )
        finally:
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            await asyncio.to_thread(kept.close)
            await asyncio.to_thread(workers.close)
            await asyncio.to_thread(loader.shutdown)  # before the decoder, which it may be asking
            await asyncio.to_thread(decoder.close)
            reader.shutdown()


def _background(
    settings: Settings, current: Current, shared: Shared, loader: ThreadPoolExecutor
) -> Iterator[Coroutine[Any, Any, None]]:
    """What runs beside the requests; with Redis, jobs are the business of `yuyin worker`."""
    yield follow(shared.notices, SNAPSHOT, current.follow, loader, every_s=settings.follow_s)
    records = JobStore(settings.store)
    if settings.redis_url is None:
        work = Reindex(settings, swap_here(current, shared.notices, loader))
        yield Runner("reindex", work, records, shared.notices, shared.queue, attempts=1).run()
    else:
        yield free_lapsed("reindex", records, shared.notices, shared.queue)


def _recommending(
    answering: Answering, uploads: UploadStore, shared: Shared
) -> Iterator[Coroutine[Any, Any, None]]:
    """Recommendations that somebody does not wait for, and what they leave behind."""
    records, queue = JobStore(answering.settings.store), shared.recommending
    yield sweep_now_and_then(uploads)
    yield prune_now_and_then(records)
    if answering.settings.redis_url is None:
        work = Recommending(answering, uploads)
        for _ in range(AT_ONCE):
            yield Runner("recommend", work, records, shared.notices, queue, attempts=1).run()
    else:
        yield free_lapsed("recommend", records, shared.notices, queue)
