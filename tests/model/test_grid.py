"""The grid against the sentences of design section 2, spelled out in loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.grid import Grid

GRID = Grid()
durations = st.floats(0.01, 400.0)


def slow_starts(duration_s: float) -> list[float]:
    """Every 5 s while 15 s fit, plus the ending."""
    starts = [0.0]
    while starts[-1] + 5 + 15 <= duration_s + 1e-6:
        starts.append(starts[-1] + 5)
    ending = duration_s - 15
    if ending > starts[-1] + 1e-6:
        starts.append(ending)
    return starts


@given(durations)
def test_starts_are_the_regular_ones_and_the_ending(duration_s: float) -> None:
    assert np.allclose(GRID.starts(duration_s), slow_starts(duration_s), atol=1e-5)


@given(durations)
def test_segments_stay_inside_and_reach_the_end(duration_s: float) -> None:
    segments = GRID.segments(duration_s)
    assert segments[0, 0] == 0
    assert segments[-1, 1] == pytest.approx(duration_s)
    assert (segments[:, 1] - segments[:, 0] <= 15 + 1e-9).all()


@given(durations, st.floats(0.1, 200.0))
def test_candidates_follow_the_definition(duration_s: float, length_s: float) -> None:
    starts = GRID.starts(duration_s)
    first, end = GRID.candidates(starts, duration_s, length_s)
    fitting = [i for i, s in enumerate(starts) if s + length_s <= duration_s + 1e-6]
    if not fitting:
        assert (list(first), list(end)) == ([0], [len(starts)])
        return
    assert list(first) == fitting
    for i, stop in zip(first, end, strict=True):
        s = starts[i]
        covered = [j for j, t in enumerate(starts) if s <= t <= max(s, s + length_s - 15) + 1e-6]
        assert list(range(i, stop)) == covered


@given(st.floats(0, 60), st.floats(0.1, 90), durations)
def test_a_clip_of_training_covers_what_the_service_would_average(
    start_s: float, length_s: float, more_s: float
) -> None:
    duration_s = start_s + more_s
    spans = GRID.span_starts(start_s, length_s, duration_s)
    assert spans[0] == start_s
    assert np.allclose(np.diff(spans), 5)
    assert spans[-1] <= max(start_s, min(start_s + length_s, duration_s) - 15) + 1e-5


def test_known_values() -> None:
    assert list(GRID.starts(0.5)) == [0]
    assert list(GRID.starts(15)) == [0]
    assert list(GRID.starts(20)) == [0, 5]
    assert list(GRID.starts(22)) == [0, 5, 7]
    first, end = GRID.candidates(GRID.starts(40), 40, 30)
    assert [(int(a), int(b)) for a, b in zip(first, end, strict=True)] == [(0, 4), (1, 5), (2, 6)]
    assert list(GRID.span_starts(10, 30, 100)) == [10, 15, 20, 25]
    assert list(GRID.span_starts(10, 6, 100)) == [10]
    assert GRID.name == "15s/5s"
