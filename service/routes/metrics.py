"""GET /metrics: for a Prometheus, with a key of the scope admin where there are keys."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from fastapi.concurrency import run_in_threadpool

from service.deps import PartsDep, needs
from service.routes.responses import errors

router = APIRouter(tags=["health"], dependencies=[Depends(needs("admin"))])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The text format of Prometheus, or OpenMetrics where `Accept` asks for it.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}


@router.get("/metrics", response_class=Response, responses=_TEXT | errors(401, 403, 404))
async def metrics(parts: PartsDep, accept: Annotated[str, Header()] = "") -> Response:
    """Counters, latencies and states of all processes behind this address; each sample says which one."""
    page, media_type = await run_in_threadpool(parts.exchange.page, accept)
    return Response(page, media_type=media_type)
