"""The metrics of each service process in, one page of all of them out, each sample with its `process`.

A scrape meets any one of the processes that share a port. So each writes its own metrics to a file beside
those of the others every `EVERY_S`, and whoever is asked adds theirs: at most so much older than its own.
What is the store's and no process's own it tells by itself, once, so that a sum over `process` holds.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

EVERY_S = 2.0
STALE_S = 15.0  # then its process is gone, and what it wrote last no longer holds
ALONE = "0"
OF_THE_STORE = frozenset({"yuyin_jobs"})  # under ALONE, whoever says it: the same series at each scrape

_Plain = list[tuple[str, str, str, list[tuple[str, dict[str, str], float]]]]


class Exchange:
    """One process among those of its supervisor, or alone."""

    def __init__(self, registry: CollectorRegistry, file: Path | None = None) -> None:
        """Args: `file` is this process's own, `NAME.json`, in the folder of all; None if it is alone."""
        self._registry = registry
        self._file = file

    def page(self, accept: str) -> tuple[bytes, str]:
        """What to answer, and its media type, by the `Accept` of the request; blocks."""
        encode, media_type = choose_encoder(accept)
        merged = CollectorRegistry(auto_describe=False)
        merged.register(_Merged(self._all()))
        return encode(merged), media_type

    def _all(self) -> list[tuple[str, _Plain]]:
        if self._file is None:
            return [(ALONE, _plain(self._registry.collect()))]
        found = [(self._file.stem, _plain(self._registry.collect()))]
        for path in sorted(self._file.parent.glob("*.json")):
            with suppress(OSError, ValueError):  # replaced or removed just now
                if path != self._file and time.time() - path.stat().st_mtime < STALE_S:
                    found.append((path.stem, json.loads(path.read_text("utf-8"))))
        return found

    def publish(self) -> None:
        """Write this process's metrics for the others; blocks."""
        if self._file is not None:
            aside = self._file.with_suffix(f".{os.getpid()}")
            own = (family for family in self._registry.collect() if family.name not in OF_THE_STORE)
            aside.write_text(json.dumps(_plain(own)), "utf-8")
            aside.replace(self._file)

    async def run(self) -> None:
        """Publish until cancelled; a disk that is full or gone stops the exchange, not the service."""
        while self._file is not None:
            with suppress(OSError):
                await asyncio.to_thread(self.publish)
            await asyncio.sleep(EVERY_S)


class _Merged(Collector):
    def __init__(self, processes: Iterable[tuple[str, _Plain]]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for process, plain in self._processes:
            for name, meaning, kind, samples in plain:
                family = families.setdefault(name, Metric(name, meaning, kind))
                whose = ALONE if name in OF_THE_STORE else process
                for sample, labels, value in samples:
                    family.add_sample(sample, {**labels, "process": whose}, value)
        return iter(families.values())


def _plain(families: Iterable[Metric]) -> _Plain:
    """As JSON can hold them, less the times at which counters were made: as many again, of no use here."""
    return [
        (
            family.name,
            family.documentation,
            family.type,
            [
                (one.name, dict(one.labels), one.value)
                for one in family.samples
                if not one.name.endswith("_created")
            ],
        )
        for family in families
    ]
