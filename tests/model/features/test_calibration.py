"""Frames to calibrate with: shares of all videos, in order, and what the paper's recipe sees."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import NotMedia
from model.features.calibration import calibration_frames
from model.features.pixels import pixels
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video


@pytest.fixture(scope="module")
def videos(shared_data: Path) -> list[Path]:
    names = ("media/mp4/sample_portrait.mp4", "media/mp4/sample_video_only.mp4", "mmaction2/demo/demo.mp4")
    return [shared_data / "video" / name for name in names]


@pytest.fixture(scope="module")
def wholes(videos: list[Path]) -> list[NDArray[np.float32]]:
    """Every frame of the paper's recipe."""
    recipe = VideoRecipe(frame_side_px=299, frame_fit="short", motion=False)
    return [pixels(read_video(path, recipe, VideoLimits()).frames) for path in videos]


@pytest.mark.parametrize(("count", "shares"), [(2, (0, 1, 1)), (7, (2, 2, 3)), (10_000, None)])
def test_frames_are_spread_over_all_videos(
    videos: list[Path], wholes: list[NDArray[np.float32]], count: int, shares: tuple[int, ...] | None
) -> None:
    batches = list(calibration_frames(videos, count))
    for i, (whole, batch) in enumerate(zip(wholes, batches, strict=True)):
        assert batch.shape == (len(whole) if shares is None else shares[i], 3, 299, 299)
        assert batch.dtype == np.float32
        at = [np.flatnonzero([np.array_equal(each, row) for each in whole])[0] for row in batch]
        assert at == sorted(set(at))
        if batch.size:
            assert -1 <= batch.min() < batch.max() <= 1


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(NotMedia):
        list(calibration_frames([tmp_path / "no.mp4"], 4))
