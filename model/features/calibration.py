"""Videos in, frames as Inception takes them out, spread over all: what int8 reads its ranges off."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.features.paper import RECIPE
from model.features.pixels import pixels
from model.media.streams import VideoLimits
from model.media.video import read_video


def calibration_frames(videos: Sequence[Path], count: int) -> Iterator[NDArray[np.float32]]:
    """At most `count` frames, spread over all videos and over each, as the paper's recipe sees them.

    Args:
        videos: files, best of the kind that will be looked at.
        count: how many in all; each video gives an equal share, or all it has.

    Returns:
        Batches (b, 3, 299, 299), one for each video.

    Raises:
        MediaError: one of its kinds, for a video that cannot be used.
    """
    for i, path in enumerate(videos):
        share = count * (i + 1) // len(videos) - count * i // len(videos)
        frames = read_video(path, RECIPE, VideoLimits()).frames
        share = min(share, len(frames))
        yield pixels(frames[(2 * np.arange(share) + 1) * len(frames) // max(1, 2 * share)])
