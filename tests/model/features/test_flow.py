"""Flow of pictures that move at a known speed."""

import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from model.errors import BadOptions, Mismatch
from model.features.flow import FLOW_RECIPE, DenseFlow
from model.media.encode import VideoWriter
from model.media.streams import VideoInfo, VideoLimits, VideoStreams
from model.media.video import read_video

RNG = np.random.default_rng(4)


def panning(speed_px, *, seconds=4.0, fps=25, long_px=160, short_px=90, upright=False):
    """(n, h, w) grey frames of a texture that moves right at `speed_px` of a 320 px picture a second."""
    own = speed_px * long_px / 320
    texture = gaussian_filter(RNG.standard_normal((short_px, int(own * seconds) + long_px + 2)), 3)
    texture = np.clip(texture / texture.std() * 45 + 128, 0, 255)
    frames = []
    for at in own * np.arange(int(seconds * fps)) / fps:
        whole, part = int(at), at - int(at)
        frames.append(
            (1 - part) * texture[:, whole:][:, :long_px] + part * texture[:, whole + 1 :][:, :long_px]
        )
    noisy = np.array(frames) + RNG.standard_normal((len(frames), short_px, long_px))
    grey = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return grey.transpose(0, 2, 1) if upright else grey


def video(grey, fps=25):
    times_s = np.arange(len(grey)) / fps
    info = VideoInfo(len(grey) / fps, grey.shape[2], grey.shape[1], fps, 0, "h264")
    first = np.repeat(grey[:1, :, :, None], 3, axis=3)
    return VideoStreams(first, times_s[:1], grey, times_s, 0.0, len(grey) / fps, info)


@pytest.mark.parametrize("speed_px", [4.0, 20.0, 80.0, 160.0])
def test_a_pan_has_its_speed_at_any_rate_size_and_orientation(speed_px):
    for kind in (
        {},
        {"fps": 30, "upright": True},
        {"fps": 8, "long_px": 128, "short_px": 72},
    ):
        flow = DenseFlow()(video(panning(speed_px, **kind), kind.get("fps", 25)))
        assert flow.values == pytest.approx(speed_px, rel=0.06, abs=1.5), kind


def test_windows_tell_when_it_moves():
    still = np.repeat(panning(0.0, seconds=0.04), 100, axis=0)
    flow = DenseFlow()(video(np.concatenate([still, panning(60.0)])))
    assert flow.values.shape == (2, 1)
    np.testing.assert_allclose(flow.times_s, [2, 6])
    assert flow.values[0, 0] == 0
    assert flow.values[1, 0] == pytest.approx(60, rel=0.06)


def test_cuts_move_nothing():
    shots = [np.repeat(panning(0.0, seconds=0.04), 25, axis=0) for _ in range(8)]
    assert DenseFlow()(video(np.concatenate(shots))).values.max() == 0


def test_one_frame_does_not_move():
    flow = DenseFlow()(video(panning(0.0, seconds=0.04)))
    assert flow.values.tolist() == [[0]]


def test_a_file_is_measured_as_it_was_made(tmp_path):
    with VideoWriter(tmp_path / "pan.mp4", 320, 180, 25) as writer:
        for grey in panning(50.0, long_px=320, short_px=180, seconds=6.0):
            writer.write(np.repeat(grey[:, :, None], 3, axis=2))
    flow = DenseFlow()(read_video(tmp_path / "pan.mp4", FLOW_RECIPE, VideoLimits()))
    assert flow.values[:, 0] == pytest.approx([50, 50], rel=0.06)


def test_without_the_motion_stream_there_is_nothing_to_measure():
    with pytest.raises(Mismatch):
        DenseFlow()(video(np.zeros((0, 0, 0), np.uint8)))


def test_without_opencv_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(BadOptions, match=r"yuyin\[train\]"):
        DenseFlow()(video(panning(0.0, seconds=0.2)))
