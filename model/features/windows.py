"""The time of a clip in, the windows of about 4 s that rhythm and flow are measured in out.

UT-CMVMR cuts music and picture alike into clips of 4 s (docs/models.md 4.3). A rest of half a window or more
is a window of its own, a shorter one is dropped; theirs is looped or filled with the last frame, ours stays
as short as it is (our choice: what is not there should not be counted twice).
"""

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 4.0
TOUCH_S = 1e-6  # times of containers are rational numbers; sums of them miss by float noise


def clip_windows(start_s: float, end_s: float) -> NDArray[np.float64]:
    """(k, 2) starts and ends of a clip's windows, k >= 1; a clip shorter than half a window is one."""
    windows = max(1, int(np.floor((end_s - start_s) / WINDOW_S + 0.5 + TOUCH_S)))
    starts = start_s + WINDOW_S * np.arange(windows)
    return np.stack([starts, np.minimum(starts + WINDOW_S, end_s)], axis=1)
