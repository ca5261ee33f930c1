"""Every frame of a video in, how fast the picture moves in each window of about 4 s out, by optical flow.

UT-CMVMR feeds its picture tower the mean magnitude of optical flow (docs/models.md 4.3): RAFT between frames
one second apart, in px of whatever size its videos had, in 64 bins from 0 to 320 px. Ours (our choice): DIS,
Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search", between frames about a tenth of a second
apart, added up over a second: still a distance in a second, but in steps that a fast method can follow.
Steps across a cut are left out: a flow from one scene to another has no size.

Magnitudes are px of a picture whose long side is 320 px, whatever the video's size: 320 is one picture a
second, the end of UT-CMVMR's scale. They are measured at a long side of 160 px.
"""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.errors import BadOptions
from model.features.sequence import Sequence
from model.features.shots import find_shots
from model.features.windows import clip_windows
from model.media.streams import VideoRecipe, VideoStreams

if TYPE_CHECKING:
    from cv2 import DISOpticalFlow

LONG_SIDE_PX = 320  # of the picture that magnitudes are given for
MEASURED_PX = 160
STEP_S = 0.1
TOUCH_S = 1e-6  # a cut lies on the time of the frame behind it
FLOW_RECIPE = VideoRecipe(frames_per_s=0.1, min_frames=1, motion_side_px=MEASURED_PX)


class DenseFlow:
    """Mean magnitude of optical flow: the picture side's input `flow`; wants what `FLOW_RECIPE` reads."""

    name = "dis-flow"
    version = 1
    features = ("px_per_s",)

    def __call__(self, video: VideoStreams) -> Sequence:
        """(k, 1) px in a second, 0..320, of each window; a row is 0 where nothing but cuts happens.

        Raises:
            BadOptions: if OpenCV is not installed.
            Mismatch: where the motion stream was not read.
        """
        method = _method()
        cuts_s = video.once(find_shots).cuts_s
        frames, times_s = _apart(video)
        moved_px = np.array([_length_px(method, *pair) for pair in pairwise(frames)])
        moved_px = moved_px * LONG_SIDE_PX / max(frames.shape[1:])
        cut = np.searchsorted(cuts_s, times_s[:-1] + TOUCH_S) < np.searchsorted(cuts_s, times_s[1:] + TOUCH_S)
        windows = clip_windows(video.start_s, max(video.end_s, float(video.motion_times_s[-1])))
        window = np.searchsorted(windows[:, 0], times_s[:-1] + TOUCH_S, side="right") - 1
        way_px = np.bincount(window[~cut], moved_px[~cut], len(windows))
        time_s = np.bincount(window[~cut], np.diff(times_s)[~cut], len(windows))
        speed = np.divide(way_px, time_s, out=np.zeros(len(windows)), where=time_s > 0)
        rows = np.clip(speed, 0, LONG_SIDE_PX).astype(np.float32)[:, None]
        return Sequence(rows, windows.mean(axis=1))


def _apart(video: VideoStreams) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The frames on the screen every tenth of a second, each once, and their times."""
    times_s = video.motion_times_s
    ticks_s = np.arange(times_s[0], times_s[-1] + TOUCH_S, STEP_S)
    at = np.unique(np.searchsorted(times_s, ticks_s + TOUCH_S, side="right") - 1)
    return video.motion[at], times_s[at]


def _method() -> "DISOpticalFlow":
    try:
        import cv2
    except ImportError as error:
        raise BadOptions(
            "optical flow wants OpenCV: install the extra with pip install 'yuyin[train]'"
        ) from error
    cv2.setNumThreads(1)  # processes, not threads, share the cores
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def _length_px(method: "DISOpticalFlow", before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Mean length of the vectors from one grey frame to the next, in their own px."""
    if np.array_equal(before, after):
        return 0.0
    start = np.zeros((*before.shape, 2), np.float32)
    vectors = np.asarray(method.calc(before, after, start))
    return float(np.hypot(vectors[..., 0], vectors[..., 1]).mean())
