"""A pool, a bundle and a store in, a new snapshot out; killed at any point and run again, nothing is lost.

Stages, in this order: `bundle` (copied into the store), `read` (the pool is listed and hashed), `embed`
(features and vectors, in worker processes), `write`, `gate`, `commit`, `activate`.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from index_builder import facts, layout
from index_builder.embed import FACTS, TrackTask, TrackVectors, embed_track
from index_builder.engines import local
from index_builder.gate import Check
from index_builder.lease import lease
from index_builder.reader import Pool, PoolTrack, Skipped, read_pool
from index_builder.rights.cells import remarks
from index_builder.rights.versions import merge, open_rights
from index_builder.snapshot import activate
from index_builder.writer import Indexed, keep_bundle, write_snapshot
from model.backbones.folder import default_models
from model.backbones.loaded import Backbones
from model.bundle import Bundle
from model.errors import BadPool, Corrupt, NoAccelerator, NotInstalled
from model.features.extractors import identity, without_weights
from model.features.store import FeatureKey, FeatureStore

STAGES = ("bundle", "read", "embed", "write", "gate", "commit", "activate", "done")
EMBED_SHARE = (0.05, 0.95)  # of a build's progress: all but the embedding takes seconds
TRACK_LIMIT_S = 7200.0  # wall clock of one file, against hangs; a mix of an hour takes AST 15 minutes
PRECISION = "fp32"  # of what needs no pretrained network


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class BuildJob:
    """What to build."""

    pool: Path
    store: Path
    bundle: Path
    recompute: bool = False  # ignore stored features; they are replaced
    activate: bool = True
    processes: int = field(default_factory=cores)
    backbones: Backbones = field(default_factory=lambda: Backbones(default_models()))


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a build is."""

    stage: str  # one of STAGES
    done: int  # of `total` in this stage
    total: int
    progress: float  # of the whole build, 0..1
    eta_s: float | None  # of this stage; None while nobody knows


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What came of it."""

    snapshot: str
    bundle: str
    tracks: int
    segments: int
    computed: int  # files for which anything was computed
    reused: int  # files whose features were all there
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    audio_s: float  # of the files in `computed`
    wall_s: float
    timings_s: dict[str, float]  # wall clock of each of STAGES
    cpu_s: dict[
        str, float
    ]  # inside `embed`, summed over the workers: decode, features, facts, preview, tower
    activated: bool


def build(job: BuildJob, progress: Callable[[Progress], None]) -> BuildReport:
    """Run all stages.

    Raises:
        StoreLocked: if another process writes to the store.
        BadPool: if the pool cannot be used, or too much of it.
        Corrupt: if the bundle is damaged, or the snapshot did not pass its gate; it is kept to look at.
        Mismatch: if this version cannot run the bundle.
        NotInstalled: if a pretrained network, or a package that an extractor needs, is not here.
        NoAccelerator: if a GPU is required and cannot be used, or fails.
    """
    clock = _Clock(progress)
    with lease(job.store):
        clock.begin("bundle")
        bundle = keep_bundle(job.store, job.bundle)
        clock.begin("read")
        pool = read_pool(job.pool, clock.step)
        embedded = _embed(job, bundle, pool, clock)
        if not embedded.index:
            first = embedded.skipped[0]
            raise BadPool(f"no track of {job.pool} can be indexed, such as {first.name}: {first.reason}")
        written = write_snapshot(job.store, bundle, embedded.index, embedded.skipped, clock.begin)
        _refuse(written.id, written.checks)
        # before the index: no track is served, be it for a moment, under a licence older than its catalogue's
        told = _tell(job.store, pool, [one.track.track_id for one in embedded.index])
        if job.activate:
            clock.begin("activate")
            activate(job.store, written.id)
        clock.begin("done")
    return BuildReport(
        snapshot=written.id,
        bundle=bundle.id,
        tracks=len(embedded.index),
        segments=written.segments,
        computed=embedded.computed,
        reused=embedded.reused,
        skipped=tuple(embedded.skipped),
        warnings=(*pool.warnings, *told, *sorted(embedded.warnings)),
        audio_s=embedded.audio_s,
        wall_s=clock.wall_s,
        timings_s=clock.spent_s,
        cpu_s=embedded.cpu_s,
        activated=job.activate,
    )


def _tell(store: Path, pool: Pool, track_ids: Sequence[str]) -> list[str]:
    """Take the catalogue's licences in, in force at once whichever index is; returns what to know of them."""
    before = open_rights(store)
    return remarks(pool.rights, track_ids, before, merge(store, pool.rights))


def _refuse(snapshot_id: str, checks: list[Check]) -> None:
    failed = [check for check in checks if not check.passed]
    if not failed:
        return
    found = "; ".join(f"{check.name}: {check.found}" for check in failed)
    message = f"snapshot {snapshot_id} did not pass its gate and is not used ({found}): see its gate.json"
    raise (BadPool if failed[0].name == "failed_share" else Corrupt)(message)


class _Clock:
    """Times the stages and tells how far they are."""

    def __init__(self, progress: Callable[[Progress], None]) -> None:
        self._progress = progress
        self._began_s = self._stage_s = time.monotonic()
        self._stage = ""
        self.spent_s: dict[str, float] = {}

    @property
    def wall_s(self) -> float:
        """Since the build began."""
        return time.monotonic() - self._began_s

    def begin(self, stage: str) -> None:
        """End the stage before, start the next."""
        now_s = time.monotonic()
        if self._stage:
            self.spent_s[self._stage] = now_s - self._stage_s
        self._stage, self._stage_s = stage, now_s
        self.step(0, 0)

    def step(self, done: int, total: int) -> None:
        """So much of the stage is done."""
        spent_s = time.monotonic() - self._stage_s
        eta_s = spent_s / done * (total - done) if done else None
        low, high = EMBED_SHARE
        before = STAGES.index(self._stage) - STAGES.index("embed")
        share = low + (high - low) * done / max(total, 1) if before == 0 else (0.0 if before < 0 else high)
        share = 1.0 if self._stage == "done" else round(share, 4)
        self._progress(Progress(self._stage, done, total, share, eta_s))


@dataclass(slots=True)
class _Embedded:
    """What the embedding gave so far."""

    skipped: list[Skipped]
    vectors: dict[str, TrackVectors] = field(default_factory=dict)  # by media
    index: list[Indexed] = field(default_factory=list)
    computed: int = 0
    reused: int = 0
    audio_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    warnings: set[str] = field(default_factory=set)  # each worker has the same to say

    def add(self, task: TrackTask, vectors: TrackVectors) -> None:
        """Count one file."""
        self.vectors[task.media_sha256] = vectors
        self.warnings |= set(vectors.warnings)
        self.computed += bool(vectors.computed)
        self.reused += not vectors.computed
        self.audio_s += vectors.facts.duration_s if vectors.computed else 0.0
        for stage, spent_s in vectors.cpu_s.items():
            self.cpu_s[stage] = self.cpu_s.get(stage, 0.0) + spent_s


def _embed(job: BuildJob, bundle: Bundle, pool: Pool, clock: _Clock) -> _Embedded:
    """Every file once, however many tracks it stands for; what is finished is stored before it is counted."""
    store = FeatureStore(layout.features(job.store))
    names = feature_names(bundle, job.backbones)
    files = {track.media_sha256: track for track in pool.tracks}
    result = _Embedded(list(pool.skipped))
    failed: dict[str, Skipped] = {}
    clock.begin("embed")
    tasks = _tasks(job, bundle, files, store, names)
    with closing(local.run(embed_track, tasks, processes=job.processes, limit_s=TRACK_LIMIT_S)) as outcomes:
        for done, outcome in enumerate(outcomes, 1):
            task = outcome.task
            value = outcome.value if isinstance(outcome, local.Done) else _lost(task, outcome.reason)
            if isinstance(value, NoAccelerator | NotInstalled):
                raise value  # every other file would fail alike
            if isinstance(value, Skipped):
                failed[task.media_sha256] = value
            else:
                for name, sequence in value.computed.items():
                    store.put(_key(task.media_sha256, names[name], bundle), sequence)
                store.flush()
                result.add(task, value)
            clock.step(done, len(files))
    for track in pool.tracks:
        if track.media_sha256 in failed:
            found = failed[track.media_sha256]
            result.skipped.append(Skipped(track.name, found.code, found.reason))
        else:
            result.index.append(Indexed(track, result.vectors[track.media_sha256]))
    result.skipped.sort(key=lambda one: one.name)  # not in the order in which processes ended
    return result


def feature_names(bundle: Bundle, backbones: Backbones) -> dict[str, str]:
    """What is stored of every track: key in the profile -> extractor@version, and the weights it needs."""
    extractors = bundle.music_extractors(bundle.load_profile(backbones, "music"))
    return {name: identity(extractor) for name, extractor in extractors.items()} | {FACTS: facts.EXTRACTOR}


def _key(media_sha256: str, extractor: str, bundle: Bundle) -> FeatureKey:
    pretrained = extractor != without_weights(extractor)
    precision = bundle.precision if pretrained and bundle.precision else PRECISION
    return FeatureKey(media_sha256, extractor, bundle.grid.name, precision)


def _lost(task: TrackTask, reason: str) -> Skipped:
    return Skipped(task.name, "worker_lost", f"{reason}; convert or remove the file")


def _tasks(
    job: BuildJob, bundle: Bundle, files: dict[str, PoolTrack], store: FeatureStore, names: dict[str, str]
) -> Iterator[TrackTask]:
    backbones = job.backbones.shared_by(job.processes)
    for media_sha256, track in files.items():
        found = {name: store.get(_key(media_sha256, extractor, bundle)) for name, extractor in names.items()}
        stored = {name: sequence for name, sequence in found.items() if sequence is not None}
        yield TrackTask(
            path=track.path,
            name=track.name,
            media_sha256=media_sha256,
            bundle=bundle.folder,
            backbones=backbones,
            store=job.store,
            stored={} if job.recompute else stored,
        )
