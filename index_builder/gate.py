"""A snapshot that is written but not yet in its place in, checks that say whether it may serve out."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from index_builder.snapshot import Snapshot
from model.bundle import Bundle

NORM_TOLERANCE = 1e-3  # the towers normalise in float32; what is beyond is another kind of vector
FAILED_SHARE_MAX = 0.25  # of the pool's files and rows: beyond it a disk or a mount is gone, not a track
PROBES = 256  # tracks whose own segment must find them
FOUND_WITHIN = 1e-5  # float32 noise between a vector's product with itself and the best one found
SPREAD_MIN = 1e-9  # a tower that gives one vector for all music ranks nothing


@dataclass(frozen=True, slots=True)
class Check:
    """One question, its answer and the numbers behind it."""

    name: str
    passed: bool
    found: dict[str, Any]


def inspect(snapshot: Snapshot, bundle: Bundle, *, failed: int, offered: int) -> list[Check]:
    """Everything that is checked before a snapshot may become CURRENT.

    Args:
        snapshot: opened from the folder that will be committed.
        bundle: that made it.
        failed: files and rows of the pool that could not be indexed.
        offered: files and rows in all.
    """
    checks = [_counts(snapshot), _bundle(snapshot, bundle), _failures(failed, offered)]
    if all(check.passed for check in checks):
        checks += [_norms(snapshot), _spread(snapshot), _self_retrieval(snapshot)]
    return checks


def report(checks: list[Check], skipped: list[dict[str, str]]) -> dict[str, Any]:
    """What gate.json holds: the checks and the ledger of what was left out."""
    return {"checks": [asdict(check) for check in checks], "skipped": skipped}


def _counts(snapshot: Snapshot) -> Check:
    """Every track has segments, every segment a track, all in order and as long as the track says."""
    segments, first = snapshot.segments, snapshot.first_segment
    tracks = len(snapshot.catalogue)
    ids = snapshot.catalogue.track_ids
    ordered = bool((np.diff(segments["track"]) >= 0).all()) and list(ids) == sorted(set(ids))
    reachable = int((np.diff(first) > 0).sum())
    whole = first[-1] == len(segments) == len(snapshot.embeddings)
    fits = reachable == tracks and all(
        np.array_equal(
            np.stack([segments["start_s"][a:b], segments["end_s"][a:b]], axis=1),
            snapshot.grid.segments(duration_s),
        )
        for a, b, duration_s in zip(first[:-1], first[1:], snapshot.durations_s.tolist(), strict=True)
    )
    found = {"tracks": tracks, "segments": len(segments), "tracks_with_segments": reachable}
    return Check("counts", bool(tracks > 0 and whole and ordered and fits), found)


def _bundle(snapshot: Snapshot, bundle: Bundle) -> Check:
    same = (snapshot.bundle_id, snapshot.dim, snapshot.grid) == (bundle.id, bundle.dim, bundle.grid)
    return Check("bundle", same, {"id": snapshot.bundle_id, "dim": snapshot.dim, "grid": snapshot.grid.name})


def _failures(failed: int, offered: int) -> Check:
    share = failed / max(offered, 1)
    found = {"failed": failed, "offered": offered, "share": share}
    return Check("failed_share", share <= FAILED_SHARE_MAX, found)


def _norms(snapshot: Snapshot) -> Check:
    off = np.abs(np.linalg.norm(snapshot.embeddings, axis=1) - 1)
    finite = np.isfinite(off)
    worst = float(off[finite].max(initial=0.0))
    found = {"worst": worst, "not_finite": int((~finite).sum())}
    return Check("unit_norms", bool(finite.all()) and worst <= NORM_TOLERANCE, found)


def _spread(snapshot: Snapshot) -> Check:
    """Mean squared distance to their centre of one segment per track."""
    vectors = snapshot.embeddings[_probes(snapshot)].astype(np.float64)
    spread = float(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean())
    return Check("spread", len(snapshot.catalogue.media()) == 1 or spread > SPREAD_MIN, {"spread": spread})


def _self_retrieval(snapshot: Snapshot) -> Check:
    """A segment's own vector finds its track: nothing of another track may be nearer than it is to itself."""
    rows = _probes(snapshot)
    found = 0
    for row in rows:
        query = np.array(snapshot.embeddings[row])
        own = snapshot.segments["track"] == snapshot.segments["track"][row]
        best, _ = snapshot.search.nearest(query, 1, None)
        mine, where = snapshot.search.nearest(query, 1, own)
        found += bool(len(mine) == 1 and own[where[0]] and mine[0] >= best[0] - FOUND_WITHIN)
    return Check("self_retrieval", found == len(rows), {"probes": len(rows), "found": found})


def _probes(snapshot: Snapshot) -> list[int]:
    """The middle segment of up to 256 tracks, spread evenly."""
    tracks = np.unique(np.linspace(0, len(snapshot.catalogue) - 1, PROBES).astype(np.int64))
    middle = (snapshot.first_segment[tracks] + snapshot.first_segment[tracks + 1] - 1) // 2
    return [int(row) for row in middle]
