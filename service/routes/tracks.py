"""GET /v1/tracks...: a track's id in, its facts, its preview and its peaks out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from service.answers import media_urls
from service.deps import PartsDep, ServingDep, needs
from service.ranges import file_answer
from service.routes.responses import errors
from service.schemas import Track, TrackPage
from service.serving import Serving

router = APIRouter(prefix="/v1", tags=["tracks"], dependencies=[Depends(needs("catalogue"))])

_ERRORS = errors(401, 403, 404, 503)


@router.get("/tracks", responses=errors(401, 403, 422, 503))
def tracks(
    serving: ServingDep,
    offset: Annotated[int, Query(ge=0, description="How many to leave out.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="How many to return.")] = 50,
) -> TrackPage:
    """The tracks of the snapshot in force, page by page."""
    total = len(serving.snapshot.catalogue)
    rows = range(offset, min(offset + limit, total))
    return TrackPage(
        snapshot=serving.snapshot.id,
        total=total,
        offset=offset,
        tracks=[_track(_facts(serving, row)) for row in rows],
    )


@router.head("/tracks/{track_id:path}/audio", include_in_schema=False)
@router.get("/tracks/{track_id:path}/audio", responses=errors(401, 403, 404, 416, 503))
def audio(track_id: str, request: Request, parts: PartsDep, serving: ServingDep) -> Response:
    """A preview that every browser plays (AAC in MP4); Range and If-None-Match are honoured."""
    return _media(request, parts, serving, track_id, "preview.m4a", "audio/mp4")


@router.head("/tracks/{track_id:path}/peaks", include_in_schema=False)
@router.get("/tracks/{track_id:path}/peaks", responses=_ERRORS)
def peaks(track_id: str, request: Request, parts: PartsDep, serving: ServingDep) -> Response:
    """The waveform to draw: JSON with `duration_s` and `peaks`."""
    return _media(request, parts, serving, track_id, "peaks.json", "application/json")


@router.get("/tracks/{track_id:path}", responses=_ERRORS)
def track(track_id: str, serving: ServingDep) -> Track:
    """What is known of one track."""
    return _track(_find(serving, track_id))


def _facts(serving: Serving, row: int) -> dict[str, Any]:
    return serving.snapshot.catalogue.facts(row)


def _find(serving: Serving, track_id: str) -> dict[str, Any]:
    return _facts(serving, serving.snapshot.catalogue.row_of(track_id))


def _track(facts: dict[str, Any]) -> Track:
    known = {name: facts[name] for name in Track.model_fields if name in facts}
    return Track.model_validate({**known, **media_urls(facts["track_id"])})


def _media(
    request: Request, parts: PartsDep, serving: Serving, track_id: str, name: str, media_type: str
) -> Response:
    folder = parts.settings.store / "media" / _find(serving, track_id)["media_sha256"]
    return file_answer(request, folder / name, media_type)
