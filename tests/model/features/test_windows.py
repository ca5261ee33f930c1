import numpy as np
import pytest

from model.features.windows import clip_windows


@pytest.mark.parametrize(
    ("length_s", "ends_s"),
    [
        (0.0, [0.0]),
        (0.5, [0.5]),
        (4.0, [4.0]),
        (5.9, [4.0]),  # a rest of less than half a window is dropped
        (6.0, [4.0, 6.0]),
        (15.0, [4.0, 8.0, 12.0, 15.0]),
        (16.0, [4.0, 8.0, 12.0, 16.0]),
        (3 * 4.0 - 1e-9, [4.0, 8.0, 12.0 - 1e-9]),
    ],
)
@pytest.mark.parametrize("start_s", [0.0, 30.25])
def test_windows_are_four_seconds_and_what_is_left(length_s, ends_s, start_s):
    windows = clip_windows(start_s, start_s + length_s)
    np.testing.assert_allclose(windows[:, 1] - start_s, ends_s, atol=1e-8)
    np.testing.assert_allclose(windows[:, 0] - start_s, 4.0 * np.arange(len(ends_s)), atol=1e-8)
