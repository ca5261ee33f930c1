import numpy as np
import pytest

from model.datasets.synth.texture import KINDS, draw_texture, grain_field


def mean_angle_rad(field):
    """Direction along which the field changes least: structure tensor over the whole field."""
    gy, gx = np.gradient(field.astype(float))
    steepest = 0.5 * np.arctan2(2 * (gx * gy).sum(), (gx**2 - gy**2).sum())
    return (steepest + np.pi / 2) % np.pi


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_fills_its_frame(kind):
    field = draw_texture(kind, (90, 160), 12.0, 0.5, np.random.default_rng(0))
    assert field.shape == (90, 160)
    assert field.dtype == np.float32
    assert field.min() >= 0
    assert field.max() <= 1
    assert field.std() > 0.1
    again = draw_texture(kind, (90, 160), 12.0, 0.5, np.random.default_rng(0))
    np.testing.assert_array_equal(field, again)


@pytest.mark.parametrize("angle_rad", [0.0, 0.5, 1.0, np.pi / 2])
def test_structures_lie_along_the_angle(angle_rad):
    field = grain_field((240, 240), 14.0, angle_rad, np.random.default_rng(1))
    error = (mean_angle_rad(field) - angle_rad + np.pi / 2) % np.pi - np.pi / 2
    assert abs(error) < 0.1


def test_a_shorter_period_makes_more_edges():
    def edges(period_px):
        field = grain_field((200, 300), period_px, 0.3, np.random.default_rng(2))
        return np.abs(np.diff(field, axis=0)).mean()

    assert edges(6) > 1.5 * edges(20) > 2 * edges(80)
