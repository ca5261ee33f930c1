"""A picture and a track in, how it stands against pictures that have nothing to do with it, out.

Always the picture alone: the bundle's null queries are pictures, so only a picture can be held against them.
What text and reference tracks add to the query changes what ranks, not how well the picture is met.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index_builder.search import Searchable, fit, scores_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a track suits a picture."""

    cosine: float  # what the picture alone would score on it
    percentile: float  # share 0..1 of the null queries that score lower on it


def judge(
    snapshot: Searchable,
    tracks: Sequence[int],
    picture: NDArray[np.float32],
    null_queries: NDArray[np.float32],
    length_s: float,
) -> list[Verdict]:
    """Hold a picture against unrelated ones, track by track, by the rule of the ranking.

    Every null query plays a picture of the same length and takes the candidate that suits it best, so on a
    track that has nothing to do with the picture the percentile is uniform.

    Args:
        snapshot: of the tracks.
        tracks: their rows.
        picture: (d,) unit.
        null_queries: (q, d) unit rows, q >= 1.
        length_s: of the picture.
    """
    verdicts = []
    for track in tracks:
        cosine = fit(snapshot, track, picture, length_s).score
        lower = scores_of(snapshot, track, null_queries, length_s) < cosine
        verdicts.append(Verdict(cosine, round(float(lower.mean()), 4)))
    return verdicts


def no_good_match(verdicts: Sequence[Verdict], threshold: float) -> bool | None:
    """Whether none of them reaches the bundle's threshold; None where there is nothing to judge."""
    return max(one.cosine for one in verdicts) < threshold if verdicts else None
