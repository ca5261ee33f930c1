"""GET, DELETE /v1/jobs/{id} and GET .../events: an id in, the job's record, once or as it changes, out.

The record of a recommendation keeps its answer for a day; it is told as far as the rights of now allow it.
"""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from index_builder.rights.eligibility import Use
from model.errors import NotFound, NotReady
from service.deps import Caller, CallerDep, Parts, PartsDep, needs
from service.routes.responses import errors
from service.schemas.jobs import Job
from service.schemas.rights import AskedLicence
from service.work.recommend import let_go

router = APIRouter(prefix="/v1", tags=["jobs"], dependencies=[Depends(needs("admin", "recommend"))])

_EVENT_ID = re.compile("[0-9]{1,15}")  # what else a client sends, it has from somewhere else
POLL_S = 1  # how soon it pays to ask again
_EVENT: dict[str, Any] = {  # of one event, as OpenAPI 3.2 has it
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"const": "job"},
        "id": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Job"},
        },
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `event: job`, `id:` the record's version, `data:` the record as "
        "JSON. The stream ends with the job.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    204: {
        "description": "The job has ended and `Last-Event-ID` says that its end was told: do not reconnect."
    },
}

_ANY_USE = frozenset({"withdrawn", "unknown", "licence_expired"})  # keep a track back whatever it is for
_BEING_ENDED: dict[int | str, dict[str, Any]] = {202: {"model": Job, "description": "It is being ended."}}


@router.get("/jobs/{job_id}", responses=errors(401, 403, 404, 503))
async def job(job_id: str, parts: PartsDep, caller: CallerDep, response: Response) -> Job:
    """Poll a job. A reindex is `done` when its snapshot is in force, or is about to be within a second.

    The scope `admin` sees every job, `recommend` those that the same API key asked for.
    """
    found = await _visible(parts, caller, job_id)
    if found.open:
        response.headers["Retry-After"] = str(POLL_S)
    return _allowed(parts, found)


@router.get("/jobs/{job_id}/events", response_class=Response, responses=_STREAM | errors(401, 403, 404, 429))
async def events(
    job_id: str,
    parts: PartsDep,
    caller: CallerDep,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Follow a job without polling; a client that was cut off goes on where it was, by `Last-Event-ID`."""
    found = await _visible(parts, caller, job_id)
    known = int(last_event_id) if last_event_id and _EVENT_ID.fullmatch(last_event_id) else 0
    if not found.open and known == found.version:
        return Response(status_code=204)
    return StreamingResponse(
        _sent(parts, parts.jobs.follow(job_id, known if known <= found.version else 0)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"},
    )


async def _visible(parts: Parts, caller: Caller, job_id: str) -> Job:
    """A job that this caller may know of; raises `NotFound`."""
    found = await parts.jobs.get(job_id)
    if "admin" in caller.scopes or (found.kind == "recommend" and found.owner == caller.name):
        return found
    raise NotFound("there is no job of this id")


def _allowed(parts: Parts, job: Job) -> Job:
    """The record without music that may not come out any more for what was asked.

    Raises:
        NotReady: for an answer while no rights can be read.
    """
    if job.kind != "recommend" or job.result is None:
        return job
    ruling, now, use = parts.rights.take(parts.current.take().snapshot), datetime.now(UTC), _use(job)
    results = job.result["results"]
    allowed = []
    for one in results:
        against = ruling.reasons(one["track_id"], use or Use(), now)
        if not (against if use is not None else _ANY_USE.intersection(against)):
            allowed.append(one)
    if len(allowed) == len(results):
        return job
    warning = (
        f"{len(results) - len(allowed)} of {len(results)} tracks are left out, which may not be used for "
        "this any more: GET /v1/tracks/{track_id}/eligibility says why, asking anew finds others"
    )
    told = {"results": allowed, "warnings": [*job.result["warnings"], warning]}
    nothing = {} if allowed else {"no_good_match": None}
    return job.model_copy(update={"result": job.result | told | nothing})


def _use(job: Job) -> Use | None:
    """What the music is wanted for; None where that stood in a JSON body, of which nothing is kept."""
    options = job.asked["options"]
    if not options:
        return None
    return AskedLicence.model_validate_json(json.dumps(options["filters"]["licence"])).use()


async def _sent(parts: Parts, changes: AsyncIterator[Job | None]) -> AsyncIterator[str]:
    yield f"retry: {POLL_S * 1000}\n\n"
    async for found in changes:
        if found is None:
            yield ": alive\n\n"
            continue
        try:
            told = _allowed(parts, found)
        except NotReady:
            continue  # it has ended, so the stream does: its end is told to whoever comes again
        yield f"id: {told.version}\nevent: job\ndata: {told.model_dump_json()}\n\n"


@router.delete("/jobs/{job_id}", responses=_BEING_ENDED | errors(401, 403, 404, 409))
async def cancel(job_id: str, parts: PartsDep, caller: CallerDep, response: Response) -> Job:
    """Cancel a job: its work ends, what was half built is removed, the index in force stays.

    202 while it is being ended: follow the job. Asking again is fine, and answers the same; a job that ended
    otherwise is 409 `job_ended`.
    """
    await _visible(parts, caller, job_id)
    found = await parts.jobs.cancel(job_id)
    if not found.open:  # nobody had taken it up, so nobody else clears away
        await run_in_threadpool(let_go, parts.uploads, found)
    response.status_code = 202 if found.open else 200
    return found
