"""Diversity against MMR written out, artist caps against a walk over the whole ranking."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from index_builder.search import Match, rank
from service.ranking.variety import CANDIDATES, Caps, spread_out

DETERMINISTIC = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def unit(x: NDArray[np.floating]) -> NDArray[np.float32]:
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def ranked(make_tracks: Any, count: int, seed: int) -> tuple[Any, list[Match]]:
    rng = np.random.default_rng(seed)
    tracks = make_tracks(seed, rng.uniform(5, 60, count).tolist())
    return tracks, rank(tracks, unit(rng.standard_normal(6)), 6.0, top_k=CANDIDATES)


def mmr(tracks: Any, candidates: list[Match], diversity: float, top_k: int) -> list[int]:
    """Carbonell and Goldstein's formula in loops, on both scales stretched to 0..1."""
    means = []
    for match in candidates:
        rows = tracks.embeddings[tracks.segments["track"] == match.track].astype(float).mean(axis=0)
        means.append(rows / np.linalg.norm(rows))
    alike = {(i, j): float(a @ b) for i, a in enumerate(means) for j, b in enumerate(means) if i != j}
    low, high = min(alike.values(), default=0.0), max(alike.values(), default=0.0)
    worst, best = candidates[-1].score, candidates[0].score
    chosen = [0]
    while len(chosen) < min(top_k, len(candidates)):
        worth = {}
        for i, match in enumerate(candidates):
            if i not in chosen:
                relevance = (match.score - worst) / ((best - worst) or 1)
                likeness = max((alike[i, j] - low) / ((high - low) or 1) for j in chosen)
                worth[i] = (1 - diversity) * relevance - diversity * likeness
        chosen.append(max(worth, key=lambda i: (round(worth[i], 6), -i)))
    return [candidates[i].track for i in chosen]


@DETERMINISTIC
@given(
    count=st.sampled_from([1, 2, 3, 17, 40]),
    seed=st.integers(0, 99),
    diversity=st.sampled_from([0.1, 0.3, 0.5, 0.9, 1.0]),
    top_k=st.sampled_from([1, 2, 10, 100]),
)
def test_diversity_is_maximal_marginal_relevance(
    make_tracks: Any, count: int, seed: int, diversity: float, top_k: int
) -> None:
    tracks, candidates = ranked(make_tracks, count, seed)
    found = spread_out(tracks, candidates, diversity, top_k)
    assert [match.track for match in found] == mmr(tracks, candidates, diversity, top_k)
    assert found[0] is candidates[0]


def test_none_is_the_ranking_itself(make_tracks: Any) -> None:
    tracks, candidates = ranked(make_tracks, 30, 1)
    assert spread_out(tracks, candidates, 0.0, 7) == candidates[:7]
    assert spread_out(tracks, [], 0.5, 7) == []


def test_a_longer_answer_begins_with_the_shorter(make_tracks: Any) -> None:
    tracks, candidates = ranked(make_tracks, 60, 2)
    whole = spread_out(tracks, candidates, 0.4, 100)
    assert len(whole) == 60
    for top_k in (1, 5, 33):
        assert spread_out(tracks, candidates, 0.4, top_k) == whole[:top_k]


def test_more_diversity_is_less_alike_and_scores_less(make_tracks: Any) -> None:
    alike, scores = [], []
    for diversity in (0.0, 0.3, 0.6, 1.0):
        both = []
        for seed in range(8):
            tracks, candidates = ranked(make_tracks, 80, seed)
            found = spread_out(tracks, candidates, diversity, 8)
            means = unit(
                np.stack([tracks.embeddings[tracks.segments["track"] == m.track].mean(axis=0) for m in found])
            )
            both.append(((means @ means.T)[np.triu_indices(8, 1)].mean(), np.mean([m.score for m in found])))
        alike.append(np.mean(both, axis=0)[0])
        scores.append(np.mean(both, axis=0)[1])
    assert alike == sorted(alike, reverse=True)
    assert scores == sorted(scores, reverse=True)


def test_a_clone_waits_behind_tracks_of_another_kind(make_tracks: Any) -> None:
    e = np.eye(6)
    vectors = [e[:1], e[:1], 0.8 * e[:1] + 0.6 * e[1:2], 0.6 * e[:1] + 0.8 * e[2:3]]
    tracks = make_tracks(vectors, [10.0] * 4)
    candidates = rank(tracks, unit(e[0]), 5.0, top_k=4)
    assert [match.track for match in candidates] == [0, 1, 2, 3]
    assert [match.track for match in spread_out(tracks, candidates, 0.7, 4)] == [0, 3, 2, 1]


def capped(whole: list[Match], artists: list[int], most: int, top_k: int) -> list[Match]:
    kept, seen = [], Counter[int]()
    for match in whole:
        artist = artists[match.track]
        if artist < 0 or seen[artist] < most:
            kept.append(match)
            seen[artist] += 1
    return kept[:top_k]


@DETERMINISTIC
@given(
    artists=st.lists(st.integers(-1, 5), min_size=1, max_size=40),
    most=st.integers(1, 4),
    top_k=st.integers(1, 45),
    seed=st.integers(0, 50),
    data=st.data(),
)
def test_each_artist_keeps_the_best(
    make_tracks: Any, artists: list[int], most: int, top_k: int, seed: int, data: st.DataObject
) -> None:
    count = len(artists)
    tracks = make_tracks(seed, [20.0] * count)
    query = unit(np.random.default_rng(seed).standard_normal(6))
    allowed = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    caps = Caps(np.array(artists, np.int32), most)
    found = caps.best(lambda left: rank(tracks, query, 6.0, top_k=top_k, eligible=left), allowed.copy())
    whole = rank(tracks, query, 6.0, top_k=count, eligible=allowed)
    assert found == capped(whole, artists, most, top_k)
    assert caps.excluded(allowed) == len(whole) - len(capped(whole, artists, most, count))


def test_artist_after_artist_may_fill_the_answer(make_tracks: Any) -> None:
    """Nine tracks, three artists, each one's tracks all before the next one's."""
    tracks = make_tracks([np.array([[1.0, 0.1 * i, 0, 0, 0, 0]]) for i in range(9)], [10.0] * 9)
    caps = Caps(np.repeat(np.arange(3, dtype=np.int32), 3), 1)
    query = unit(np.eye(6)[0])
    found = caps.best(lambda left: rank(tracks, query, 6.0, top_k=3, eligible=left), np.ones(9, np.bool_))
    assert [match.track for match in found] == [0, 3, 6]


@pytest.mark.parametrize("artists", [[-1, -1, -1], []])
def test_tracks_without_an_artist_are_their_own(artists: list[int]) -> None:
    assert Caps(np.array(artists, np.int32), 1).excluded(np.ones(len(artists), np.bool_)) == 0
