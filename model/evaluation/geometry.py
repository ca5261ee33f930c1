"""Unit vectors of matched pairs in, how well the common space is filled out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAIRS_AT_ONCE = 2_000_000  # distances in memory at a time


@dataclass(frozen=True, slots=True)
class Geometry:
    """Health of an embedding; smaller is better, each for itself trivial, together not."""

    alignment: float  # mean squared distance of matched vectors: 0 where they coincide, 2 at right angles
    uniformity_video: float  # log mean exp(-2 squared distance): 0 where all coincide, near -4 when spread
    uniformity_music: float
    modality_gap: float  # distance of the mean video from the mean clip: 0 to 2


def geometry(videos: NDArray[np.floating], clips: NDArray[np.floating]) -> Geometry:
    """Alignment and uniformity of Wang and Isola 2020 (arXiv:2005.10242), gap of Liang et al. 2022.

    Modality gap: arXiv:2203.02053.

    Args:
        videos: (n, d) unit rows, n >= 1.
        clips: (n, d) unit rows; row i belongs with video i.
    """
    v, m = (np.asarray(side, np.float64) for side in (videos, clips))
    return Geometry(
        alignment=float(((v - m) ** 2).sum(axis=1).mean()),
        uniformity_video=_uniformity(v),
        uniformity_music=_uniformity(m),
        modality_gap=float(np.linalg.norm(v.mean(axis=0) - m.mean(axis=0))),
    )


def _uniformity(x: NDArray[np.float64]) -> float:
    """Over pairs of different rows; 0 of a single one."""
    n = len(x)
    if n < 2:
        return 0.0
    total, step = 0.0, max(1, PAIRS_AT_ONCE // n)
    squares = (x**2).sum(axis=1)
    for first in range(0, n, step):
        rows = slice(first, first + step)
        apart = squares[rows, None] + squares - 2 * x[rows] @ x.T
        total += float(np.exp(-2 * np.maximum(apart, 0)).sum())
    return float(np.log((total - n) / (n * (n - 1))))
