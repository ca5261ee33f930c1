"""PATCH /admin/tracks/{id}, GET /v1/tracks/{id}/eligibility: what a track may be used for, and why not."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path as Folder
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.concurrency import run_in_threadpool

from index_builder import snapshot as snapshots
from index_builder.catalogue import Catalogue
from index_builder.rights.licence import written
from index_builder.rights.words import in_words
from index_builder.snapshot import Snapshot
from model.errors import BadOptions, Corrupt, NotFound
from service.deps import Parts, PartsDep, ServingDep, needs
from service.routes.responses import errors
from service.schemas.rights import (
    AskedLicence,
    Day,
    Eligibility,
    LicenceFacts,
    Name,
    Obstacle,
    PatchedTrack,
    Territory,
    TrackPatch,
)
from service.stores.shared import RIGHTS

router = APIRouter(tags=["rights"])

AnyTrack = Annotated[str, Path(max_length=1000)]


@router.patch(
    "/admin/tracks/{track_id:path}",
    responses=errors(401, 403, 404, 409, 422, 503),
    dependencies=[Depends(needs("admin"))],
)
async def patch_track(track_id: AnyTrack, asked: TrackPatch, parts: PartsDep) -> PatchedTrack:
    """Withdraw a track, give it back, or set facts of its licence: in force everywhere within a second.

    What is set here stays, over what the catalogue says, through every reindex and rollback.
    """
    changes = asked.changes()
    if not changes:
        raise BadOptions(f"nothing to change: give at least one of {', '.join(TrackPatch.model_fields)}")
    patched = await run_in_threadpool(_patch, parts, track_id, changes)
    await parts.shared.notices.publish(RIGHTS)
    return patched


def _patch(parts: Parts, track_id: str, changes: Mapping[str, Any]) -> PatchedTrack:
    serving, book = parts.current.peek(), parts.rights
    snapshot = serving.snapshot if serving else None
    _require_known(parts, track_id, snapshot)
    licensed_before = book.any_known
    rights = book.patch(track_id, changes, snapshot)
    warnings = []
    if rights.any_known and not licensed_before and parts.settings.unknown_licences == "auto":
        warnings.append(
            "this is the first licence of the store: tracks without one are not returned any more "
            "(YUYIN_UNKNOWN_LICENCES)"
        )
    return PatchedTrack(
        track_id=track_id,
        rights=str(rights.version),
        licence=LicenceFacts.of(rights.licence(track_id)),
        patched=list(rights.patched(track_id)),
        warnings=warnings,
    )


def _require_known(parts: Parts, track_id: str, snapshot: Snapshot | None) -> None:
    """A withdrawal with a typing error in it must not look like one that was done."""
    if snapshot is not None and len(snapshot.catalogue.rows_of([track_id])):
        return
    if parts.rights.knows(track_id) or _in_store(parts.settings.store, track_id):
        return
    raise NotFound(f"no snapshot of this store has a track {track_id[:100]!r}, nor is a licence of it known")


def _in_store(store: Folder, track_id: str) -> bool:
    """Whether a snapshot that is not in use has it: that may be activated at any time."""
    for info in snapshots.list_snapshots(store):
        with suppress(Corrupt):  # then it cannot be activated either
            if len(Catalogue.open(store / "snapshots" / info.id / "catalogue.sqlite").rows_of([track_id])):
                return True
    return False


@router.get(
    "/v1/tracks/{track_id:path}/eligibility",
    responses=errors(401, 403, 422, 503),
    dependencies=[Depends(needs("catalogue"))],
)
def eligibility(
    track_id: AnyTrack,
    parts: PartsDep,
    serving: ServingDep,
    platform: Annotated[Name | None, Query(description="Where the video will run, such as tiktok.")] = None,
    territory: Annotated[Territory | None, Query(description="ISO 3166-1 alpha-2, such as DE.")] = None,
    account: Annotated[Name | None, Query(description="Kind of the account that posts it.")] = None,
    product_link: Annotated[bool | None, Query(description="The video links to a product.")] = None,
    on_date: Annotated[Day | None, Query(description="The day on which it runs, in UTC.")] = None,
) -> Eligibility:
    """Why not: may this track be returned now for such a video, and if not, everything that keeps it back.

    Any id may be asked, also one that is not indexed.
    """
    asked = AskedLicence(
        platform=platform, territory=territory, account=account, product_link=product_link, on_date=on_date
    )
    now, use = datetime.now(UTC), asked.use()
    ruling = parts.rights.take(serving.snapshot)
    licence = ruling.rights.licence(track_id)
    found = [
        Obstacle(reason=reason, detail=in_words(reason, licence, use))
        for reason in ruling.reasons(track_id, use, now)
    ]
    if len(serving.snapshot.catalogue.rows_of([track_id])) == 0:
        detail = "the index in use has no track of this id: is it spelt so, is its file in the pool?"
        found.insert(0, Obstacle(reason="not_indexed", detail=detail))
    return Eligibility(
        track_id=track_id,
        snapshot=serving.snapshot.id,
        rights=ruling.version,
        at=written(now),
        eligible=not found,
        reasons=found,
        licence=LicenceFacts.of(licence) if ruling.licence(track_id) else None,
        patched=list(ruling.rights.patched(track_id)),
    )
