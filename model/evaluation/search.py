"""Query vectors and a search over segment vectors in, the score of every clip out, as the service ranks.

The search is handed in, since it is the index builder's and lies above this package: what is measured is
then what will be served, with its arithmetic and, of an inexact index, with what it fails to find.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FARTHEST = -1.0  # the least cosine there is: of segments that the search does not find


class Search(Protocol):
    """Nearest segments by inner product; in shapes, s segments of d dimensions."""

    def nearest(
        self, query: NDArray[np.float32], count: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best `count` (or all) of the `allowed` (s,) segments: cosines, descending, and segment rows."""


OpenSearch = Callable[[NDArray[np.float32]], Search]  # over (s, d) unit rows


def searched_clips(
    videos: NDArray[np.float32], offsets: NDArray[np.int64], search: Search
) -> NDArray[np.float64]:
    """Score every clip for every video: the mean over its segments of the cosines that the search gives.

    Args:
        videos: (n, d) unit rows.
        offsets: (m + 1,); clip j has the search's segments offsets[j] .. offsets[j + 1] - 1, one or more.
        search: over all of them.

    Returns:
        (n, m).
    """
    segments = int(offsets[-1])
    scores = np.zeros((len(videos), len(offsets) - 1))
    for i, query in enumerate(videos):
        cosines, rows = search.nearest(query, segments, None)
        by_segment = np.full(segments, FARTHEST)
        by_segment[rows] = cosines
        scores[i] = np.add.reduceat(by_segment, offsets[:-1]) / np.diff(offsets)
    return scores
