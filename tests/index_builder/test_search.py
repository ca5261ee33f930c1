"""`rank` against design section 2 written out in loops, FAISS against numpy, filters against Python."""

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_builder.catalogue import Catalogue, TrackFacts, write_catalogue
from index_builder.gpu_search import LIMIT, GpuSearch
from index_builder.search import Filters, FlatSearch, Search, eligible, fit, rank, scores_of
from index_builder.snapshot import SEGMENT
from model.errors import BadOptions, Mismatch
from model.grid import Grid

DIM = 6
DETERMINISTIC = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@dataclass(frozen=True)
class Tracks:
    """What `rank` needs of a snapshot."""

    grid: Grid
    embeddings: NDArray[np.float32]
    segments: NDArray[np.void]
    first_segment: NDArray[np.int64]
    durations_s: NDArray[np.float64]
    search: Search


class Counting:
    """A search that notes how much it was asked for."""

    def __init__(self, embeddings: NDArray[np.float32]) -> None:
        self.inner = FlatSearch(embeddings)
        self.counts: list[int] = []

    def nearest(
        self, query: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        self.counts.append(count)
        return self.inner.nearest(query, count, allowed)


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def pool_of(durations_s: list[float], seed: int, *, directions: int | None = None) -> Tracks:
    """Random vectors; with few `directions` many are equal, so that there are ties."""
    rng = np.random.default_rng(seed)
    grid = Grid()
    parts = [grid.segments(duration_s) for duration_s in durations_s]
    counts = [len(part) for part in parts]
    segments = np.zeros(sum(counts), SEGMENT)
    segments["track"] = np.repeat(np.arange(len(parts)), counts)
    segments["start_s"], segments["end_s"] = np.concatenate(parts).T
    if directions:
        vectors = unit(rng.standard_normal((directions, DIM)))[rng.integers(directions, size=len(segments))]
    else:
        music = np.repeat(rng.standard_normal((len(parts), DIM)), counts, axis=0)
        vectors = unit(music + 0.7 * rng.standard_normal((len(segments), DIM)))
    first = np.concatenate([[0], np.cumsum(counts)])
    return Tracks(grid, vectors, segments, first, np.array(durations_s), Counting(vectors))


def slow_rank(
    tracks: Tracks, query: NDArray[np.float32], length_s: float, allowed: Iterable[int]
) -> list[tuple[float, int, float, float, bool]]:
    """Design section 2, word by word: (score, track, start_s, end_s, ends_early), best first."""
    found = []
    for track in allowed:
        duration_s = float(tracks.durations_s[track])
        own = np.flatnonzero(tracks.segments["track"] == track).tolist()
        starts = [float(tracks.segments["start_s"][i]) for i in own]
        cosines = [
            math.fsum(float(a) * float(b) for a, b in zip(tracks.embeddings[i], query, strict=True))
            for i in own
        ]
        candidates = []
        for start_s in starts:
            if start_s + length_s > duration_s + 1e-6:
                continue
            last = max(start_s, start_s + length_s - 15.0)
            covered = [c for s, c in zip(starts, cosines, strict=True) if start_s <= s <= last + 1e-6]
            candidates.append((math.fsum(covered) / len(covered), start_s, start_s + length_s, False))
        if not candidates:
            candidates.append((math.fsum(cosines) / len(cosines), 0.0, duration_s, True))
        rounded = [(round(score, 4), *rest) for score, *rest in candidates]
        score, start_s, end_s, early = min(rounded, key=lambda one: (-one[0], one[1]))
        found.append((score, track, start_s, end_s, early))
    return sorted(found, key=lambda one: (-one[0], one[1]))


DURATIONS = st.sampled_from([1.0, 7.3, 14.99, 15.0, 15.1, 20.0, 22.7, 31.0, 60.0, 64.999])
LENGTHS = st.sampled_from([0.5, 6.0, 14.9, 15.0, 20.0, 20.001, 30.0, 64.999, 300.0])


@DETERMINISTIC
@given(
    durations_s=st.lists(DURATIONS, min_size=1, max_size=25),
    length_s=LENGTHS,
    seed=st.integers(0, 1000),
    directions=st.sampled_from([None, 1, 3]),
    top_k=st.integers(1, 30),
    data=st.data(),
)
def test_rank_is_design_section_2(
    durations_s: list[float],
    length_s: float,
    seed: int,
    directions: int | None,
    top_k: int,
    data: st.DataObject,
) -> None:
    tracks = pool_of(durations_s, seed, directions=directions)
    query = unit(np.random.default_rng(seed + 1).standard_normal(DIM))
    count = len(durations_s)
    mask = data.draw(st.none() | st.lists(st.booleans(), min_size=count, max_size=count))
    allowed = range(count) if mask is None else np.flatnonzero(mask).tolist()
    found = rank(
        tracks, query, length_s, top_k=top_k, eligible=None if mask is None else np.array(mask, np.bool_)
    )
    assert [(m.score, m.track) for m in found] == [
        (m[0], m[1]) for m in slow_rank(tracks, query, length_s, allowed)[:top_k]
    ]
    for match, slow in zip(found, slow_rank(tracks, query, length_s, allowed), strict=False):
        (span,) = match.spans
        assert (span.score, span.start_s, span.end_s, span.ends_early) == (slow[0], *slow[2:])
    assert {match.track for match in found} <= set(allowed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("length_s", [6.0, 45.0])
def test_stopping_early_changes_nothing(seed: int, length_s: float) -> None:
    """A pool far larger than the first look, against numpy over everything."""
    rng = np.random.default_rng(seed)
    tracks = pool_of(rng.uniform(10, 90, 600).tolist(), seed, directions=None if seed % 2 else 40)
    query = unit(rng.standard_normal(DIM))
    mask = rng.random(600) < 0.5
    found = rank(tracks, query, length_s, top_k=3, eligible=mask)
    everything = rank(tracks, query, length_s, top_k=600, eligible=mask)
    slow = slow_rank(tracks, query, length_s, [match.track for match in everything[:10]])
    assert found == everything[:3]
    assert [(m.track, m.score) for m in found] == [(s[1], s[0]) for s in slow[:3]]
    assert len(everything) == mask.sum()
    assert isinstance(tracks.search, Counting)
    assert tracks.search.counts[0] < len(tracks.segments) / 2


class Backwards:
    """numpy, and of equal cosines the last row first: as good an answer as any other."""

    def __init__(self, embeddings: NDArray[np.float32]) -> None:
        self.embeddings = embeddings

    def nearest(
        self, query: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        cosines = self.embeddings @ query
        rows = np.arange(len(cosines)) if allowed is None else np.flatnonzero(allowed)
        order = rows[np.lexsort((-rows, -cosines[rows]))][:count]
        return cosines[order], order


def behind_an_owner(embeddings: NDArray[np.float32]) -> GpuSearch:
    """What a GPU would be asked, asked of the CPU."""
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings)
    return GpuSearch(index, FlatSearch(embeddings), "cuda:0")


@pytest.mark.parametrize("search", [FlatSearch, behind_an_owner])
def test_ranking_is_the_same_wherever_is_searched(search: Callable[[NDArray[np.float32]], Search]) -> None:
    """Thousands of segments, so that some looks are beyond what a GPU can give."""
    tracks = pool_of(np.random.default_rng(5).uniform(10, 90, 600).tolist(), 5, directions=40)
    tracks = replace(tracks, search=search(tracks.embeddings))
    assert len(tracks.segments) > 2 * LIMIT
    query = unit(np.random.default_rng(6).standard_normal(DIM))
    for share in (None, 0.7, 0.02):
        mask = np.ones(600, np.bool_) if share is None else np.random.default_rng(7).random(600) < share
        found = rank(tracks, query, 45.0, top_k=3, eligible=None if share is None else mask)
        slow = slow_rank(tracks, query, 45.0, np.flatnonzero(mask).tolist())
        assert [(m.score, m.track) for m in found] == [(s[0], s[1]) for s in slow[:3]]


@pytest.mark.parametrize(("directions", "length_s"), [(1, 15.0), (3, 60.0), (3, 15.0)])
@pytest.mark.parametrize("search", [FlatSearch, Backwards, behind_an_owner])
def test_ties_go_by_track_whatever_the_search_finds_first(
    search: Callable[[NDArray[np.float32]], Search], directions: int, length_s: float
) -> None:
    """Few directions: hundreds of equal cosines, ties at every rank, in different looks."""
    tracks = pool_of([60.0] * 300, 8, directions=directions)
    tracks = replace(tracks, search=search(tracks.embeddings))
    query = unit(np.random.default_rng(8).standard_normal(DIM))
    assert [(m.score, m.track) for m in rank(tracks, query, length_s, top_k=2)] == [
        (slow[0], slow[1]) for slow in slow_rank(tracks, query, length_s, range(300))[:2]
    ]


def test_a_very_long_track_does_not_hide_the_others() -> None:
    tracks = pool_of([30.0, 5400.0, 30.0], 2)
    vectors = tracks.embeddings.copy()
    vectors[tracks.segments["track"] == 1] = vectors[100]
    tracks = replace(tracks, embeddings=vectors, search=FlatSearch(vectors))
    found = rank(tracks, np.array(vectors[100]), 15.0, top_k=3)
    assert found[0].track == 1
    assert sorted(match.track for match in found) == [0, 1, 2]


def test_looks_further_only_when_it_has_to() -> None:
    tracks = pool_of([90.0] * 600, 3)
    assert isinstance(tracks.search, Counting)
    rank(tracks, np.array(tracks.embeddings[100]), 6.0, top_k=1)
    assert len(tracks.search.counts) == 1  # one segment is far ahead of all others
    restless = pool_of([90.0] * 600, 3, directions=200)
    assert isinstance(restless.search, Counting)
    rank(restless, np.array(restless.embeddings[100]), 90.0, top_k=5)
    assert len(restless.search.counts) > 1  # means over whole tracks are far below single segments


@DETERMINISTIC
@given(length_s=LENGTHS, duration_s=DURATIONS, spans=st.integers(1, 6), seed=st.integers(0, 50))
def test_more_spans_never_overlap_and_go_down(
    length_s: float, duration_s: float, spans: int, seed: int
) -> None:
    tracks = pool_of([duration_s], seed)
    query = unit(np.random.default_rng(seed).standard_normal(DIM))
    (match,) = rank(tracks, query, length_s, top_k=1, spans_per_track=spans)
    assert 1 <= len(match.spans) <= spans
    assert match.score == match.spans[0].score
    assert [s.score for s in match.spans] == sorted((s.score for s in match.spans), reverse=True)
    ordered = sorted(match.spans, key=lambda span: span.start_s)
    assert all(a.end_s <= b.start_s for a, b in pairwise(ordered))
    assert match.spans[:1] == rank(tracks, query, length_s, top_k=1)[0].spans


@DETERMINISTIC
@given(
    durations_s=st.lists(DURATIONS, min_size=1, max_size=6),
    length_s=LENGTHS,
    seed=st.integers(0, 99),
    queries=st.sampled_from([1, 2, 7]),
)
def test_many_queries_score_a_track_as_one_by_one(
    durations_s: list[float], length_s: float, seed: int, queries: int
) -> None:
    tracks = pool_of(durations_s, seed)
    asked = unit(np.random.default_rng(seed + 1).standard_normal((queries, DIM)))
    for track in range(len(durations_s)):
        slow = [slow_rank(tracks, query, length_s, [track])[0][0] for query in asked]
        assert scores_of(tracks, track, asked, length_s) == pytest.approx(slow, abs=1.01e-4)
        assert [fit(tracks, track, query, length_s).score for query in asked] == slow


@DETERMINISTIC
@given(
    durations_s=st.lists(DURATIONS, min_size=1, max_size=40),
    length_s=LENGTHS,
    seed=st.integers(0, 99),
    directions=st.sampled_from([None, 1, 3]),
    top_k=st.integers(1, 50),
    spans=st.integers(1, 3),
)
def test_again_is_the_same_and_a_longer_answer_begins_with_the_shorter(
    durations_s: list[float], length_s: float, seed: int, directions: int | None, top_k: int, spans: int
) -> None:
    """Asked first, last, in another process' memory or beside others: the same bits."""
    tracks = pool_of(durations_s, seed, directions=directions)
    query = unit(np.random.default_rng(seed + 1).standard_normal(DIM))
    whole = rank(tracks, query, length_s, top_k=100, spans_per_track=spans)
    found = rank(tracks, query, length_s, top_k=top_k, spans_per_track=spans)
    assert found == whole[:top_k]
    copied = replace(tracks, embeddings=tracks.embeddings.copy(), search=FlatSearch(tracks.embeddings))
    with ThreadPoolExecutor(4) as threads:
        asked = [
            threads.submit(rank, copied, query.copy(), length_s, top_k=top_k, spans_per_track=spans)
            for _ in range(4)
        ]
    assert all(each.result() == found for each in asked)


def test_nobody_eligible_gives_nobody() -> None:
    tracks = pool_of([30.0, 40.0], 1)
    assert rank(tracks, tracks.embeddings[0], 6.0, top_k=5, eligible=np.zeros(2, np.bool_)) == []


@pytest.mark.parametrize(
    ("length_s", "top_k", "spans"),
    [(0.0, 1, 1), (-1.0, 1, 1), (math.nan, 1, 1), (math.inf, 1, 1), (6, 0, 1), (6, 1, 0)],
)
def test_lengths_and_counts_are_positive(length_s: float, top_k: int, spans: int) -> None:
    tracks = pool_of([30.0], 1)
    with pytest.raises(BadOptions, match=r"above 0 s|at least 1"):
        rank(tracks, tracks.embeddings[0], length_s, top_k=top_k, spans_per_track=spans)


@pytest.mark.parametrize("query", [np.ones(DIM + 1), np.full(DIM, np.nan), np.ones((1, DIM))])
def test_a_foreign_query_is_refused(query: NDArray[np.float64]) -> None:
    tracks = pool_of([30.0], 1)
    with pytest.raises(Mismatch, match="bundle"):
        rank(tracks, query.astype(np.float32), 6.0, top_k=1)


@DETERMINISTIC
@given(
    n=st.integers(1, 40),
    count=st.integers(0, 50),
    share=st.sampled_from([None, 0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_flat_search_is_numpy(n: int, count: int, share: float | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, query = unit(rng.standard_normal((n, DIM))), unit(rng.standard_normal(DIM))
    allowed = None if share is None else rng.random(n) < share
    cosines, rows = FlatSearch(vectors).nearest(query, count, allowed)
    exact = vectors @ query
    inside = np.arange(n) if allowed is None else np.flatnonzero(allowed)
    assert rows.tolist() == inside[np.argsort(-exact[inside], kind="stable")][:count].tolist()
    assert np.allclose(cosines, exact[rows], atol=1e-6)


BPM = (None, 60.0, 100.0, 128.5)
FACTS = st.builds(
    dict,
    duration_s=st.sampled_from([5.0, 30.0, 200.0]),
    bpm=st.sampled_from(BPM),
    genres=st.lists(st.sampled_from(["Rock", "pop", "R&B"]), unique=True).map(tuple),
    moods=st.lists(st.sampled_from(["calm", "happy"]), unique=True).map(tuple),
    energy=st.sampled_from([None, 0.0, 0.4, 1.0]),
    artist=st.sampled_from([None, "Ann", " ann", "Bob"]),
    key=st.sampled_from([None, "A# minor", "Bbm", "C major", "8A"]),
    vocals=st.sampled_from([None, False, True]),
    explicit=st.sampled_from([None, False, True]),
)
ENDS = st.sampled_from([None, 5.0, 30.0, 60.0, 100.0, 128.5, 500.0])
BOUNDS = (
    st.just((None, None)) | st.tuples(ENDS, st.none()) | st.tuples(st.none(), ENDS) | st.tuples(ENDS, ENDS)
)
IDS = st.lists(st.sampled_from([f"t{i:02d}" for i in range(14)] + ["unknown"]), max_size=6).map(tuple)
LEVELS = st.sampled_from([(None, None), (0.4, None), (None, 0.4), (0.0, 0.9)])
FILTERS = st.builds(
    Filters,
    bpm=BOUNDS,
    energy=LEVELS,
    artists=st.just(()) | st.lists(st.sampled_from(["ANN", "bob ", "Eve"]), max_size=2).map(tuple),
    key=st.just(()) | st.lists(st.sampled_from(["b flat minor", "C", "8a"]), max_size=2).map(tuple),
    vocals=st.sampled_from([None, None, False, True]),
    explicit=st.sampled_from([None, None, False, True]),
    duration_s=BOUNDS,
    genres=st.just(()) | st.lists(st.sampled_from(["rock", "POP", " R&B ", "jazz"]), max_size=2).map(tuple),
    moods=st.just(()) | st.lists(st.sampled_from(["Calm", "sad"]), max_size=2).map(tuple),
    include_ids=st.none() | IDS,
    exclude_ids=IDS,
)


def passes(track: TrackFacts, filters: Filters) -> bool:
    """The definition: inclusive ranges, any of a list, all facets together, a missing fact never matches."""

    def within(value: float | None, bounds: tuple[float | None, float | None]) -> bool:
        if bounds == (None, None):
            return True
        low, high = bounds
        return value is not None and (low is None or low <= value) and (high is None or value <= high)

    def any_of(own: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
        return not wanted or bool({one.lower() for one in own} & {one.lower().strip() for one in wanted})

    keys = {"A# minor": "b flat minor", "Bbm": "b flat minor", "C major": "C", "8A": "8a", None: None}
    return (
        within(track.bpm, filters.bpm)
        and within(track.energy, filters.energy)
        and any_of((track.artist.strip(),) if track.artist else (), filters.artists)
        and (not filters.key or keys[track.key] in filters.key)
        and filters.vocals in (None, track.vocals)
        and filters.explicit in (None, track.explicit)
        and within(track.duration_s, filters.duration_s)
        and any_of(track.genres, filters.genres)
        and any_of(track.moods, filters.moods)
        and (filters.include_ids is None or track.track_id in filters.include_ids)
        and track.track_id not in filters.exclude_ids
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalogues")


@settings(DETERMINISTIC, max_examples=300)
@given(facts=st.lists(FACTS, min_size=1, max_size=14), filters=FILTERS, seed=st.integers(0, 9))
def test_no_excluded_track_is_ever_returned(
    folder: Path, facts: list[dict[str, object]], filters: Filters, seed: int
) -> None:
    """From the catalogue on disk to the last result: exactly the tracks that pass."""
    tracks = [TrackFacts(f"t{i:02d}", f"{i:064x}", **one) for i, one in enumerate(facts)]
    path = folder / "catalogue.sqlite"
    path.unlink(missing_ok=True)
    write_catalogue(path, tracks)
    mask = eligible(Catalogue.open(path), filters)
    assert mask.tolist() == [passes(track, filters) for track in tracks]
    pool = pool_of([track.duration_s for track in tracks], seed)
    query = unit(np.random.default_rng(seed).standard_normal(DIM))
    found = rank(pool, query, 6.0, top_k=100, eligible=mask)
    assert sorted(match.track for match in found) == np.flatnonzero(mask).tolist()
