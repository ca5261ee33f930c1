import numpy as np
import pytest
from PIL import Image

from model.datasets.synth.colour import Grade
from model.datasets.synth.sprites import Sprite

PLAIN = Grade((1, 1, 1), 1, 1, 1, 1, 0)


def picture(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("at", [(3, 4), (-5, -3), (17, 9), (0, 0), (-6, 2)])
def test_blit_is_alpha_blending_cut_at_the_edges(at):
    frame, rgba = picture(0, (12, 20, 3)), picture(1, (7, 9, 4))
    rgba[..., 3] = np.random.default_rng(2).choice([0, 1, 100, 254, 255], (7, 9))
    wanted = frame.astype(float)
    for y in range(7):
        for x in range(9):
            row, column = y + at[1], x + at[0]
            if 0 <= row < 12 and 0 <= column < 20:
                alpha = rgba[y, x, 3] / 255
                wanted[row, column] = (1 - alpha) * wanted[row, column] + alpha * rgba[y, x, :3]
    Sprite.of(Image.fromarray(rgba), PLAIN).blit(frame, *at)
    np.testing.assert_allclose(frame, wanted, atol=2.6)


@pytest.mark.parametrize("at", [(20, 0), (0, 12), (-9, 0), (0, -7), (99, 99)])
def test_outside_nothing_happens(at):
    frame = picture(0, (12, 20, 3))
    before = frame.copy()
    Sprite.of(Image.fromarray(picture(1, (7, 9, 4))), PLAIN).blit(frame, *at)
    np.testing.assert_array_equal(frame, before)


def test_white_on_white_never_wraps_round():
    frame = np.full((16, 16, 3), 255, np.uint8)
    rgba = np.full((16, 16, 4), 255, np.uint8)
    rgba[..., 3] = np.arange(256).reshape(16, 16)
    Sprite.of(Image.fromarray(rgba), PLAIN).blit(frame, 0, 0)
    assert frame.min() >= 253
