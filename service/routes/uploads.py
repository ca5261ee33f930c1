"""POST, GET, DELETE /v1/uploads: a video in, kept for an hour: sent once, asked about often."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool

from model.errors import BadOptions, NotFound
from service.deps import CallerDep, PartsDep, needs, within_rate
from service.edge.idempotency import once
from service.edge.uploads import receive
from service.routes.responses import errors
from service.schemas.uploads import KeptUpload
from service.stores.uploads import UploadStore

router = APIRouter(
    prefix="/v1", tags=["recommend"], dependencies=[Depends(needs("recommend")), Depends(within_rate)]
)

VIDEO: dict[str, Any] = {"type": "string", "format": "binary", "description": "The rough cut."}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["video"], "properties": {"video": VIDEO}}
            },
        },
    }
}


@router.post(
    "/uploads",
    status_code=201,
    response_model=KeptUpload,
    openapi_extra=_BODY,
    responses=errors(401, 403, 409, 413, 422, 429),
)
async def upload(
    request: Request,
    parts: PartsDep,
    caller: CallerDep,
    idempotency_key: Annotated[
        str | None, Header(description="The same key and video get the same upload, for a day.")
    ] = None,
) -> Response:
    """Keep a video for an hour, for `upload_id` of POST /recommend; only the same API key can use it.

    The video is the raw body, or the form field `video`. It is not looked at before it is asked about.
    """
    if request.query_params:
        raise BadOptions(f"unknown query parameters {sorted(request.query_params)}: this route has none")
    settings = parts.settings
    with parts.workers.admit():
        body = await receive(request, settings.limits.max_bytes)
        with body.file:
            if body.options is not None:
                raise BadOptions("form field 'options': send it with the question, not with the upload")

            async def keep() -> Response:
                stored = await run_in_threadpool(
                    parts.uploads.put, body.file, body.size_bytes, body.sha256, body.kind, caller.name
                )
                told = KeptUpload.of(stored).model_dump_json()
                place = {"Location": f"/v1/uploads/{stored.id}"}
                return Response(told, 201, headers=place, media_type="application/json")

            asked = {"route": "uploads", "sha256": body.sha256}
            return await once(
                idempotency_key,
                parts.shared.idempotency,
                caller.name,
                asked,
                keep,
                hold_s=settings.deadline_s,
                holds=partial(_there, parts.uploads, caller.name),
            )


async def _there(uploads: UploadStore, owner: str | None, told: bytes) -> bool:
    """Whether the upload that an earlier answer told of is still kept."""
    try:
        await run_in_threadpool(uploads.get, KeptUpload.model_validate_json(told).upload_id, owner)
    except NotFound:
        return False
    return True


@router.get("/uploads/{upload_id}", responses=errors(401, 403, 404))
async def kept(upload_id: str, parts: PartsDep, caller: CallerDep) -> KeptUpload:
    """Whether an upload is still there, and until when."""
    return KeptUpload.of(await run_in_threadpool(parts.uploads.get, upload_id, caller.name))


@router.delete("/uploads/{upload_id}", status_code=204, responses=errors(401, 403, 404))
async def delete(upload_id: str, parts: PartsDep, caller: CallerDep) -> Response:
    """Delete an upload before its time; a request that works on it goes on."""
    await run_in_threadpool(parts.uploads.get, upload_id, caller.name)
    await run_in_threadpool(parts.uploads.remove, upload_id)
    return Response(status_code=204)
