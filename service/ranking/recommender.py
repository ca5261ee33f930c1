"""A decoded video and a query in, ranked tracks of one snapshot out; no HTTP, no files."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from index_builder.rights.eligibility import Use
from index_builder.search import Filters, Match, eligible, rank
from index_builder.snapshot import Snapshot
from model.errors import BadOptions
from model.features.extractors import Profile
from model.features.motion import cuts
from model.features.sequence import Sequence
from model.media.streams import VideoStreams
from service.ranking.blend import Part, blend, track_vector
from service.ranking.calibration import Verdict, judge, no_good_match
from service.ranking.reasons import Asked, Reason, ablations, explain
from service.ranking.variety import CANDIDATES, Caps, spread_out
from service.serving.current import Serving
from service.serving.rightsbook import Ruling


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
    """What is asked of the snapshot beside the picture."""

    top_k: int
    filters: Filters = field(default_factory=Filters)
    use: Use = field(default_factory=Use)
    text: str | None = None
    references: tuple[tuple[str, float], ...] = ()  # track id and weight; the picture's is 1
    max_per_artist: int | None = None
    diversity: float = 0.0  # 0..1
    segments_per_track: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """What was seen of a video."""

    sequences: Mapping[str, Sequence]  # by input of the video tower
    length_s: float  # of the music that is wanted
    cuts_s: list[float] | None = None  # None where the profile does not read every frame


@dataclass(frozen=True, slots=True)
class Ranked:
    """The answer, in the words of the search; the lists are in the order of the matches."""

    matches: list[Match]  # best first, ties by track id
    excluded: dict[str, int]  # reason -> tracks that it left out, each track under the first that it meets
    cuts_s: list[float] | None  # None where the profile does not read every frame
    verdicts: list[Verdict]
    reasons: list[list[Reason]]
    no_good_match: bool | None


def recommend(
    serving: Serving, ruling: Ruling, video: VideoStreams, query: Query, clock: Stopwatch
) -> Ranked:
    """Rank the tracks of a snapshot for one video; the same input gives the same answer.

    Raises:
        YuyinError: as `answer_for`.
    """
    with clock.stage("features"):
        picture = see(serving.profile, video)
    return answer_for(serving, ruling, picture, query, clock)


def see(profile: Profile, video: VideoStreams) -> Picture:
    """What a profile's extractors make of a video; anybody may do it who has the profile."""
    sequences = {name: extract(video) for name, extract in profile.video.items()}
    cuts_s = [round(float(t), 6) for t in cuts(video)] if profile.recipe.motion else None
    return Picture(sequences, max(video.end_s - video.start_s, 1e-3), cuts_s)


def answer_for(serving: Serving, ruling: Ruling, picture: Picture, query: Query, clock: Stopwatch) -> Ranked:
    """The same for what was seen of a video, wherever that was done.

    Raises:
        Mismatch: if the features do not fit the bundle.
        BadOptions: for an unknown reference track or text, or parts that cancel each other out.
        NotInstalled: if a text needs a network that is not here.
    """
    with clock.stage("tower"):
        vector = serving.bundle.embed_video(picture.sequences)
    with clock.stage("search"):
        asked = Asked(vector, _parts(serving, query), picture.sequences)
        wanted = blend(vector, asked.parts, serving.pool)
        matches, excluded = _matches(serving.snapshot, ruling, wanted, picture.length_s, query)
    with clock.stage("calibrate"):
        tracks, nulls = [match.track for match in matches], serving.bundle.null_queries
        verdicts = judge(serving.snapshot, tracks, vector, nulls, picture.length_s)
    with clock.stage("reasons"):
        tower, extractors = serving.bundle.towers.video, serving.profile.video
        without = ablations(asked, tower, extractors, serving.themes, serving.pool) if matches else []
        whole = serving.pool.standard(wanted)
        reasons = [
            explain(serving.snapshot, match, picture.length_s, whole, without, serving.pool)
            for match in matches
        ]
    unfit = no_good_match(verdicts, serving.bundle.no_match_threshold)
    return Ranked(matches, excluded, picture.cuts_s, verdicts, reasons, unfit)


def _parts(serving: Serving, query: Query) -> tuple[Part, ...]:
    """What is asked beside the picture, as vectors."""
    catalogue = serving.snapshot.catalogue
    unknown = [one for one, _ in query.references if len(catalogue.rows_of([one])) == 0]
    if unknown:
        names = ", ".join(repr(one) for one in unknown)
        raise BadOptions(f"'reference_track_ids': {names} not in this snapshot, GET /v1/tracks lists what is")
    parts = [
        Part("reference", track_vector(serving.snapshot, catalogue.row_of(one)), weight)
        for one, weight in query.references
    ]
    if query.text is not None:
        parts.insert(0, Part("text", serving.texts.vector(query.text), 1.0))
    return tuple(parts)


def _matches(
    snapshot: Snapshot, ruling: Ruling, wanted: NDArray[np.float32], length_s: float, query: Query
) -> tuple[list[Match], dict[str, int]]:
    """The tracks that come out, and how many were left out by what."""
    allowed, excluded = _allowed(snapshot, ruling, query)
    count = CANDIDATES if query.diversity else query.top_k

    def best(mask: NDArray[np.bool_]) -> list[Match]:
        eligible = None if mask.all() else mask
        spans = query.segments_per_track
        return rank(snapshot, wanted, length_s, top_k=count, eligible=eligible, spans_per_track=spans)

    if query.max_per_artist is None:
        matches = best(allowed)
    else:
        caps = Caps(snapshot.catalogue.coded("artist").codes, query.max_per_artist)
        matches = caps.best(best, allowed)
        if lost := caps.excluded(allowed):
            excluded["max_per_artist"] = lost
    return spread_out(snapshot, matches, query.diversity, query.top_k), excluded


def _allowed(snapshot: Snapshot, ruling: Ruling, query: Query) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """(m,) which tracks may come out, and what kept the others back; the counts add up to the rest."""
    everything = Filters()
    filters, licensed = query.filters, ruling.allowed(query.use, datetime.now(UTC))
    left, excluded = licensed.allowed, dict(licensed.excluded)
    for facet in fields(Filters):
        asked = getattr(filters, facet.name)
        if asked == getattr(everything, facet.name):
            continue
        kept = left & eligible(snapshot.catalogue, replace(everything, **{facet.name: asked}))
        if lost := int(left.sum() - kept.sum()):
            excluded[facet.name] = lost
        left = kept
    return left, excluded
