"""Settings in, the ASGI application out: everything is built once, here, and handed down."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from model.errors import BadOptions
from model.media.child import Decoder
from service import errors
from service.deps import Parts
from service.edge.bodies import Bodies, Pace
from service.edge.door import Door, DoorKeeper
from service.edge.fence import Fence, is_loopback
from service.edge.keys import Keyring, load_keys
from service.edge.links import Links
from service.edge.logs import RequestLog
from service.routes import admin, docs, health, jobs, page, recommend, rights, samples, tracks
from service.schemas.health import Problem
from service.schemas.options import Options
from service.serving.current import Current
from service.serving.following import follow
from service.serving.rightsbook import FOLLOW_S, Rightsbook
from service.serving.workers import Workers, unwanted
from service.settings import Settings
from service.stores.jobs import JobStore
from service.stores.opened import open_shared
from service.stores.shared import RIGHTS, SNAPSHOT, Shared
from service.work.jobs import Jobs, Runner, free_lapsed
from service.work.reindex import Reindex, swap_here

_ABOUT = """A rough cut in, ranked tracks of your own pool out, each with the moment to start from.

    curl -F video=@cut.mp4 http://localhost:8000/recommend

Every error is `application/problem+json` with a stable `code`."""


def create_app(settings: Settings) -> FastAPI:
    """The service.

    Raises:
        BadOptions: if it would listen to other machines without keys, or the keys cannot be read.
    """
    keyring = load_keys(settings)
    if not keyring and not is_loopback(settings.host):
        raise BadOptions(
            f"without API keys this server listens to this machine only, not to {settings.host!r}: "
            "set YUYIN_HOST=127.0.0.1, or configure YUYIN_KEYS or YUYIN_KEYS_FILE"
        )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _running(settings, keyring) as parts:
            app.state.parts, app.state.end_streams = parts, parts.jobs.end_streams
            yield

    app = FastAPI(
        title="YuYin",
        version=version("yuyin"),
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for part in (recommend, rights, tracks, samples, jobs, admin, health, docs, page):
        app.include_router(part.router)
    page.mount(app)
    errors.install(app)
    if not keyring:
        app.add_middleware(Fence)
    app.state.door = door = Door()
    app.add_middleware(Bodies, pace=Pace(settings.upload_idle_s, settings.upload_bytes_per_s))
    app.add_middleware(DoorKeeper, door=door)
    app.add_middleware(RequestLog)  # added last: outermost, so that refusals have an id and a line too
    _document(app)
    return app


@asynccontextmanager
async def _running(settings: Settings, keyring: Keyring) -> AsyncIterator[Parts]:
    """Open the store, start what works in the background, end all of it again."""
    rightsbook = Rightsbook(settings.store, settings.unknown_licences)
    current = Current(
        settings.store,
        settings.backbones,
        batch_wait_ms=settings.batch_wait_ms,
        prepare=rightsbook.prepare,
    )
    workers = Workers(settings.in_flight, settings.queue, settings.deadline_s)
    decoder = Decoder(settings.limits.for_video(), sandbox=settings.sandbox, unwanted=unwanted)
    loader = ThreadPoolExecutor(1, thread_name_prefix="yuyin-loader")
    reader = ThreadPoolExecutor(1, thread_name_prefix="yuyin-rights")  # never behind a large snapshot
    async with open_shared(settings) as shared:
        await asyncio.to_thread(rightsbook.follow)
        await asyncio.to_thread(current.follow)
        jobs = Jobs(JobStore(settings.store), shared.notices, shared.queue)
        background = [asyncio.create_task(work) for work in _background(settings, current, shared, loader)]
        look = rightsbook.look(current)
        background.append(asyncio.create_task(follow(shared.notices, RIGHTS, look, reader, every_s=FOLLOW_S)))
        try:
            links = Links(settings.store)
            yield Parts(settings, keyring, current, decoder, workers, jobs, shared, links, rightsbook)
        finally:
            for task in background:
                task.cancel()
            await asyncio.wait(background)
            await asyncio.to_thread(workers.close)
            await asyncio.to_thread(decoder.close)
            loader.shutdown()
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


def _document(app: FastAPI) -> None:
    """Add to the OpenAPI document what no signature says: the options, the errors and their codes."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document["components"]["schemas"]
            for model in (Options, Problem):
                described = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(described.pop("$defs", {}))
                schemas[model.__name__] = described
            document["x-errors"] = [
                {"code": code, "status": status, "title": title}
                for code, (status, title) in errors.STATUS.items()
            ]
            _drop_foreign_errors(document)
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI documents for extending it


def _drop_foreign_errors(document: dict[str, Any]) -> None:
    """FastAPI describes its own form of 422 wherever we did not; `service.errors` never answers in it."""
    for methods in document["paths"].values():
        for operation in methods.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
