"""Settings in, the ASGI application out: everything is built once, here, and handed down."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from model.errors import BadOptions
from model.media.child import Decoder
from service import errors
from service.deps import Parts
from service.fence import Fence, is_loopback
from service.jobs import Reindexer
from service.keys import Keyring, load_keys
from service.links import Links
from service.logs import RequestLog
from service.routes import admin, docs, health, jobs, page, recommend, samples, tracks
from service.schemas.health import Problem
from service.schemas.options import Options
from service.serving import Current
from service.settings import Settings
from service.stores.jobs import JobStore
from service.workers import Workers

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
            app.state.parts = parts
            yield

    app = FastAPI(
        title="YuYin",
        version=version("yuyin"),
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    for part in (recommend, tracks, samples, jobs, admin, health, docs, page):
        app.include_router(part.router)
    page.mount(app)
    errors.install(app)
    if not keyring:
        app.add_middleware(Fence)
    app.add_middleware(RequestLog)  # added last: outermost, so that refusals have an id and a line too
    _document(app)
    return app


@asynccontextmanager
async def _running(settings: Settings, keyring: Keyring) -> AsyncIterator[Parts]:
    """Open the store, start what works in the background, end all of it again."""
    current, job_records = (
        Current(settings.store, settings.backbones, batch_wait_ms=settings.batch_wait_ms),
        JobStore(settings.store),
    )
    workers = Workers(settings.in_flight, settings.queue)
    reindexer = Reindexer(job_records, current)
    decoder = Decoder(settings.limits.for_video())
    loader = ThreadPoolExecutor(1, thread_name_prefix="yuyin-loader")
    await asyncio.to_thread(job_records.end_interrupted)
    await asyncio.to_thread(current.follow)
    watcher = asyncio.create_task(current.watch(loader, settings.follow_s))
    try:
        links = Links(settings.store)
        yield Parts(settings, keyring, current, decoder, workers, job_records, reindexer, links)
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await asyncio.to_thread(reindexer.close)
        await asyncio.to_thread(workers.close)
        await asyncio.to_thread(decoder.close)
        loader.shutdown()


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
