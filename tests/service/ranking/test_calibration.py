"""Percentiles against the definition in loops, and against scipy's test of uniformity."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest

from service.ranking.calibration import Verdict, judge, no_good_match

LENGTHS = st.sampled_from([0.5, 14.9, 15.0, 20.0, 30.0, 300.0])
DURATIONS = st.sampled_from([1.0, 14.99, 15.1, 22.7, 60.0, 64.999])


def unit(x: NDArray[np.floating]) -> NDArray[np.float32]:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def best_score(tracks: Any, track: int, query: NDArray[np.float32], length_s: float) -> float:
    """Design section 2 word by word."""
    own = [i for i, one in enumerate(tracks.segments) if one["track"] == track]
    starts = [float(tracks.segments["start_s"][i]) for i in own]
    cosines = [float(tracks.embeddings[i].astype(float) @ query.astype(float)) for i in own]
    found = [
        np.mean(
            [
                c
                for at_s, c in zip(starts, cosines, strict=True)
                if s <= at_s <= max(s, s + length_s - 15) + 1e-6
            ]
        )
        for s in starts
        if s + length_s <= tracks.durations_s[track] + 1e-6
    ]
    return float(max(found) if found else np.mean(cosines))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(durations_s=st.lists(DURATIONS, min_size=1, max_size=5), length_s=LENGTHS, seed=st.integers(0, 99))
def test_a_percentile_is_the_share_of_null_queries_below(
    make_tracks: Any, durations_s: list[float], length_s: float, seed: int
) -> None:
    tracks, rng = make_tracks(seed, durations_s), np.random.default_rng(seed + 1)
    picture, nulls = unit(rng.standard_normal(6)), unit(rng.standard_normal((11, 6)))
    asked = list(range(len(durations_s)))[::-1]
    for track, verdict in zip(asked, judge(tracks, asked, picture, nulls, length_s), strict=True):
        cosine = best_score(tracks, track, picture, length_s)
        share = np.mean([best_score(tracks, track, null, length_s) < cosine for null in nulls])
        assert verdict.cosine == pytest.approx(cosine, abs=6e-5)
        assert verdict.percentile == pytest.approx(share, abs=5e-5)


@pytest.mark.parametrize("length_s", [6.0, 45.0, 400.0])
def test_it_is_uniform_on_random_pairs(make_tracks: Any, length_s: float) -> None:
    """Pictures drawn as the null queries are, that have nothing to do with the tracks; one pair of each."""
    rng = np.random.default_rng(3)
    middle = rng.standard_normal(6)  # pictures lie in a cone, not all around
    tracks = make_tracks(5, rng.uniform(5, 120, 300).tolist())
    found = []
    for track in range(300):
        nulls, picture = unit(middle + rng.standard_normal((200, 6))), unit(middle + rng.standard_normal(6))
        found += judge(tracks, [track], picture, nulls, length_s)
    assert kstest([verdict.percentile for verdict in found], "uniform").pvalue > 0.05


def test_it_is_high_where_the_picture_belongs(make_tracks: Any) -> None:
    rng = np.random.default_rng(0)
    tracks = make_tracks(5, [20.0] * 50)
    nulls = unit(rng.standard_normal((256, 6)))
    owns = [judge(tracks, [t], tracks.embeddings[tracks.first_segment[t]], nulls, 6.0)[0] for t in range(50)]
    assert min(verdict.percentile for verdict in owns) > 0.95
    assert kstest([verdict.percentile for verdict in owns], "uniform").pvalue < 1e-6


def test_the_threshold_decides_by_the_best_of_all() -> None:
    verdicts = [Verdict(0.2, 0.9), Verdict(0.4, 0.1)]
    assert no_good_match(verdicts, 0.41) is True
    assert no_good_match(verdicts, 0.4) is False
    assert no_good_match([], 0.4) is None
