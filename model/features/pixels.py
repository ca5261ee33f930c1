"""Frames of any size in, the square pictures that Inception v3 was trained on out: values from -1 to 1.

The shorter side is scaled to 299 and the middle cut out, as torchvision's Resize and CenterCrop do. The media
layer scales frames of the paper's recipe itself, so that of those only the middle is left to be cut; the ends
of what is longer than four short sides it has left out already.
"""

import numpy as np
from numpy.typing import NDArray

from model.backbones.catalogue import INCEPTION

SIDE_PX = INCEPTION.input_shape[1]
BLACK, WHITE = -1.0, 1.0  # mean .5 and deviation .5 of values from 0 to 1


def scaled_size(height_px: int, width_px: int) -> tuple[int, int]:
    """(height, width) with the shorter side at 299; the longer one is rounded down, as in torchvision."""
    shorter = min(height_px, width_px)
    return SIDE_PX * height_px // shorter, SIDE_PX * width_px // shorter


def pixels(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(t, h, w, 3) RGB, h and w >= 1, to (t, 3, 299, 299)."""
    height_px, width_px = frames.shape[1:3]
    rows, columns = scaled_size(height_px, width_px)
    top, left = round((rows - SIDE_PX) / 2), round((columns - SIDE_PX) / 2)
    found = np.empty((len(frames), 3, SIDE_PX, SIDE_PX), np.float32)
    for frame, planes in zip(frames, found, strict=True):
        if (rows, columns) == (height_px, width_px):
            square: NDArray[np.floating | np.uint8] = frame[top:, left:][:SIDE_PX, :SIDE_PX]
        else:
            square = _scaled(_scaled(frame, rows, top, axis=0), columns, left, axis=1)
        np.multiply(square.transpose(2, 0, 1), np.float32((WHITE - BLACK) / 255), out=planes)
        planes += np.float32(BLACK)
    return found


def _scaled(
    picture: NDArray[np.floating | np.uint8], size_px: int, first: int, axis: int
) -> NDArray[np.float32]:
    """Lines `first` to `first + 298` of the `size_px` that an axis is scaled to.

    A triangle as wide as two lines of the result, or of the source where that is larger: what Pillow calls
    BILINEAR and torchvision antialias=True.
    """
    lines = picture.shape[axis]
    step = lines / size_px
    reach = max(step, 1.0)
    centre = (np.arange(first, first + SIDE_PX) + 0.5) * step
    nearest = np.floor(centre - reach + 0.5) + np.arange(np.ceil(2 * reach) + 1)[:, None]
    weight = np.maximum(0.0, 1.0 - np.abs(nearest + 0.5 - centre) / reach)
    weight *= (nearest >= 0) & (nearest < lines)
    weight = (weight / weight.sum(axis=0)).astype(np.float32)
    index = np.clip(nearest, 0, lines - 1).astype(np.intp)
    shape = [1] * picture.ndim
    shape[axis] = SIDE_PX
    taps = (
        picture.take(at, axis) * share.reshape(shape)
        for at, share in zip(index, weight, strict=True)
        if share.any()
    )
    return np.asarray(sum(taps, np.float32(0)), np.float32)
