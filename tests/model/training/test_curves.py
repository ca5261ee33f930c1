"""The picture of a training: read back by Pillow, and found to show what it was told."""

import io

import numpy as np
import pytest
from PIL import Image

from model.training.curves import BLUE, GREEN, ORANGE, apart, curves_png
from model.training.loop import Epoch


def epochs(count: int, *, top: float = 0.4) -> list[Epoch]:
    return [
        Epoch(
            number=i + 1,
            of=count,
            train_loss=5.0 - i / count,
            evaluation_loss=4.0 - i / count,
            evaluation_matching=3.5 - i / count,
            evaluation_prediction=1.0 - i / (2 * count),
            r10_video_to_music=top * (i + 1) / count,
            r10_music_to_video=0.3 * (i + 1) / count,
            mrr=0.1,
            best=i <= count // 2,
        )
        for i in range(count)
    ]


def pixels(png: bytes) -> np.ndarray:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def share_of(picture: np.ndarray, colour: str) -> float:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return float((np.abs(picture.astype(int) - wanted).max(axis=2) < 8).mean())


@pytest.mark.parametrize("count", [1, 2, 40])
def test_is_a_picture_of_its_size_that_holds_the_lines(count: int) -> None:
    picture = pixels(curves_png(epochs(count)))
    assert picture.shape == (506, 1650, 3)
    left, middle, right = np.array_split(picture, 3, axis=1)
    for panel, colours in ((left, (BLUE, ORANGE, GREEN)), (middle, (BLUE, ORANGE, GREEN)), (right, (BLUE,))):
        assert all(share_of(panel, colour) > 5e-4 for colour in colours)  # a dot and a label at least
    assert (picture[0] == 255).all()


def test_same_figures_same_bytes_other_figures_another_picture() -> None:
    first = curves_png(epochs(8))
    assert curves_png(epochs(8)) == first
    assert curves_png(epochs(8, top=0.41)) != first


def test_labels_move_apart_in_their_order_and_only_where_they_touch() -> None:
    assert apart(np.array([0.1, 0.9, 0.5]), 0.1) == pytest.approx([0.1, 0.9, 0.5])
    moved = apart(np.array([0.52, 0.5, 0.51]), 0.1)
    assert np.diff(sorted(moved)) == pytest.approx([0.1, 0.1])
    assert list(np.argsort(moved)) == [1, 2, 0]
    assert np.mean(moved) == pytest.approx(0.51)
    assert apart(np.array([0.3]), 0.1) == [0.3]
