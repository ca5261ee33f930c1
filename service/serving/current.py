"""STORE/CURRENT in, the one (snapshot, bundle) pair that answers out; changed as one, never mixed."""

import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect

from index_builder import snapshot as snapshots
from index_builder.catalogue import FOLDS
from index_builder.snapshot import Snapshot
from model.backbones.loaded import Backbones
from model.bundle import Bundle
from model.errors import Mismatch, NotReady, YuyinError
from model.features.extractors import Profile
from model.features.pretrained import Pretrained
from model.features.sequence import Sequence
from model.runtime.graph_network import GraphNetwork
from model.runtime.network import Network
from service.serving.batching import Batcher, batched, nobody
from service.serving.pool import Pool
from service.serving.texts import Texts
from service.serving.workers import CLIENT_LEFT

log = logging.getLogger("yuyin.service")

BATCH_WAIT_MS = 4.0  # of a request that takes hundreds
CURRENT = "CURRENT"  # in the place of a snapshot's id, where that file cannot be read
RETRY_S = 30.0  # a refused snapshot is looked at again: its bundle may have been copied in meanwhile


@dataclass(frozen=True, slots=True)
class Serving:
    """What a request takes once and keeps to its end."""

    snapshot: Snapshot
    bundle: Bundle
    profile: Profile
    devices: dict[
        str, str
    ]  # of what a GPU may do: the picture's pretrained networks by input, and the search
    pool: Pool  # of the snapshot's segments
    texts: Texts  # of the bundle
    themes: dict[str, NDArray[np.float32]]  # vectors of its tags, where a text costs no network


@dataclass(frozen=True, slots=True)
class Refusal:
    """A snapshot that CURRENT names and that cannot be served."""

    snapshot_id: str  # or CURRENT
    code: str
    at_s: float  # monotonic


class WhileWanted:
    """A network that computes nothing more for a client that has left; for CPUs, where no `Batcher` looks."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __call__(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """(b, ...) to (b, d), b >= 0; raises `ClientDisconnect` if the client has left (`CLIENT_LEFT`)."""
        left = CLIENT_LEFT.get()
        if left is not None and left.is_set():
            raise ClientDisconnect
        return self._network(x)


def open_serving(
    store: Path,
    snapshot_id: str,
    backbones: Backbones,
    *,
    batch_wait_ms: float = BATCH_WAIT_MS,
    on_batch: Callable[[int], None] = nobody,
) -> Serving:
    """Load a snapshot and the bundle it names, check that they fit, and run each network of a query once.

    Args:
        store: where they lie.
        snapshot_id: of the snapshot.
        backbones: the pretrained networks of this machine, and where they and the search shall run.
        batch_wait_ms: how long a request's frames wait for those of others, on a GPU.
        on_batch: told of the items of each batch.

    Raises:
        YuyinError: if a part is missing, fails its hashes, does not belong to the others, or has to run on a
            GPU and cannot.
    """
    snapshot = Snapshot.open(store, snapshot_id, accelerator=backbones.accelerator)
    bundle = Bundle.open(store / "bundles" / snapshot.bundle_id)
    if (bundle.id, bundle.dim) != (snapshot.bundle_id, snapshot.dim):
        raise Mismatch(f"snapshot {snapshot_id} was not made by bundle {bundle.id}: build it again")
    profile, devices = _shared(bundle.load_profile(backbones, "video"), batch_wait_ms, on_batch)
    texts = Texts(bundle, backbones)
    serving = Serving(
        snapshot,
        bundle,
        profile,
        devices | {"search": snapshot.search.device},
        Pool.of(snapshot.embeddings),
        texts,
        texts.free(profile.text),
    )
    _warm(serving)
    return serving


def _shared(
    profile: Profile, wait_ms: float, on_batch: Callable[[int], None] = nobody
) -> tuple[Profile, dict[str, str]]:
    """Warm the picture's networks, make them heed who has left; on a GPU, requests share their batches.

    Also says where each runs.
    """
    video, devices = dict(profile.video), {}
    for name, extractor in profile.video.items():
        match extractor:
            case Pretrained(network=GraphNetwork() as network):
                network.warm()
                devices[name] = network.provider
                shared = batched(network, wait_ms, on_batch)
                if isinstance(shared, Batcher):
                    video[name] = extractor.through(shared)
                    # its threads end when the last request has let go of it
                    weakref.finalize(video[name], shared.close)
                else:
                    video[name] = extractor.through(WhileWanted(shared))
    return replace(profile, video=video), devices


def _warm(serving: Serving) -> None:
    """One run of the video tower, one look at each fact to filter by: the first request pays nothing.

    A tower that cannot run is refused.
    """
    times_s = np.arange(4, dtype=np.float64)
    rows = {
        name: Sequence(np.zeros((4, len(extractor.features)), np.float32), times_s)
        for name, extractor in serving.profile.video.items()
    }
    serving.bundle.embed_video(rows)
    for fact in FOLDS:
        serving.snapshot.catalogue.coded(fact)


class Current:
    """Holds the pair in force. Every method may be called from any thread; loads happen one at a time."""

    def __init__(
        self,
        store: Path,
        backbones: Backbones,
        *,
        batch_wait_ms: float = BATCH_WAIT_MS,
        prepare: Callable[[Snapshot], None] | None = None,
        on_batch: Callable[[int], None] = nobody,
    ) -> None:
        """Args: `prepare` is told of a snapshot before it is in force, `on_batch` of the items of batches."""
        self._on_batch = on_batch
        self._store = store
        self._prepare = prepare
        self._backbones = backbones
        self._batch_wait_ms = batch_wait_ms
        self._loading = threading.Lock()
        self._serving: Serving | None = None
        self._refusal: Refusal | None = None

    @property
    def refusal(self) -> Refusal | None:
        """The snapshot that CURRENT names and that was refused; None while all is well."""
        return self._refusal

    def peek(self) -> Serving | None:
        """The pair in force, if there is one."""
        return self._serving

    def take(self) -> Serving:
        """The pair in force; raises `NotReady` while there is none."""
        serving = self._serving
        if serving is None:
            raise NotReady(
                "no snapshot is loaded yet: build one with 'yuyin index build POOL', /readyz says more"
            )
        return serving

    def follow(self, *, again: bool = False) -> None:
        """Load what CURRENT names if it is another than the one in force; a broken one changes nothing.

        Args:
            again: look at a refused one at once; otherwise only every `RETRY_S`.
        """
        with self._loading:
            try:
                named = snapshots.current(self._store)
            except (OSError, ValueError) as error:  # the store is away, or what stands there is no text
                if again or not self._refused_lately(CURRENT):
                    self._refuse(CURRENT, error)
                return
            if named is None or (self._serving is not None and named == self._serving.snapshot.id):
                self._refusal = None
                return
            if not again and self._refused_lately(named):
                return
            try:
                self._serving = self._open(named)
            except Exception as error:  # memory, SQLite: unrefused it would be loaded again every second
                self._refuse(named, error)
                return
            self._refusal = None
            log.info("snapshot in force", extra={"snapshot": named, "bundle": self._serving.bundle.id})

    def _open(self, snapshot_id: str) -> Serving:
        found = open_serving(
            self._store,
            snapshot_id,
            self._backbones,
            batch_wait_ms=self._batch_wait_ms,
            on_batch=self._on_batch,
        )
        if self._prepare is not None:
            self._prepare(found.snapshot)
        return found

    def _refuse(self, snapshot_id: str, error: Exception) -> None:
        foreseen = isinstance(error, (YuyinError, OSError, ValueError, RuntimeError))
        code = error.code if isinstance(error, YuyinError) else "corrupt" if foreseen else "internal"
        self._refusal = Refusal(snapshot_id, code, time.monotonic())
        log.warning(
            "snapshot refused",
            exc_info=None if foreseen else error,
            extra={"snapshot": snapshot_id, "code": code, "reason": str(error) or type(error).__name__},
        )

    def _refused_lately(self, snapshot_id: str) -> bool:
        refusal = self._refusal
        return (
            refusal is not None
            and refusal.snapshot_id == snapshot_id
            and time.monotonic() - refusal.at_s < RETRY_S
        )

    def activate(self, snapshot_id: str) -> Serving:
        """Verify and load a snapshot, then make it CURRENT and put it in force; any fault changes nothing."""
        with self._loading:
            serving = self._open(snapshot_id)
            snapshots.activate(self._store, snapshot_id, verified=True)
            self._serving, self._refusal = serving, None
            log.info("snapshot in force", extra={"snapshot": snapshot_id, "bundle": serving.bundle.id})
            return serving
