"""Small grey pictures at any frame rate in, a steady ten a second and how the whole picture moves out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.features.area import Planes, flat
from model.features.texture import blur, gradients

STEADY_HZ = 10  # divides every second evenly; 2.4 pictures of 24 fps film are averaged in each
RIDGE = 1e-5  # mean squared slope a cell: where there is less structure, motion is taken for 0
FARTHEST_CELLS = 3.0  # what the linear model can still see after blurring

Row = NDArray[np.float64]


def steady(grey: Planes, times_s: NDArray[np.float64], start_s: float, end_s: float) -> Planes:
    """(n, r, c) pictures, each shown until the next, to (k, r, c) means over tenths of a second; k >= 1.

    Averaging over time, as a shutter does, makes 25, 30 and 50 fps of one scene the same, and frames that
    are shown twice the same as frames shown once.
    """
    steps = max(1, round((end_s - start_s) * STEADY_HZ))
    edges = start_s + np.arange(steps + 1) / STEADY_HZ
    changes = times_s[(times_s > edges[0]) & (times_s < edges[-1])]
    bounds = np.unique(np.concatenate([edges, changes]))
    shown = np.maximum(np.searchsorted(times_s, bounds[:-1], side="right") - 1, 0)
    weights = (np.diff(bounds) * STEADY_HZ).astype(np.float32)
    first = np.searchsorted(bounds, edges[:-1])
    at_first = grey[shown[first]]
    beyond = grey[shown] - np.repeat(at_first, np.diff(np.append(first, len(shown))), axis=0)
    beyond *= weights[:, None, None]
    return at_first + np.add.reduceat(beyond, first, axis=0)  # to the last bit equal while nothing moves


@dataclass(frozen=True, slots=True)
class GlobalMotion:
    """How the whole picture moved in each of k steps; lengths in picture sizes, the root of its area."""

    right_per_s: Row  # (k,) what is seen moves right: the camera pans left
    down_per_s: Row  # (k,)
    growth_per_s: Row  # (k,) relative, > 0 is zooming in
    roll_rad_per_s: Row  # (k,) clockwise
    share: Row  # (k,) of the squared luma change that this motion explains

    @classmethod
    def between(cls, pictures: Planes) -> "GlobalMotion":
        """Least-squares fit of a shift, a growth and a roll to (k + 1, r, c) pictures, ten a second.

        The brightness constancy equation (Lucas & Kanade 1981) for a four-parameter model of the whole
        picture (Odobez & Bouthemy 1995, without their reweighting), with a ridge.
        """
        smooth = blur(pictures)
        right, down = (flat(slope[:, 1:-1, 1:-1]) for slope in gradients((smooth[1:] + smooth[:-1]) / 2))
        change = flat((smooth[1:] - smooth[:-1])[:, 1:-1, 1:-1])
        rows, columns = pictures.shape[1] - 2, pictures.shape[2] - 2
        half = (pictures.shape[1] * pictures.shape[2]) ** 0.5 / 2
        y, x = np.meshgrid(
            np.arange(rows) - (rows - 1) / 2, np.arange(columns) - (columns - 1) / 2, indexing="ij"
        )
        y, x = (y.ravel() / half).astype(np.float32), (x.ravel() / half).astype(np.float32)
        fields = np.stack([right, down, x * right + y * down, x * down - y * right], axis=1).astype(
            np.float64
        )
        normal = np.matmul(fields, fields.transpose(0, 2, 1)) + RIDGE * change.shape[1] * np.eye(4)
        target = -np.matmul(fields, change[:, :, None].astype(np.float64))
        found = np.linalg.solve(normal, target)
        explained = (found * target).sum(axis=(1, 2))
        total = (change.astype(np.float64) ** 2).sum(axis=1) + RIDGE * change.shape[1] / 100
        cells = np.clip(found[:, :, 0], -FARTHEST_CELLS, FARTHEST_CELLS) * STEADY_HZ
        return cls(
            right_per_s=cells[:, 0] / (2 * half),
            down_per_s=cells[:, 1] / (2 * half),
            growth_per_s=cells[:, 2] / half,
            roll_rad_per_s=cells[:, 3] / half,
            share=np.clip(explained / total, 0, 1),
        )
