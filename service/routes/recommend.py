"""POST /recommend: a video, or what stands for one, in; ranked tracks with the moment to start from out."""

import json
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from model.errors import BadOptions, NotFound
from service.deps import Caller, CallerDep, Parts, PartsDep, needs, within_rate
from service.edge.idempotency import once
from service.edge.uploads import MAX_OPTIONS_BYTES, Upload, receive
from service.ranking.answering import Film, Sent
from service.ranking.recommender import Stopwatch
from service.routes.responses import errors
from service.routes.uploads import VIDEO
from service.schemas.jobs import Job
from service.schemas.options import Options
from service.schemas.question import EXAMPLES, Question
from service.schemas.recommendation import Recommendation

router = APIRouter(tags=["recommend"], dependencies=[Depends(needs("recommend")), Depends(within_rate)])

ASYNC = "respond-async"
_EXAMPLE = {"top_k": 5, "filters": {"bpm": {"min": 90, "max": 130}}}
_OPTIONS: dict[str, Any] = {
    "type": "string",
    "description": "JSON, see Options.",
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": "#/components/schemas/Options"},
    "examples": [json.dumps(_EXAMPLE)],
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {"video": VIDEO, "options": _OPTIONS},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Question"},
                "examples": {name: {"value": value} for name, value in EXAMPLES.items()},
            },
        },
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "X-YuYin-Cache": {
                "description": "hit: the same was asked before, nothing was computed. Otherwise miss.",
                "schema": {"type": "string", "enum": ["hit", "miss"]},
            }
        }
    },
    202: {
        "model": Job,
        "description": "With `Prefer: respond-async`: the job whose `result` will be the answer.",
        "headers": {"Location": {"description": "Where to ask for it.", "schema": {"type": "string"}}},
    },
    **errors(401, 403, 404, 409, 413, 415, 422, 429, 503),
}


@router.post("/v1/recommend", response_model=Recommendation, openapi_extra=_BODY, responses=_RESPONSES)
@router.post("/recommend", response_model=Recommendation, openapi_extra=_BODY, responses=_RESPONSES)
async def recommend(
    request: Request,
    parts: PartsDep,
    caller: CallerDep,
    options: Annotated[str | None, Query(description="JSON, see Options; with a raw body.")] = None,
    prefer: Annotated[str | None, Header(description=f"`{ASYNC}`: answer 202 with a job at once.")] = None,
    idempotency_key: Annotated[
        str | None, Header(description="The same key and request get the same answer, for a day.")
    ] = None,
) -> Response:
    """Rank the pool for one video: `curl -F video=@cut.mp4 localhost:8000/recommend`.

    The video comes as form field `video`, or as the raw body; options come as form field `options`, or as
    `?options=`. A JSON body names an earlier upload, or brings pictures or features in the place of a video.
    Nothing is kept after the answer but the answer itself, for whoever asks the same again.
    """
    parts.current.take()  # say not_ready before anything is uploaded
    _only_options(request)
    settings, clock = parts.settings, Stopwatch()
    in_query = None if options is None else Options.parse(options, top_k_max=settings.top_k_max)
    with parts.workers.admit(), ExitStack() as files:
        with clock.stage("upload"):
            body = await receive(request, settings.limits.max_bytes, takes_json=True)
            files.enter_context(body.file)
            asked = await _asked(parts, caller, body, in_query, files)
        later = prefer is not None and ASYNC in prefer.lower().replace(";", ",").replace(" ", "").split(",")
        now = _Now(parts, request, clock, asked.film)
        make: Callable[[], Awaitable[Response]] = _Later(parts, caller, body, asked) if later else now
        return await once(
            idempotency_key,
            parts.shared.idempotency,
            caller.name,
            {"route": "recommend", "later": later, **asked.fingerprint()},
            make,
            hold_s=settings.deadline_s,
            under="" if later else _in_force(parts),
        )


def _in_force(parts: Parts) -> str:
    """The rights that an answer of this instant holds under."""
    ruling = parts.rights.take(parts.current.take().snapshot)
    return f"{ruling.version}:{ruling.epoch(datetime.now(UTC))}:{ruling.unknown_passes}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks about."""

    film: Film | Sent
    upload_id: str | None = None  # of a video that was here before

    def options(self) -> dict[str, Any]:
        """As JSON; those of a JSON body stand in it."""
        return self.film.options.model_dump(mode="json") if isinstance(self.film, Film) else {}

    def fingerprint(self) -> dict[str, Any]:
        kind = type(self.film).__name__
        return {"kind": kind, "sha256": self.film.sha256, "options": self.options(), "upload": self.upload_id}


async def _asked(
    parts: Parts, caller: Caller, body: Upload, in_query: Options | None, files: ExitStack
) -> _Asked:
    """What the body is; an earlier upload that it names is opened into `files`."""
    most = parts.settings.top_k_max
    if body.kind == "video":
        if body.options is not None and in_query is not None:
            raise BadOptions("options stand in the form and in the address: send them once")
        options = in_query or Options.parse(body.options, top_k_max=most)
        return _Asked(Film(body.path, body.sha256, options))
    if in_query is not None:
        raise BadOptions("options stand in the address: with a JSON body they go into it, as 'options'")
    if body.size_bytes > MAX_OPTIONS_BYTES:  # pictures or features: parsed in a thread, if at all
        return _Asked(Sent(body.path, body.sha256))
    body.file.seek(0)
    question = Question.parse(body.file.read(), top_k_max=most)
    if question.upload_id is None:
        return _Asked(Sent(body.path, body.sha256))
    stored, file = await run_in_threadpool(parts.uploads.open, question.upload_id, caller.name)
    files.enter_context(file)
    if stored.kind != "video":
        raise NotFound("there is no upload of this id, or no longer: send the video again")
    there = Upload(file, stored.size_bytes, stored.sha256)
    return _Asked(Film(there.path, stored.sha256, question.options), stored.id)


@dataclass(frozen=True, slots=True)
class _Now:
    """The answer, in this request."""

    parts: Parts
    request: Request
    clock: Stopwatch
    film: Film | Sent

    async def __call__(self) -> Response:
        request = self.request
        request_id: str = request.state.request_id
        found = await self.parts.answering.answer(self.film, request_id, request.is_disconnected, self.clock)
        headers = {"X-YuYin-Cache": "hit" if found.hit else "miss"}
        return Response(found.body, headers=headers, media_type="application/json")


@dataclass(frozen=True, slots=True)
class _Later:
    """A job that answers, and the upload that it works on."""

    parts: Parts
    caller: Caller
    body: Upload
    asked: _Asked

    async def __call__(self) -> Response:
        parts, body, owner = self.parts, self.body, self.caller.name
        upload_id, keep = self.asked.upload_id, self.asked.upload_id is not None
        if upload_id is None:
            stored = await run_in_threadpool(
                parts.uploads.put, body.file, body.size_bytes, body.sha256, body.kind, owner
            )
            upload_id = stored.id
        try:
            wish = {"upload_id": upload_id, "keep": keep, "options": self.asked.options()}
            job = await parts.jobs.start("recommend", wish, owner)
        except BaseException:
            if not keep:
                parts.uploads.remove(upload_id)
            raise
        headers = {"Location": f"/v1/jobs/{job.id}", "Preference-Applied": ASYNC, "Retry-After": "1"}
        return Response(job.model_dump_json(), 202, headers=headers, media_type="application/json")


def _only_options(request: Request) -> None:
    unknown = sorted(set(request.query_params) - {"options"})
    if unknown:
        raise BadOptions(f"unknown query parameters {unknown}: options go as JSON into ?options=")
