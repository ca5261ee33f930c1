"""GET /v1/tracks..., /v1/facets, POST /v1/media-links: a track's id in, what is known and heard of it out."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray

from model.errors import NotFound
from service.deps import Parts, PartsDep, ServingDep, may_hear, needs
from service.edge.ranges import file_answer
from service.ranking.answers import licence_of, media_urls
from service.routes.responses import errors, file_of
from service.schemas.asked import Range
from service.schemas.tracks import Facets, MediaLink, MediaLinksRequest, Track, TrackPage
from service.serving.current import Serving
from service.serving.rightsbook import Ruling

router = APIRouter(prefix="/v1", tags=["tracks"])

_CATALOGUE = [Depends(needs("catalogue"))]
_EITHER = [Depends(needs("recommend", "catalogue"))]  # an editor's page needs what these say
_HEAR = [Depends(may_hear)]
_DRAWN: dict[str, Any] = {
    "type": "object",
    "required": ["duration_s", "peaks"],
    "properties": {"duration_s": {"type": "number"}, "peaks": {"type": "array", "items": {}}},
}
_PEAKS = file_of("application/json") | {
    200: {"description": "All of it.", "content": {"application/json": {"schema": _DRAWN}}}
}


@router.get("/facets", responses=errors(401, 403, 503), dependencies=_EITHER)
def facets(parts: PartsDep, serving: ServingDep) -> Facets:
    """What the tracks of the snapshot in force can be filtered by."""
    catalogue = serving.snapshot.catalogue
    return Facets(
        snapshot=serving.snapshot.id,
        tracks=len(catalogue),
        genres=catalogue.values("genres"),
        moods=catalogue.values("moods"),
        bpm=_extent(catalogue.columns["bpm"]),
        duration_s=_extent(catalogue.columns["duration_s"]),
        top_k_max=parts.settings.top_k_max,
    )


def _extent(column: NDArray[np.float64]) -> Range | None:
    known = column[np.isfinite(column)]
    return Range(min=float(known.min()), max=float(known.max())) if len(known) else None


@router.post("/media-links", responses=errors(401, 403, 409, 422, 503), dependencies=_EITHER)
def media_links(asked: MediaLinksRequest, parts: PartsDep, serving: ServingDep) -> dict[str, MediaLink]:
    """Addresses of previews and waveforms that need no key for an hour: `<audio>` cannot send one.

    A track that the snapshot in force does not have, or that was withdrawn, is left out.
    """
    rows_of, rights = serving.snapshot.catalogue.rows_of, parts.rights.take(serving.snapshot).rights
    return {
        track_id: _link(parts, track_id)
        for track_id in asked.track_ids
        if len(rows_of([track_id])) and not rights.licence(track_id).withdrawn
    }


def _link(parts: Parts, track_id: str) -> MediaLink:
    link = parts.links.sign(track_id)
    query = urlencode({"expires": link.expires, "signature": link.signature})
    expires_at = datetime.fromtimestamp(link.expires, UTC).isoformat()
    return MediaLink(expires_at=expires_at, **media_urls(track_id, f"?{query}"))


@router.get("/tracks", responses=errors(401, 403, 422, 503), dependencies=_CATALOGUE)
def tracks(
    parts: PartsDep,
    serving: ServingDep,
    offset: Annotated[int, Query(ge=0, description="How many to leave out.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="How many to return.")] = 50,
) -> TrackPage:
    """The tracks of the snapshot in force, page by page."""
    total = len(serving.snapshot.catalogue)
    rows = range(offset, min(offset + limit, total))
    ruling = parts.rights.take(serving.snapshot)
    return TrackPage(
        snapshot=serving.snapshot.id,
        total=total,
        offset=offset,
        tracks=[_track(_facts(serving, row), ruling) for row in rows],
    )


@router.head("/tracks/{track_id:path}/audio", include_in_schema=False, dependencies=_HEAR)
@router.get(
    "/tracks/{track_id:path}/audio",
    response_class=Response,
    responses=file_of("audio/mp4") | errors(401, 403, 404, 409, 416, 503),
    dependencies=_HEAR,
)
def audio(track_id: str, request: Request, parts: PartsDep, serving: ServingDep) -> Response:
    """A preview that every browser plays (AAC in MP4); Range and If-None-Match are honoured."""
    return _media(request, parts, serving, track_id, "preview.m4a", "audio/mp4")


@router.head("/tracks/{track_id:path}/peaks", include_in_schema=False, dependencies=_HEAR)
@router.get(
    "/tracks/{track_id:path}/peaks",
    response_class=Response,
    responses=_PEAKS | errors(401, 403, 404, 409, 416, 503),
    dependencies=_HEAR,
)
def peaks(track_id: str, request: Request, parts: PartsDep, serving: ServingDep) -> Response:
    """The waveform to draw: JSON with `duration_s` and `peaks`."""
    return _media(request, parts, serving, track_id, "peaks.json", "application/json")


@router.get("/tracks/{track_id:path}", responses=errors(401, 403, 404, 503), dependencies=_CATALOGUE)
def track(track_id: str, parts: PartsDep, serving: ServingDep) -> Track:
    """What is known of one track."""
    return _track(_find(serving, track_id), parts.rights.take(serving.snapshot))


def _facts(serving: Serving, row: int) -> dict[str, Any]:
    return serving.snapshot.catalogue.facts(row)


def _find(serving: Serving, track_id: str) -> dict[str, Any]:
    return _facts(serving, serving.snapshot.catalogue.row_of(track_id))


def _track(facts: dict[str, Any], ruling: Ruling) -> Track:
    known = {name: facts[name] for name in Track.model_fields if name in facts}
    licence = licence_of(ruling, facts["track_id"])
    return Track.model_validate({**known, "licence": licence, **media_urls(facts["track_id"])})


def _media(
    request: Request, parts: PartsDep, serving: Serving, track_id: str, name: str, media_type: str
) -> Response:
    """What was withdrawn is heard no more, by nobody and at no address: an hour-old one may be anywhere."""
    found = _find(serving, track_id)
    if parts.rights.take(serving.snapshot).rights.licence(track_id).withdrawn:
        raise NotFound(f"track {track_id!r} was withdrawn: PATCH /admin/tracks/... gives it back")
    folder = parts.settings.store / "media" / found["media_sha256"]
    return file_answer(request, folder / name, media_type)
