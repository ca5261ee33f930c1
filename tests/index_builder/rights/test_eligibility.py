"""The columns against the rows; boundaries to the microsecond; no excluded track in any ranking."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_builder.rights.eligibility import REASONS, Use, judge, reasons
from index_builder.rights.licence import NOTHING, Licence
from index_builder.rights.terms import Terms, instant, microseconds
from index_builder.rights.words import in_words
from index_builder.search import FlatSearch, Search, rank
from index_builder.snapshot import SEGMENT
from model.grid import Grid

FEW = settings(max_examples=150, deadline=None, derandomize=True, database=None)
MICROSECOND = timedelta(microseconds=1)
END = datetime(2028, 2, 29, tzinfo=UTC)


def passes(licence: Licence, use: Use, now: datetime) -> bool:
    return bool(judge(Terms.of([licence]), use, now, unknown_passes=False).allowed[0])


@FEW
@given(st.data())
def test_columns_agree_with_the_definition_row_by_row(drawn: Any, data: st.DataObject) -> None:
    licences = data.draw(st.lists(drawn.licences, max_size=9))
    use, unknown_passes = data.draw(drawn.uses), data.draw(st.booleans())
    now = data.draw(st.sampled_from(drawn.times))
    verdict = judge(Terms.of(licences), use, now, unknown_passes=unknown_passes)
    expected = [drawn.slow_reasons(one, use, now, unknown_passes) for one in licences]
    assert verdict.allowed.tolist() == [not found for found in expected]
    first = [found[0] for found in expected if found]
    assert verdict.excluded == {reason: first.count(reason) for reason in REASONS if reason in first}
    assert sum(verdict.excluded.values()) == np.count_nonzero(~verdict.allowed)
    for licence, found in zip(licences, expected, strict=True):
        assert reasons(licence, use, now, unknown_passes=unknown_passes) == found
        for reason in found:
            assert len(in_words(reason, licence, use)) > 20


@FEW
@given(st.data())
def test_columns_give_the_licences_back(drawn: Any, data: st.DataObject) -> None:
    """Also of some rows, and with others put over some."""
    licences = data.draw(st.lists(drawn.licences, min_size=1, max_size=6))
    rows = data.draw(st.lists(st.integers(-1, len(licences) - 1), max_size=9))
    taken = Terms.of(licences).take(np.array(rows, np.int64))
    expected = [NOTHING if row < 0 else licences[row] for row in rows]
    where = data.draw(st.sets(st.sampled_from(range(len(rows))))) if rows else set()
    others = {row: data.draw(drawn.licences) for row in sorted(where)}
    put = taken.put(np.array([*others], np.int64), Terms.of([*others.values()]))
    for terms, wanted in ((taken, expected), (put, [others.get(i, one) for i, one in enumerate(expected)])):
        found = [Licence(licence_id=one.licence_id, **terms.facts(i)) for i, one in enumerate(wanted)]
        assert found == wanted
        assert terms.known.tolist() == [one.known for one in wanted]
        nulls = [one.platforms is None for one in wanted]
        assert terms.lists["platforms"].missing().tolist() == nulls


@FEW
@given(st.data())
def test_between_two_boundaries_nothing_changes(drawn: Any, data: st.DataObject) -> None:
    """So that a cached answer holds while no boundary is passed."""
    licences, use = data.draw(st.lists(drawn.licences, max_size=6)), data.draw(drawn.uses)
    terms = Terms.of(licences)
    a, b = sorted(data.draw(st.tuples(*[st.sampled_from(drawn.times)] * 2)))
    passed = np.searchsorted(terms.boundaries(), [microseconds(a), microseconds(b)], side="right")
    if passed[0] == passed[1]:
        verdicts = [judge(terms, use, now, unknown_passes=True) for now in (a, b)]
        assert verdicts[0].allowed.tolist() == verdicts[1].allowed.tolist()


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-11.5))])
def test_ends_are_exclusive_to_the_microsecond_in_every_zone(zone: timezone) -> None:
    until, begins, alone = (
        Licence(licence_id="L", **{name: END}) for name in ("valid_until", "valid_from", "exclusive_until")
    )
    at = END.astimezone(zone)
    before, after = at - MICROSECOND, at + MICROSECOND
    assert [passes(until, Use(), now) for now in (before, at, after)] == [True, False, False]
    assert [passes(begins, Use(), now) for now in (before, at, after)] == [False, True, True]
    assert [passes(alone, Use(), now) for now in (before, at, after)] == [False, True, True]


def test_instants_are_exact_far_from_1970() -> None:
    for year in (1, 1969, 2262, 9999):
        one = datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
        assert instant(microseconds(one)) == one


def test_a_day_needs_the_licence_for_all_of_it() -> None:
    leap, now = date(2028, 2, 29), datetime(2028, 1, 1, tzinfo=UTC)
    ends = END + timedelta(days=1)
    assert passes(Licence(valid_until=ends), Use(on_date=leap), now)
    assert not passes(Licence(valid_until=ends - MICROSECOND), Use(on_date=leap), now)
    assert passes(Licence(valid_until=ends - MICROSECOND), Use(on_date=date(2028, 2, 28)), now)
    assert passes(Licence(valid_from=END), Use(on_date=leap), now)
    assert not passes(Licence(valid_from=END + MICROSECOND), Use(on_date=leap), now)
    assert passes(Licence(valid_from=END + MICROSECOND), Use(on_date=date(2028, 3, 1)), now)
    assert passes(Licence(licence_id="L"), Use(on_date=date.max), now)


@given(st.dates(date(2000, 1, 1), date(2028, 3, 9)))
def test_no_question_brings_an_expired_licence_back(on_date: date) -> None:
    expired = Licence(valid_until=END)
    for now in (END, END + timedelta(days=10)):
        assert not passes(expired, Use(on_date=on_date), now)


def test_what_is_missing_matches_no_question() -> None:
    bare, free = Licence(licence_id="L"), Licence(platforms=("*",), territories=("*",), account_kinds=("*",))
    for use in (Use(platform="x"), Use(territory="DE"), Use(account="x"), Use(platform="*")):
        assert not passes(bare, use, END)
        assert passes(free, use, END)
        assert not passes(replace(free, platforms=(), territories=(), account_kinds=()), use, END)
    assert not passes(replace(free, product_link=None), Use(product_link=True), END)
    assert passes(replace(free, product_link=False), Use(product_link=False), END)


def test_what_cannot_be_read_never_passes() -> None:
    odd = Licence(licence_id="L", unreadable=("valid_until",))
    verdict = judge(Terms.of([odd, NOTHING]), Use(), END, unknown_passes=True)
    assert verdict.allowed.tolist() == [False, True]
    assert verdict.excluded == {"unknown": 1}


def test_no_tracks() -> None:
    verdict = judge(Terms.of([]), Use(platform="tiktok", territory="DE"), END, unknown_passes=False)
    assert (len(verdict.allowed), verdict.excluded) == (0, {})
    assert Terms.of([]).take(np.array([-1, -1])).known.tolist() == [False, False]


@dataclass(frozen=True)
class Tracks:
    """What `rank` needs of a snapshot."""

    grid: Grid
    embeddings: NDArray[np.float32]
    segments: NDArray[np.void]
    first_segment: NDArray[np.int64]
    durations_s: NDArray[np.float64]
    search: Search


def pool_of(tracks: int, seed: int) -> Tracks:
    """Tracks of 20 s with random vectors, some of them equal."""
    rng, grid = np.random.default_rng(seed), Grid()
    own = grid.segments(20.0)
    segments = np.zeros(tracks * len(own), SEGMENT)
    segments["track"] = np.repeat(np.arange(tracks), len(own))
    segments["start_s"], segments["end_s"] = np.tile(own.T, tracks)
    vectors = np.eye(4, dtype=np.float32)[rng.integers(4, size=len(segments))]
    first = np.arange(tracks + 1) * len(own)
    return Tracks(grid, vectors, segments, first, np.full(tracks, 20.0), FlatSearch(vectors))


@FEW
@given(st.data())
def test_no_excluded_track_is_ranked(drawn: Any, data: st.DataObject) -> None:
    licences = data.draw(st.lists(drawn.licences, min_size=1, max_size=12))
    use, now = data.draw(drawn.uses), data.draw(st.sampled_from(drawn.times))
    verdict = judge(Terms.of(licences), use, now, unknown_passes=False)
    query = np.array([1, 0, 0, 0], np.float32)
    tracks = pool_of(len(licences), data.draw(st.integers(0, 9)))
    found = rank(tracks, query, 10.0, top_k=len(licences), eligible=verdict.allowed)
    allowed = {i for i, one in enumerate(licences) if not drawn.slow_reasons(one, use, now, False)}
    assert {match.track for match in found} == allowed
