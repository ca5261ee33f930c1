"""The landmarks of many ads in, which of them share their music out.

Comparing every ad with every other grows with the square of their number, so candidates come first: of each
ad a quarter of its landmarks, chosen by their value and so the same quarter in every copy, stands in one
sorted list, and two ads are compared in full where a few of these agree on one offset. Ads that are known to
share their music, if through a third one, are not compared again.

What is found alike is what sounds alike: one recording of a voice over different music counts as shared, and
different parts of one track do not, unless an ad has both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features.landmarks import Landmarks, likeness

CLEAR = 0.03  # share of common landmarks; tracks of one drum kit and tempo reach 0.026
FAINT, LEAD = 0.01, 2.0  # or a smaller one, as under a voice, that is much greater than at other offsets
LEAST_COVER = 0.3  # of the shorter ad's time: a jingle that a brand puts under all its ads is not their music
SAMPLED = 4  # one landmark in so many
NEIGHBOURS = 16  # entries of the list that each is held against: bounds the work for common landmarks
LEAST_VOTES = 3
BUCKET_FRAMES = 4  # offsets within 80 ms count as one
BLOCK_ADS = 1000  # looked up at a time: bounds the memory


def same_music(ads: Sequence[Landmarks]) -> NDArray[np.int64]:
    """(n,) the first ad that shares its music with each, directly or through others; itself if none does."""
    first_of = np.arange(len(ads), dtype=np.int64)
    index = _Index.of(ads)
    for first in range(0, len(ads), BLOCK_ADS):
        end = min(first + BLOCK_ADS, len(ads))
        for one, two in index.candidates(first, end):
            if first_of[one] != first_of[two] and share_music(ads[one], ads[two]):
                least, other = sorted((first_of[one], first_of[two]))
                first_of[first_of == other] = least
    return first_of


def share_music(one: Landmarks, two: Landmarks) -> bool:
    """Whether two ads hold the same recording, by their landmarks."""
    found = likeness(one, two)
    alike = found.share >= CLEAR or (found.share >= FAINT and found.lead >= LEAD)
    return alike and found.cover >= LEAST_COVER


@dataclass(frozen=True, slots=True)
class _Index:
    """Sampled landmarks of all ads, m of them, by hash and then by ad."""

    hashes: NDArray[np.uint32]  # (m,)
    ads: NDArray[np.int32]  # (m,)
    frames: NDArray[np.int32]  # (m,)

    @classmethod
    def of(cls, ads: Sequence[Landmarks]) -> "_Index":
        chosen = [np.flatnonzero(ad.hashes % SAMPLED == 0) for ad in ads]
        none = [np.zeros(0, np.uint32)]  # np.concatenate wants at least one
        hashes = np.concatenate([ad.hashes[rows] for ad, rows in zip(ads, chosen, strict=True)] + none)
        frames = np.concatenate([ad.frames[rows] for ad, rows in zip(ads, chosen, strict=True)] + none)
        of_ad = np.repeat(np.arange(len(ads), dtype=np.int32), [len(rows) for rows in chosen])
        order = np.lexsort((of_ad, hashes))
        return cls(hashes[order], of_ad[order], frames[order].astype(np.int32))

    def candidates(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Pairs i < j that may share their music, i one of the ads first .. end - 1; likely ones first."""
        at = np.flatnonzero((self.ads >= first) & (self.ads < end))
        pairs: list[NDArray[np.int32]] = []
        for lag in range(1, NEIGHBOURS + 1):
            mine = at[at + lag < len(self.ads)]
            theirs = mine + lag
            agree = (self.hashes[mine] == self.hashes[theirs]) & (self.ads[mine] != self.ads[theirs])
            mine, theirs = mine[agree], theirs[agree]
            offset = (self.frames[theirs] - self.frames[mine]) // BUCKET_FRAMES
            pairs.append(np.stack([self.ads[mine], self.ads[theirs], offset], axis=1))
        buckets, votes = np.unique(np.concatenate(pairs), axis=0, return_counts=True)
        split = np.zeros(len(votes), np.int64)  # an offset on the edge of a bucket votes for both
        follows = (np.diff(buckets, axis=0) == (0, 0, 1)).all(axis=1)
        split[:-1][follows] = votes[1:][follows]
        votes = votes + split
        likely = np.argsort(-votes, kind="stable")
        likely = likely[votes[likely] >= LEAST_VOTES]
        seen: set[tuple[int, int]] = set()
        for one, two, _ in buckets[likely].tolist():
            if (one, two) not in seen:
                seen.add((one, two))
                yield one, two
