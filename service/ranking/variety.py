"""A ranking in, the same with less of the same in it out: tracks per artist, and diversity."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from index_builder.search import Match, Searchable
from service.ranking.blend import track_vector

CANDIDATES = 100  # diversity chooses among so many: all that an answer may hold, so a longer one only adds


class Caps:
    """At most so many tracks of one artist; in shapes, m tracks."""

    def __init__(self, artists: NDArray[np.int32], most: int) -> None:
        """`artists` (m,) says whose each track is; those of -1 are their own."""
        self._artists = artists
        self._most = most

    def excluded(self, eligible: NDArray[np.bool_]) -> int:
        """How many of the eligible (m,) tracks can never come out, however long the answer."""
        known = self._artists[eligible & (self._artists >= 0)]
        return int(np.maximum(np.bincount(known) - self._most, 0).sum()) if len(known) else 0

    def best(
        self, ranking: Callable[[NDArray[np.bool_]], list[Match]], eligible: NDArray[np.bool_]
    ) -> list[Match]:
        """What `ranking` gives of the eligible (m,) tracks, artists who have more in it held to their best.

        Each round fills an artist or more, so there are as many as the answer has artists, mostly two.
        """
        matches = ranking(eligible)
        while (left := self._without_rest(matches, eligible)).sum() < eligible.sum():
            eligible, matches = left, ranking(left)
        return matches

    def _without_rest(self, ranked: Sequence[Match], eligible: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(m,) eligible, but of artists who have more in the ranking only their best."""
        left, found = eligible.copy(), dict[int, list[int]]()
        for match in ranked:
            artist = int(self._artists[match.track])
            if artist >= 0:
                found.setdefault(artist, []).append(match.track)
        for artist, tracks in found.items():
            if len(tracks) > self._most:
                left[self._artists == artist] = False
                left[tracks[: self._most]] = True
        return left & eligible


def spread_out(snapshot: Searchable, ranked: Sequence[Match], diversity: float, top_k: int) -> list[Match]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998): each next is good and unlike those before.

    Chosen is who has the largest (1 - diversity) * score - diversity * likeness to the nearest of the chosen,
    the earlier of equals. Scores and likenesses (cosines of `track_vector`) are each stretched to 0..1
    over the candidates, since they live on different scales.

    Args:
        snapshot: that they are of.
        ranked: the candidates, best first.
        diversity: 0 (the ranking as it is) to 1 (the best, then only what is unlike).
        top_k: how many to choose.
    """
    if diversity == 0 or len(ranked) < 2:
        return list(ranked[:top_k])
    scores = _stretched(np.array([match.score for match in ranked]))
    vectors = np.stack([track_vector(snapshot, match.track) for match in ranked]).astype(np.float64)
    likeness = np.einsum("id,jd->ij", vectors, vectors)
    pairs = np.triu_indices(len(ranked), 1)
    likeness[pairs] = _stretched(likeness[pairs])
    likeness.T[pairs] = likeness[pairs]
    chosen, nearest = [0], likeness[0].copy()
    while len(chosen) < min(top_k, len(ranked)):
        worth = np.round((1 - diversity) * scores - diversity * nearest, 6)  # noise makes no difference
        worth[chosen] = -np.inf
        chosen.append(int(np.argmax(worth)))
        nearest = np.maximum(nearest, likeness[chosen[-1]])
    return [ranked[i] for i in chosen]


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    least, span = values.min(), values.max() - values.min()
    stretched: NDArray[np.float64] = (values - least) / (span if span > 0 else 1.0)
    return stretched
