"""Returned tracks in, how unevenly they come out: a few tracks that fit everything push out all others.

Of this process and the latest `WINDOW` returned tracks; a share of 1 % in the top percent is perfectly even.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from threading import Lock

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

WINDOW = 10_000  # returned tracks: a thousand answers of ten


class Exposure(Collector):
    """Added to on the event loop, read wherever a scrape is answered."""

    def __init__(self, window: int = WINDOW) -> None:
        self._latest: deque[str] = deque()
        self._window = window
        self._count: Counter[str] = Counter()
        self._lock = Lock()
        self.tracks = 0  # of the pool: the top percent is of all tracks, not of those that ever came out

    def add(self, track_ids: Iterable[str]) -> None:
        """One answer."""
        with self._lock:
            for track_id in track_ids:
                self._latest.append(track_id)
                self._count[track_id] += 1
            while len(self._latest) > self._window:
                gone = self._latest.popleft()
                self._count[gone] -= 1
                if not self._count[gone]:
                    del self._count[gone]

    def share(self) -> float:
        """0..1: of the window, what the most returned percent of the pool's tracks (at least one) took."""
        with self._lock:
            most = math.ceil(max(self.tracks, len(self._count)) / 100)
            taken = sum(count for _, count in self._count.most_common(most))
            return taken / len(self._latest) if self._latest else 0.0

    def collect(self) -> Iterator[Metric]:
        """For a registry."""
        yield GaugeMetricFamily(
            "yuyin_exposure_top_percent_share",
            f"Of the latest {self._window} returned tracks, the share of the most returned percent.",
            value=self.share(),
        )
        yield GaugeMetricFamily(
            "yuyin_exposure_window", "Returned tracks that this share is of.", value=len(self._latest)
        )
