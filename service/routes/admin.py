"""POST /admin/reindex, GET /admin/snapshots, POST /admin/snapshots/{id}/activate: which index is in force."""

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Header, Response
from fastapi.concurrency import run_in_threadpool

from index_builder import snapshot as snapshots
from model.errors import BadOptions, NotFound
from service.deps import CallerDep, Parts, PartsDep, needs, within_rate
from service.edge.idempotency import once
from service.routes.responses import errors
from service.schemas.jobs import Job, ReindexRequest
from service.schemas.snapshots import SnapshotEntry, SnapshotList
from service.stores.shared import SNAPSHOT
from service.work.reindex import SHIPPED

router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(needs("admin"))])

START_S = 30.0  # to write a record
_ID = re.compile(r"[0-9a-f]{8,64}")  # ids are hashes: nothing else reaches the file system


@router.post(
    "/reindex",
    status_code=202,
    response_model=Job,
    responses=errors(401, 403, 404, 409, 422, 429),
    dependencies=[Depends(within_rate)],
)
async def reindex(
    parts: PartsDep,
    caller: CallerDep,
    asked: Annotated[ReindexRequest | None, Body()] = None,
    idempotency_key: Annotated[
        str | None, Header(description="The same key and wish get the same job, for a day.")
    ] = None,
) -> Response:
    """Build the next snapshot in the background and put it in force; requests go on meanwhile.

    What is already in the feature store is not computed again unless `recompute` is true. One at a time,
    whichever process was asked: a second one is answered 409 with the job that runs.
    """
    asked = asked or ReindexRequest()
    settled = {"pool": _pool(parts, asked.pool), "bundle": _bundle(parts, asked.bundle)}
    wish = settled | {"recompute": asked.recompute}

    async def start() -> Response:
        job = await parts.jobs.start("reindex", wish, caller.name)
        place = {"Location": f"/v1/jobs/{job.id}"}
        return Response(job.model_dump_json(), 202, headers=place, media_type="application/json")

    fingerprint = {"route": "reindex", **wish}
    keys = parts.shared.idempotency
    return await once(idempotency_key, keys, caller.name, fingerprint, start, hold_s=START_S)


def _pool(parts: Parts, name: str | None) -> str:
    pools = parts.settings.pools
    if not pools:
        raise BadOptions('no pool is configured: set YUYIN_POOLS, such as {"house": "/music"}, and restart')
    if name is None:
        name = parts.settings.default_pool or (next(iter(pools)) if len(pools) == 1 else None)
    if name not in pools:
        raise BadOptions(f"'pool': give one of the configured names {sorted(pools)}")
    return name


def _bundle(parts: Parts, bundle_id: str | None) -> str:
    serving = parts.current.peek()
    if bundle_id is None:
        bundle_id = serving.bundle.id if serving else SHIPPED
    folder = parts.settings.store / "bundles" / bundle_id
    if bundle_id != SHIPPED and not (_ID.fullmatch(bundle_id) and folder.is_dir()):
        raise BadOptions(
            f"'bundle': the store has no bundle of this id; {SHIPPED!r} is the one of this version"
        )
    return bundle_id


@router.get("/snapshots", responses=errors(401, 403, 404))
def list_snapshots(parts: PartsDep) -> SnapshotList:
    """Every snapshot of the store, and which one answers."""
    return SnapshotList(snapshots=_entries(parts))


def _entries(parts: Parts) -> list[SnapshotEntry]:
    serving = parts.current.peek()
    in_force = serving.snapshot.id if serving else None
    return [
        SnapshotEntry(
            id=one.id,
            bundle=one.bundle_id,
            tracks=one.tracks,
            segments=one.segments,
            used_at=datetime.fromtimestamp(one.used_s, UTC).isoformat(timespec="seconds"),
            passed=one.passed,
            current=one.current,
            serving=one.id == in_force,
        )
        for one in snapshots.list_snapshots(parts.settings.store)
    ]


@router.post("/snapshots/{snapshot_id}/activate", responses=errors(401, 403, 404, 409))
async def activate(snapshot_id: str, parts: PartsDep) -> SnapshotEntry:
    """Verify a snapshot and its bundle, put the pair in force, then answer; a fault changes nothing."""
    if not _ID.fullmatch(snapshot_id):
        raise NotFound("there is no snapshot of this id")
    await run_in_threadpool(parts.current.activate, snapshot_id)
    await parts.shared.notices.publish(SNAPSHOT)
    entries = await run_in_threadpool(_entries, parts)
    return next(entry for entry in entries if entry.id == snapshot_id)
