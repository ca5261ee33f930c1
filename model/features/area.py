"""Pictures of any size in, the same pictures as a fixed number of area averages out.

All measures of the `lite` video extractors are taken on such averages and never on single pixels of the
source: a half-size copy or a coarse re-encode of a clip must give nearly the same numbers.
"""

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[np.floating]  # float32 in practice; numpy's stubs widen it in arithmetic

FEWEST_CELLS = 3  # a side: the 3x3 layout and central differences need them


def working_size(height_px: int, width_px: int, cells: int) -> tuple[int, int]:
    """(rows, columns) of a grid of about `cells` nearly square cells on a picture of this shape."""
    rows = max(FEWEST_CELLS, round((cells * height_px / width_px) ** 0.5))
    return rows, max(FEWEST_CELLS, round(rows * width_px / height_px))


def overlap(cells: int, pixels: int) -> Planes:
    """(cells, pixels): the share of each cell that each pixel of a line covers; rows sum to 1.

    With more cells than pixels a cell lies inside one or two pixels, so that tiny pictures are repeated.
    """
    edges = np.arange(cells + 1) * (pixels / cells)
    left, right = edges[:-1, None], edges[1:, None]
    pixel = np.arange(pixels)[None, :]
    covered = np.clip(np.minimum(right, pixel + 1) - np.maximum(left, pixel), 0.0, None)
    shares: Planes = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def line_mean(planes: Planes, cells: int, axis: int) -> Planes:
    """Average the lines of one axis into `cells`.

    A sum over the few pixels that a cell covers, not a matrix product: at these sizes BLAS starts threads
    that cost 100 times the work on a busy machine, and its rounding may depend on the whole stack.
    """
    shares = overlap(cells, planes.shape[axis])
    first = (shares > 0).argmax(axis=1)
    total: Planes = np.zeros(1, np.float32)
    shape = [-1 if i == axis % planes.ndim else 1 for i in range(planes.ndim)]
    for step in range(int((shares > 0).sum(axis=1).max())):
        pixel = np.minimum(first + step, planes.shape[axis] - 1)
        share = np.where(first + step < planes.shape[axis], shares[np.arange(cells), pixel], np.float32(0))
        total = total + planes.take(pixel, axis) * share.reshape(shape)
    return total


def area_mean(planes: Planes, rows: int, columns: int) -> Planes:
    """(..., h, w) to (..., rows, columns) float32, each cell the mean of the area it covers."""
    return line_mean(line_mean(planes, rows, -2), columns, -1)


def flat(planes: Planes) -> Planes:
    """(t, r, c) to (t, r * c), also for no pictures at all."""
    return planes.reshape(len(planes), planes.shape[1] * planes.shape[2])
