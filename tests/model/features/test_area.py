"""Area averages against their definition: repeat every pixel, then average whole blocks."""

import numpy as np
import pytest

from model.features.area import area_mean, line_mean, overlap, working_size


@pytest.mark.parametrize(
    ("pixels", "cells"), [(1, 1), (1, 5), (5, 1), (7, 3), (3, 7), (160, 64), (90, 36), (8, 8)]
)
def test_line_mean_is_the_mean_of_the_covered_length(pixels: int, cells: int) -> None:
    values = np.random.default_rng(pixels * 100 + cells).random((2, pixels)).astype(np.float32)
    slow = np.repeat(values, cells, axis=1).reshape(2, cells, pixels).mean(axis=2)
    np.testing.assert_allclose(line_mean(values, cells, -1), slow, rtol=1e-5)


def test_the_mean_of_the_picture_stays() -> None:
    planes = np.random.default_rng(1).random((3, 2, 45, 31)).astype(np.float32)
    small = area_mean(planes, 7, 5)
    assert small.shape == (3, 2, 7, 5)
    assert small.dtype == np.float32
    np.testing.assert_allclose(small.mean(axis=(2, 3)), planes.mean(axis=(2, 3)), rtol=1e-5)


def test_shares_of_a_cell_sum_to_one() -> None:
    np.testing.assert_allclose(overlap(13, 101).sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(90, 160), (160, 90), (1, 1), (1, 999), (107, 160)])
def test_cells_are_about_as_many_as_asked_and_nearly_square(height: int, width: int) -> None:
    rows, columns = working_size(height, width, 576)
    assert min(rows, columns) >= 3
    if max(height, width) < 10 * min(height, width):
        assert rows * columns == pytest.approx(576, rel=0.1)
        assert (columns / rows) / (width / height) == pytest.approx(1, rel=0.1)
