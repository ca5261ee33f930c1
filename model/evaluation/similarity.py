"""Scores of pairs in, how far apart matched and unmatched ones lie out: the paper's Fig. 6."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

POINTS = 256
MOST_VALUES = 20_000  # that a density is made of; of more, as many quantiles: the same curve, at bounded cost
MARGIN = 3.0  # bandwidths beyond the outermost value: holds all but 0.1 % of each bump


@dataclass(frozen=True, slots=True)
class Similarity:
    """Cosines of videos with their own clips and with clips of other tracks; in shapes, g points."""

    matched_pairs: int
    unmatched_pairs: int
    cosine: NDArray[np.float64]  # (g,) ascending, evenly spaced
    matched: NDArray[np.float64]  # (g,) density of video i with clip i
    unmatched: NDArray[np.float64]  # (g,) density of video i with clips of other tracks
    overlap: float  # area under both densities: 1 when they are the same, 0 when they never meet
    matched_wins: float  # P(matched > unmatched), ties by half: the area under the ROC curve
    d_prime: float  # distance of the means in standard deviations


def similarity(scores: NDArray[np.float64], tracks: NDArray[np.str_]) -> Similarity | None:
    """Compare matched with unmatched pairs; other clips of the own track are neither.

    Densities are sums of Gaussian kernels of Scott's bandwidth.

    Args:
        scores: (n, n) video i against clip j; n >= 1.
        tracks: (n,) which track clip j was cut from.

    Returns:
        None where either side lacks two different values: it has no density.
    """
    matched = np.diag(scores)
    unmatched = np.sort(scores[tracks[:, None] != tracks[None, :]])
    if any(len(values) < 2 or np.ptp(values) == 0 for values in (matched, unmatched)):
        return None
    kernels = [gaussian_kde(_thinned(values)) for values in (matched, unmatched)]
    beyond = MARGIN * max(float(np.sqrt(kernel.covariance[0, 0])) for kernel in kernels)
    lowest, highest = min(matched.min(), unmatched[0]), max(matched.max(), unmatched[-1])
    cosine = np.linspace(lowest - beyond, highest + beyond, POINTS)
    here, there = (np.asarray(kernel(cosine), np.float64) for kernel in kernels)
    spread = np.sqrt((matched.var() + unmatched.var()) / 2)
    return Similarity(
        matched_pairs=len(matched),
        unmatched_pairs=len(unmatched),
        cosine=cosine,
        matched=here,
        unmatched=there,
        overlap=float(np.trapezoid(np.minimum(here, there), cosine)),
        matched_wins=_wins(matched, unmatched),
        d_prime=float((matched.mean() - unmatched.mean()) / spread),
    )


def _thinned(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(values) <= MOST_VALUES:
        return values
    return np.asarray(np.quantile(values, (np.arange(MOST_VALUES) + 0.5) / MOST_VALUES), np.float64)


def _wins(matched: NDArray[np.float64], unmatched: NDArray[np.float64]) -> float:
    """Mann and Whitney's U over the number of comparisons; `unmatched` ascending."""
    below = np.searchsorted(unmatched, matched, side="left")
    not_above = np.searchsorted(unmatched, matched, side="right")
    return float((below + not_above).mean() / (2 * len(unmatched)))
