"""A query vector, a picture's length and an eligibility mask in, ranked tracks and where each starts out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from index_builder.catalogue import Catalogue
from model.errors import BadOptions, Mismatch
from model.grid import EPSILON_S, Grid

DECIMALS = 4  # of a score: finer differences are noise of float32 arithmetic
SLACK = 1e-5  # how far a float32 cosine of the index may lie below the exact one
FIRST_SEGMENTS = (
    64  # retrieved for each wanted track before the first look; doubled until the answer is certain
)

Bounds = tuple[float | None, float | None]  # inclusive; None is open


@dataclass(frozen=True, slots=True)
class Filters:
    """Facets are ANDed, lists mean any of, a missing fact does not match."""

    bpm: Bounds = (None, None)
    duration_s: Bounds = (None, None)
    energy: Bounds = (None, None)
    genres: tuple[str, ...] = ()
    moods: tuple[str, ...] = ()
    artists: tuple[str, ...] = ()
    key: tuple[str, ...] = ()  # any spelling, see `index_builder.keys`
    vocals: bool | None = None
    explicit: bool | None = None
    include_ids: tuple[str, ...] | None = (
        None  # () matches nothing: an empty list of allowed tracks is no free pass
    )
    exclude_ids: tuple[str, ...] = ()


def eligible(catalogue: Catalogue, filters: Filters) -> NDArray[np.bool_]:
    """Which tracks pass: (m,)."""
    mask = np.ones(len(catalogue), np.bool_)
    for name in ("bpm", "duration_s", "energy"):
        _within(mask, catalogue.columns[name], getattr(filters, name))
    for facet in ("genres", "moods"):
        wanted = getattr(filters, facet)
        if wanted:
            _only(mask, (catalogue.postings(facet, value) for value in wanted))
    for fact, values in _coded_facts(filters).items():
        mask &= catalogue.coded(fact).any_of(values)
    if filters.include_ids is not None:
        _only(mask, [catalogue.rows_of(filters.include_ids)])
    mask[catalogue.rows_of(filters.exclude_ids)] = False
    return mask


def _coded_facts(filters: Filters) -> dict[str, tuple[str | bool, ...]]:
    """What is asked of facts that are one word."""
    flags = {"vocals": filters.vocals, "explicit": filters.explicit}
    asked: dict[str, tuple[str | bool, ...]] = {"artist": filters.artists, "key": filters.key}
    asked |= {fact: (flag,) for fact, flag in flags.items() if flag is not None}
    return {fact: values for fact, values in asked.items() if values}


def _within(mask: NDArray[np.bool_], column: NDArray[np.float64], bounds: Bounds) -> None:
    """A NaN is on neither side of any bound."""
    least, most = bounds
    if least is not None:
        mask &= column >= least
    if most is not None:
        mask &= column <= most


def _only(mask: NDArray[np.bool_], several: Iterable[NDArray[Any]]) -> None:
    any_of = np.zeros(len(mask), np.bool_)
    for rows in several:
        any_of[rows] = True
    mask &= any_of


class Search(Protocol):
    """Nearest segments by inner product; in shapes, n segments of d dimensions."""

    def nearest(
        self, query: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best `count` (or all) of the `allowed` (n,) segments: cosines, descending, and segment rows."""


class PlacedSearch(Search, Protocol):
    """A search that says where it runs."""

    @property
    def device(self) -> str:
        """`cpu` or, of the GPU numbered 0, `cuda:0`."""


class FlatSearch:
    """Exact search in memory; one thread, since two are slower for a single query."""

    device = "cpu"

    def __init__(self, embeddings: NDArray[np.float32]) -> None:
        faiss.omp_set_num_threads(1)
        self._index = faiss.IndexFlatIP(embeddings.shape[1])
        self._index.add(np.ascontiguousarray(embeddings, np.float32))

    def nearest(
        self, query: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See `Search`."""
        parameters = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))  # `bits` outlives the search
            parameters = faiss.SearchParameters()
            parameters.sel = selector
        count = min(count, self._index.ntotal)
        if count == 0:
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        cosines, rows = self._index.search(query[None].astype(np.float32), count, params=parameters)
        found = rows[0] >= 0
        return cosines[0][found], rows[0][found]


@dataclass(frozen=True, slots=True)
class Span:
    """Where in a track to start, and where the picture ends."""

    start_s: float
    end_s: float
    score: float  # mean cosine of the segments it covers, 4 decimals
    ends_early: bool  # the track ends before the picture does


@dataclass(frozen=True, slots=True)
class Match:
    """A track, its best span's score, and its spans, best first."""

    track: int  # row
    score: float
    spans: tuple[Span, ...]


class Searchable(Protocol):
    """What `rank` needs of a snapshot; n segments in m tracks, rows in the order of track_id."""

    @property
    def grid(self) -> Grid:
        """Of the segments."""

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(n, d) unit rows."""

    @property
    def segments(self) -> NDArray[Any]:
        """(n,) structured: track, start_s, end_s; grouped by track, ascending."""

    @property
    def first_segment(self) -> NDArray[np.int64]:
        """(m + 1,) where each track's segments begin."""

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """(m,)."""

    @property
    def search(self) -> Search:
        """Over `embeddings`."""


def rank(
    snapshot: Searchable,
    query: NDArray[np.float32],
    length_s: float,
    *,
    top_k: int,
    eligible: NDArray[np.bool_] | None = None,
    spans_per_track: int = 1,
) -> list[Match]:
    """The best tracks for a picture, exactly as design section 2 ranks them.

    A span's score is a mean over segments of its track, so no track scores above its best segment's
    cosine. Hence the threshold algorithm (Fagin, Lotem, Naor 2003, section 4): take the nearest
    segments, fit their tracks, and stop once the k-th score is above the last cosine taken; otherwise
    take twice as many.

    Args:
        snapshot: opened.
        query: (d,), L2 norm 1.
        length_s: of the picture, > 0.
        top_k: how many tracks at most.
        eligible: (m,) which tracks may be returned; None for all.
        spans_per_track: at most so many spans of a track, none overlapping.

    Returns:
        At most `top_k`, ordered by descending rounded score, then track_id.
    """
    _check(snapshot, query, length_s, top_k, spans_per_track)
    allowed = None if eligible is None else eligible[snapshot.segments["track"]]
    total = len(snapshot.segments) if allowed is None else int(allowed.sum())
    fitted: dict[int, Match] = {}
    count = FIRST_SEGMENTS * top_k
    while total > 0:
        cosines, rows = snapshot.search.nearest(query, count, allowed)
        for track in np.unique(snapshot.segments["track"][rows]).tolist():
            if track not in fitted:
                fitted[track] = fit(snapshot, track, query, length_s, spans_per_track)
        if count >= total or _certain(fitted, top_k, float(cosines[-1])):
            break
        count *= 2
    return sorted(fitted.values(), key=lambda match: (-match.score, match.track))[:top_k]


def _check(
    snapshot: Searchable, query: NDArray[np.float32], length_s: float, top_k: int, spans_per_track: int
) -> None:
    dim = snapshot.embeddings.shape[1]
    if query.shape != (dim,) or not np.isfinite(query).all():
        raise Mismatch(
            f"a query of this snapshot is ({dim},) and finite: embed it with the snapshot's bundle"
        )
    if not (length_s > 0 and np.isfinite(length_s)):
        raise BadOptions(f"the picture's length must be above 0 s, not {length_s}")
    if top_k < 1 or spans_per_track < 1:
        raise BadOptions(f"top_k and spans_per_track are at least 1, not {top_k} and {spans_per_track}")


def _certain(fitted: dict[int, Match], top_k: int, last_cosine: float) -> bool:
    """Whether no track outside `fitted` can reach, or tie with, the k-th score."""
    if len(fitted) < top_k:
        return False
    kth = sorted((match.score for match in fitted.values()), reverse=True)[top_k - 1]
    return kth > round(last_cosine + SLACK, DECIMALS)


def fit(
    snapshot: Searchable, track: int, query: NDArray[np.float32], length_s: float, spans_per_track: int = 1
) -> Match:
    """Score every place in one track where the picture's music may begin; arguments as `rank`."""
    rows, starts, first, end = places(snapshot, track, length_s)
    # float64 and row by row, not BLAS: the same bits however many rows are asked for at once
    cosines = np.einsum("nd,d->n", snapshot.embeddings[rows].astype(np.float64), query.astype(np.float64))
    scores = _means(cosines[:, None], first, end)[:, 0]
    duration_s = float(snapshot.durations_s[track])
    spans: list[Span] = []
    for i in np.argsort(-scores, kind="stable"):
        start_s = float(starts[first[i]])
        ends_early = start_s + length_s > duration_s + EPSILON_S
        end_s = duration_s if ends_early else start_s + length_s
        if all(end_s <= one.start_s or start_s >= one.end_s for one in spans):
            spans.append(Span(start_s, end_s, float(scores[i]), ends_early))
        if len(spans) == spans_per_track:
            break
    return Match(track, spans[0].score, tuple(spans))


def scores_of(
    snapshot: Searchable, track: int, queries: NDArray[np.float32], length_s: float
) -> NDArray[np.float64]:
    """(q, d) queries to (q,): what `rank` would give one track for each of them.

    In float32, so a score may differ from that of `rank` by the last of its decimals.
    """
    rows, _, first, end = places(snapshot, track, length_s)
    # not BLAS: its second thread waits for a core that other requests keep busy, 50 ms instead of 0.2
    cosines = np.einsum("nd,qd->nq", snapshot.embeddings[rows], queries)
    best: NDArray[np.float64] = _means(cosines.astype(np.float64), first, end).max(axis=0)
    return best


def places(
    snapshot: Searchable, track: int, length_s: float
) -> tuple[slice, NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """Where in a track a picture's music may begin: its c candidates.

    Returns:
        The track's rows of the snapshot, their starts (n,), and of each candidate the first (c,) of those
        rows that it covers and the one behind the last (c,).
    """
    rows = slice(int(snapshot.first_segment[track]), int(snapshot.first_segment[track + 1]))
    starts = snapshot.segments["start_s"][rows]
    return rows, starts, *snapshot.grid.candidates(starts, float(snapshot.durations_s[track]), length_s)


def _means(
    cosines: NDArray[np.float64], first: NDArray[np.intp], end: NDArray[np.intp]
) -> NDArray[np.float64]:
    """(n, q) of a track's rows to (c, q): the mean over the rows of each candidate, rounded."""
    sums = np.concatenate([np.zeros((1, cosines.shape[1])), np.cumsum(cosines, axis=0)])
    means = (sums[end] - sums[first]) / (end - first)[:, None]
    rounded: NDArray[np.float64] = np.round(means, DECIMALS) + 0.0  # no negative zero
    return rounded
