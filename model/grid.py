"""A track's duration in, its index segments and the spans that fit a picture's length out.

Design section 2: a segment is 15 s, every 5 s, plus the ending; for a picture of length L the
candidates inside a track are the segment starts s with L of music left; s covers the segments that
begin in [s, max(s, s + L - 15)], and its score is their mean.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EPSILON_S = 1e-6  # container times are rational numbers; sums of them miss by float noise


@dataclass(frozen=True, slots=True)
class Grid:
    """The one grid on which music lives."""

    segment_s: float = 15.0
    hop_s: float = 5.0

    @property
    def name(self) -> str:
        """Stable name, part of feature keys and recipes."""
        return f"{self.segment_s:g}s/{self.hop_s:g}s"

    def starts(self, duration_s: float) -> NDArray[np.float64]:
        """Segment starts of a track of `duration_s`: (n,) ascending, n >= 1, the ending included."""
        last = max(0.0, duration_s - self.segment_s)
        steps = int(np.floor((last + EPSILON_S) / self.hop_s)) + 1
        regular = np.arange(steps, dtype=np.float64) * self.hop_s
        if last - regular[-1] > EPSILON_S:
            return np.append(regular, last)
        return regular

    def segments(self, duration_s: float) -> NDArray[np.float64]:
        """(n, 2) start and end of each segment; a track shorter than a segment is one segment."""
        starts = self.starts(duration_s)
        return np.stack([starts, np.minimum(starts + self.segment_s, duration_s)], axis=1)

    def span_starts(self, start_s: float, length_s: float, duration_s: float) -> NDArray[np.float64]:
        """Starts of the segments that a clip [start_s, start_s + length_s] of a track covers: (n,), n >= 1.

        What training draws from: the same segments that the service averages when it offers the
        clip, on a grid that begins at the clip's own start (an ad's clip need not start on the
        track's grid).
        """
        last = max(start_s, min(start_s + length_s, duration_s) - self.segment_s)
        steps = int(np.floor((last - start_s + EPSILON_S) / self.hop_s)) + 1
        return start_s + np.arange(steps, dtype=np.float64) * self.hop_s

    def candidates(
        self, starts: NDArray[np.float64], duration_s: float, length_s: float
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Where music for a picture of `length_s` may begin in a track.

        Args:
            starts: (n,) the track's segment starts, ascending.
            duration_s: of the track.
            length_s: of the picture, > 0.

        Returns:
            (first, end), each (c,), c >= 1: candidate i begins at starts[first[i]] and covers the
            segments first[i] .. end[i] - 1. A track shorter than the picture has one candidate that
            covers everything.
        """
        fits = np.flatnonzero(starts + length_s <= duration_s + EPSILON_S)
        if len(fits) == 0:
            return np.zeros(1, np.intp), np.full(1, len(starts), np.intp)
        last = starts[fits] + max(0.0, length_s - self.segment_s)
        return fits, np.searchsorted(starts, last + EPSILON_S, side="right").astype(np.intp)
