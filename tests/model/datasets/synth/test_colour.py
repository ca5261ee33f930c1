import colorsys

import numpy as np
import pytest

from model.datasets.synth.colour import Grade, Palette, hsv_to_rgb

PLAIN = Grade((1, 1, 1), 1, 1, 1, 1, 0)


def test_hsv_agrees_with_the_standard_library():
    rng = np.random.default_rng(0)
    hsv = rng.random((200, 3))
    wanted = [colorsys.hsv_to_rgb(*row) for row in hsv.tolist()]
    np.testing.assert_allclose(hsv_to_rgb(*hsv.T), wanted, atol=1e-6)
    np.testing.assert_allclose(hsv_to_rgb(1.25, 1, 1), hsv_to_rgb(0.25, 1, 1), atol=1e-6)


def test_a_plain_grade_only_rounds():
    rgb = np.random.default_rng(1).random((5, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(PLAIN.apply(rgb), rgb * 255, atol=0.51)


@pytest.mark.parametrize("headroom", [0, 5])
def test_headroom_is_kept_by_the_wildest_grade(headroom):
    wild = Grade((1.4, 1.0, 0.6), 3, 3, 0.4, 1.5, headroom)
    graded = wild.apply(np.random.default_rng(2).uniform(-1, 2, (50, 3)).astype(np.float32))
    assert graded.min() >= headroom
    assert graded.max() <= 255 - headroom


def test_without_saturation_all_is_grey():
    grey = Grade((1, 1, 1), 0, 1, 1, 1, 0).apply(np.random.default_rng(3).random((50, 3)).astype(np.float32))
    assert np.ptp(grey, axis=1).max() == 0


def test_spread_opens_the_hue_circle():
    def hues(spread):
        palette = Palette(0.3, spread, 0.8, 0.6, 0.4)
        return [colorsys.rgb_to_hsv(*palette.accent(step).tolist())[0] for step in range(5)]

    np.testing.assert_allclose(hues(0.0), 0.3, atol=1e-4)
    assert np.ptp(hues(1.0)) > 0.3
