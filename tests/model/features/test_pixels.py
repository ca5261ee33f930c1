import numpy as np
import pytest

from model.backbones.catalogue import INCEPTION
from model.features.pixels import BLACK, SIDE_PX, WHITE, pixels

RNG = np.random.default_rng(5)
SIZES = [
    *((299, 299), (299, 532), (532, 299), (299, 300), (300, 299), (299, 301)),
    *((1, 1), (1, 7), (7, 5), (240, 320), (100, 900), (298, 299)),
    *((300, 300), (597, 641), (720, 404), (598, 598), (1000, 331)),
]


def pictures(height: int, width: int, count: int = 1) -> np.ndarray:
    """Coarse shapes with noise on them."""
    coarse = RNG.integers(0, 256, (count, 1 + height // 40, 1 + width // 40, 3))
    shapes = coarse.repeat(40, axis=1).repeat(40, axis=2)[:, :height, :width]
    return np.clip(shapes + RNG.integers(-30, 31, shapes.shape), 0, 255).astype(np.uint8)


def levels(found: np.ndarray) -> np.ndarray:
    """(t, 3, 299, 299) in -1..1 to (t, 299, 299, 3) in 0..255."""
    return ((found.astype(np.float64) + 1) * 127.5).transpose(0, 2, 3, 1)


def cut(picture: np.ndarray) -> np.ndarray:
    """torchvision's center_crop of its functional module, of a picture that is large enough."""
    top = round((picture.shape[0] - 299) / 2.0)
    left = round((picture.shape[1] - 299) / 2.0)
    return picture[top : top + 299, left : left + 299]


def test_the_constants_are_the_catalogues():
    facts = INCEPTION.preprocessing
    assert facts["side_px"] == SIDE_PX
    for mean, std in zip(facts["mean"], facts["std"], strict=True):
        assert [(value - mean) / std for value in facts["range"]] == [BLACK, WHITE]


@pytest.mark.parametrize("size", [size for size in SIZES if min(size) == 299])
def test_a_picture_of_the_right_size_is_only_cut(size):
    frames = pictures(*size, count=2)
    found = pixels(frames)
    assert found.shape == (2, 3, 299, 299)
    assert found.dtype == np.float32
    expected = np.stack([cut(frame) for frame in frames]).astype(np.float32)
    expected = ((expected / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2)  # ToTensor, then Normalize
    assert np.abs(found - expected).max() < 2e-7


@pytest.mark.parametrize("size", SIZES)
def test_other_sizes_are_scaled_and_cut_as_pillow_and_torchvision_do(size):
    image = pytest.importorskip("PIL.Image")
    (frame,) = pictures(*size)
    height, width = size
    longer = int(299 * max(size) / min(size))  # _compute_resized_output_size of torchvision's functional
    to = (299, longer) if height >= width else (longer, 299)
    resized = np.asarray(image.fromarray(frame).resize(to, image.Resampling.BILINEAR))
    assert np.abs(np.rint(levels(pixels(frame[None]))[0]) - cut(resized)).max() <= 1


def test_a_grey_surface_stays_what_it_is():
    for value in (0, 1, 128, 255):
        found = pixels(np.full((1, 50, 801, 3), value, np.uint8))
        assert np.abs(levels(found) - value).max() < 1e-4


def test_channels_and_sides_are_not_exchanged():
    frame = np.zeros((1, 600, 600, 3), np.uint8)
    frame[0, :300, :, 0], frame[0, :, :300, 2] = 255, 255
    red, green, blue = levels(pixels(frame))[0].transpose(2, 0, 1)
    assert np.abs(red[:145] - 255).max() < 1e-3
    assert np.abs(red[155:]).max() < 1e-3
    assert np.abs(green).max() < 1e-3
    assert np.abs(blue[:, :145] - 255).max() < 1e-3
    assert np.abs(blue[:, 155:]).max() < 1e-3


@pytest.mark.parametrize("size", [(299, 400), (480, 270)])
def test_a_frame_is_the_same_alone_and_in_company(size):
    frames = pictures(*size, count=5)
    together = pixels(frames)
    for i in range(5):
        assert np.array_equal(pixels(frames[i : i + 1])[0], together[i])
    assert np.array_equal(pixels(np.asfortranarray(frames)), together)


@pytest.mark.parametrize("size", [(299, 299), (20, 30)])
def test_no_frames_are_no_pictures(size):
    assert pixels(np.zeros((0, *size, 3), np.uint8)).shape == (0, 3, 299, 299)
