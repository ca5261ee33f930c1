"""The parts of a service in, how they stand out; read at each scrape, in a thread."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from service.deps import Parts
from service.edge.door import Door
from service.stores.jobs import JobStore, Kind


class State(Collector):
    """What needs no counting because it can be looked at."""

    def __init__(self, parts: Parts, door: Door) -> None:
        self._parts = parts
        self._door = door

    def describe(self) -> list[Metric]:
        """Nothing: a registry would else read all of it once when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """For a registry."""
        yield from self._load()
        yield from self._serving()
        yield from self._decoding()
        yield from self._faults()
        yield self._jobs()

    def _load(self) -> Iterator[Metric]:
        settings, inside = self._parts.settings, self._parts.workers.admitted
        waiting = max(0, inside - settings.in_flight)
        places = settings.in_flight + settings.queue
        yield _gauge("yuyin_requests_in_flight", "Requests of any kind that are inside.", self._door.inside)
        yield _gauge("yuyin_videos_inside", "Of those, videos that take a place.", inside)
        yield _gauge("yuyin_queue_depth", "Videos beyond those worked on at once.", waiting)
        yield _gauge("yuyin_places", "Videos that may be inside; the next is overloaded.", places)
        yield _gauge("yuyin_draining", "1 once this process is about to end.", float(self._door.closed))

    def _serving(self) -> Iterator[Metric]:
        serving = self._parts.current.peek()
        if serving is None:
            return
        snapshot = serving.snapshot
        self._parts.metrics.exposure.tracks = len(snapshot.catalogue)
        yield InfoMetricFamily(
            "yuyin_serving",
            "What answers.",
            {
                "snapshot": snapshot.id,
                "bundle": serving.bundle.id,
                "rights": self._parts.rights.version or "none",
            },
        )
        yield _gauge("yuyin_tracks", "Tracks of the snapshot that answers.", len(snapshot.catalogue))
        devices = InfoMetricFamily("yuyin_device", "Where a network, or the search, runs.", labels=["part"])
        for part, provider in serving.devices.items():
            devices.add_metric([part], {"provider": provider})
        yield devices
        manifest = self._parts.settings.store / "snapshots" / snapshot.id / "snapshot.json"
        try:
            age_s = time.time() - manifest.stat().st_mtime
        except OSError:  # cleaned up while it answers on, or the store is away
            return
        yield _gauge("yuyin_snapshot_age_seconds", "Since the snapshot that answers was built.", age_s)

    def _decoding(self) -> Iterator[Metric]:
        tally = self._parts.decoder.tally
        yield _gauge("yuyin_decoders", "Processes that decode a video now.", tally.alive)
        ended = CounterMetricFamily(
            "yuyin_decoders_ended",
            "Decoding processes by how they ended: answered, killed (limits, client gone), crashed.",
            labels=["how"],
        )
        for how, count in (
            ("answered", tally.answered),
            ("killed", tally.killed),
            ("crashed", tally.crashed),
        ):
            ended.add_metric([how], count)
        yield ended

    def _faults(self) -> Iterator[Metric]:
        parts = self._parts
        refused = {
            "snapshot": parts.current.refusal is not None,
            "rights": parts.rights.refused is not None,
            "keys": parts.keys.refused is not None,
        }
        family = GaugeMetricFamily(
            "yuyin_refused", "1 while a newer one is refused and the one before is in force.", labels=["part"]
        )
        for part, is_refused in refused.items():
            family.add_metric([part], float(is_refused))
        yield family
        if parts.settings.redis_url is not None:
            up = float(parts.shared.state() == "ok")
            yield _gauge("yuyin_redis_up", "0 while Redis is away and each process is on its own.", up)

    def _jobs(self) -> Metric:
        found = Counter((job.kind, job.state) for job in JobStore(self._parts.settings.store).open_jobs())
        family = GaugeMetricFamily(
            "yuyin_jobs",
            "Jobs of the store that have not ended, whoever runs them.",
            labels=["kind", "state"],
        )
        for kind in get_args(Kind):
            family.add_metric([kind, "queued"], found[kind, "queued"])
            family.add_metric([kind, "running"], found[kind, "running"])
        return family


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)
