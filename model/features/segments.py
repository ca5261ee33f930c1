"""A track's sequences and its segments in, what the music tower takes of each segment out.

Training, evaluation, extraction and the index builder all cut by this one rule: a bundle must be served the
rows that it was trained on.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.features.sequence import Sequence

TIME_TOLERANCE_S = 1e-3  # datasets store segments as float32: an hour into a track that is off by 2e-4 s


def is_functional(times_s: NDArray[np.float64], segments_s: NDArray[np.float64]) -> bool:
    """Whether rows stand for segments (n, 2), row k at the middle of segment k; else they run over time."""
    middles_s = segments_s.mean(axis=1)
    return len(times_s) == len(middles_s) and bool(
        np.abs(times_s - middles_s).max(initial=0) < TIME_TOLERANCE_S
    )


def segment_inputs(
    music: Mapping[str, Sequence], segments_s: NDArray[np.float64]
) -> list[dict[str, Sequence]]:
    """What the music tower takes of each segment.

    Args:
        music: a track's sequences by input name.
        segments_s: (n, 2) starts and ends.

    Returns:
        n mappings with the same keys. A functional's sequence has one row for each segment, at its middle:
        row k belongs to segment k. Of any other, a segment takes the rows whose centre lies in it.
    """
    parts = {name: _parts(sequence, segments_s) for name, sequence in music.items()}
    return [{name: each[k] for name, each in parts.items()} for k in range(len(segments_s))]


def _parts(sequence: Sequence, segments_s: NDArray[np.float64]) -> list[Sequence]:
    if is_functional(sequence.times_s, segments_s):
        return [
            Sequence(sequence.values[k : k + 1], sequence.times_s[k : k + 1]) for k in range(len(segments_s))
        ]
    return [sequence.between(start_s, end_s) for start_s, end_s in segments_s.tolist()]
