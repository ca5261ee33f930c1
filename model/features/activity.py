"""How likely something is to be heard at each moment of a sound, and the share of time that it is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRESENT = 0.5  # from this probability on it counts as heard


@dataclass(frozen=True, slots=True)
class Activity:
    """Voice or music over time; row i describes the time from i * hop_s on."""

    probability: NDArray[np.float64]  # (t,) 0..1
    hop_s: float

    @property
    def share(self) -> float:
        """Share of the time in which it is heard, 0..1; 0 for no time at all."""
        return float((self.probability >= PRESENT).mean()) if len(self.probability) else 0.0

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) the probability at each of some times (n,); that of the first or last row outside."""
        rows = np.floor(times_s / self.hop_s).astype(np.intp).clip(0, max(0, len(self.probability) - 1))
        return self.probability[rows] if len(self.probability) else np.zeros(len(times_s))


def logistic(evidence: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)) of any shape."""
    found: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * evidence))
    return found
