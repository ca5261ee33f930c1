"""A decoded video and a query in, ranked tracks of one snapshot out; no HTTP, no files."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from index_builder.search import Filters, Match, eligible, rank
from index_builder.snapshot import Snapshot
from model.features.motion import cuts
from model.media.streams import VideoStreams
from service.serving import Serving


class Stopwatch:
    """Milliseconds spent per named stage, and since it was made."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self.timings_ms: dict[str, float] = {}

    @property
    def total_ms(self) -> float:
        """Since it was made."""
        return _ms(time.perf_counter() - self._began_s)

    def start(self, name: str) -> Callable[[], None]:
        """Begin a stage that ends elsewhere, such as in another thread: there, call what this returns."""
        began_s = time.perf_counter()

        def stop() -> None:
            self.timings_ms[name] = _ms(time.perf_counter() - began_s)

        return stop

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge what happens inside to `name`."""
        stop = self.start(name)
        try:
            yield
        finally:
            stop()


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the snapshot."""

    top_k: int
    filters: Filters = field(default_factory=Filters)


@dataclass(frozen=True, slots=True)
class Ranked:
    """The answer, in the words of the search."""

    matches: list[Match]  # best first, ties by track id
    excluded: dict[str, int]  # facet -> tracks that it left out, each track under the first facet it fails
    cuts_s: list[float] | None  # None where the profile does not read every frame


def recommend(serving: Serving, video: VideoStreams, query: Query, clock: Stopwatch) -> Ranked:
    """Rank the tracks of a snapshot for one video; the same input gives the same answer.

    Raises:
        YuyinError: if the video's features do not fit the bundle.
    """
    with clock.stage("features"):
        sequences = {name: extract(video) for name, extract in serving.profile.video.items()}
        cuts_s = [round(float(t), 6) for t in cuts(video)] if serving.profile.recipe.motion else None
    with clock.stage("tower"):
        vector = serving.bundle.embed_video(sequences)
    with clock.stage("search"):
        allowed, excluded = _allowed(serving.snapshot, query.filters)
        length_s = max(video.end_s - video.start_s, 1e-3)
        matches = rank(
            serving.snapshot, vector, length_s, top_k=query.top_k, eligible=allowed if excluded else None
        )
    return Ranked(matches, excluded, cuts_s)


def _allowed(snapshot: Snapshot, filters: Filters) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """(m,) which tracks may come out, and what kept the others back; the counts add up to the rest."""
    everything = Filters()
    left = eligible(snapshot.catalogue, everything)
    excluded: dict[str, int] = {}
    for facet in fields(Filters):
        asked = getattr(filters, facet.name)
        if asked == getattr(everything, facet.name):
            continue
        kept = left & eligible(snapshot.catalogue, replace(everything, **{facet.name: asked}))
        if lost := int(left.sum() - kept.sum()):
            excluded[facet.name] = lost
        left = kept
    return left, excluded
