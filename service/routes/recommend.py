"""POST /recommend: one video in, ranked tracks with the moment to start from out."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from model.errors import BadOptions
from service.deps import PartsDep, needs
from service.edge.uploads import receive
from service.ranking.answers import answer
from service.ranking.recommender import Stopwatch
from service.routes.responses import errors
from service.schemas.options import Options
from service.schemas.recommendation import Recommendation

router = APIRouter(tags=["recommend"], dependencies=[Depends(needs("recommend"))])

_EXAMPLE = {"top_k": 5, "filters": {"bpm": {"min": 90, "max": 130}}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["video"],
                    "properties": {
                        "video": {"type": "string", "format": "binary", "description": "The rough cut."},
                        "options": {
                            "type": "string",
                            "description": "JSON, see Options.",
                            "contentMediaType": "application/json",
                            "contentSchema": {"$ref": "#/components/schemas/Options"},
                            "examples": [json.dumps(_EXAMPLE)],
                        },
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_ERRORS = errors(401, 403, 413, 415, 422, 429, 503)


@router.post("/v1/recommend", openapi_extra=_BODY, responses=_ERRORS)
@router.post("/recommend", openapi_extra=_BODY, responses=_ERRORS)
async def recommend(
    request: Request,
    parts: PartsDep,
    options: Annotated[str | None, Query(description="JSON, see Options; with a raw body.")] = None,
) -> Recommendation:
    """Rank the pool for one video: `curl -F video=@cut.mp4 localhost:8000/recommend`.

    The video comes as form field `video`, or as the raw body. Options come as form field `options`,
    or as `?options=`. Nothing uploaded is kept after the answer.
    """
    parts.current.take()  # say not_ready before anything is uploaded
    _only_options(request)
    settings, clock = parts.settings, Stopwatch()
    in_query = Options.parse(options, top_k_max=settings.top_k_max)
    with parts.workers.admit():
        with clock.stage("upload"):
            upload = await receive(request, settings.limits.max_bytes)
        with upload.file:
            if upload.options is not None and options is not None:
                raise BadOptions("options stand in the form and in the address: send them once")
            in_form = Options.parse(upload.options, top_k_max=settings.top_k_max)
            asked = in_query if options is not None else in_form
            serving, queued = parts.current.take(), clock.start("queue")
            ruling = parts.rights.take(serving.snapshot)

            def work() -> Recommendation:
                queued()
                top_k = asked.top_k or settings.top_k_default
                request_id: str = request.state.request_id
                return answer(serving, ruling, parts.decoder, upload.path, asked, top_k, request_id, clock)

            return await parts.workers.run(work, request.is_disconnected)


def _only_options(request: Request) -> None:
    unknown = sorted(set(request.query_params) - {"options"})
    if unknown:
        raise BadOptions(f"unknown query parameters {unknown}: options go as JSON into ?options=")
