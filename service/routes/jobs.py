"""GET, DELETE /v1/jobs/{id} and GET .../events: an id in, the job's record, once or as it changes, out."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from fastapi.responses import StreamingResponse

from service.deps import PartsDep, needs
from service.routes.responses import errors
from service.schemas.jobs import Job

router = APIRouter(prefix="/v1", tags=["jobs"], dependencies=[Depends(needs("admin"))])

_EVENT_ID = re.compile("[0-9]{1,15}")  # what else a client sends, it has from somewhere else
POLL_S = 1  # how soon it pays to ask again
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `event: job`, `id:` the record's version, `data:` the record as "
        "JSON. The stream ends with the job.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {
        "description": "The job has ended and `Last-Event-ID` says that its end was told: do not reconnect."
    },
}


@router.get("/jobs/{job_id}", responses=errors(401, 403, 404))
async def job(job_id: str, parts: PartsDep, response: Response) -> Job:
    """Poll a job: `done` means that its snapshot is in force, or is about to be within a second."""
    found = await parts.jobs.get(job_id)
    if found.open:
        response.headers["Retry-After"] = str(POLL_S)
    return found


@router.get("/jobs/{job_id}/events", response_class=Response, responses=_STREAM | errors(401, 403, 404, 429))
async def events(
    job_id: str, parts: PartsDep, last_event_id: Annotated[str | None, Header()] = None
) -> Response:
    """Follow a job without polling; a client that was cut off goes on where it was, by `Last-Event-ID`."""
    found = await parts.jobs.get(job_id)
    known = int(last_event_id) if last_event_id and _EVENT_ID.fullmatch(last_event_id) else 0
    if not found.open and known == found.version:
        return Response(status_code=204)
    return StreamingResponse(
        _sent(parts.jobs.follow(job_id, known if known <= found.version else 0)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"},
    )


async def _sent(changes: AsyncIterator[Job | None]) -> AsyncIterator[str]:
    yield f"retry: {POLL_S * 1000}\n\n"
    async for found in changes:
        if found is None:
            yield ": alive\n\n"
        else:
            yield f"id: {found.version}\nevent: job\ndata: {found.model_dump_json()}\n\n"


@router.delete("/jobs/{job_id}", responses=errors(401, 403, 404, 409))
async def cancel(job_id: str, parts: PartsDep, response: Response) -> Job:
    """Cancel a job: its work ends, what was half built is removed, the index in force stays.

    202 while it is being ended: follow the job. Asking again is fine, and answers the same; a job that ended
    otherwise is 409 `job_ended`.
    """
    found = await parts.jobs.cancel(job_id)
    response.status_code = 202 if found.open else 200
    return found
