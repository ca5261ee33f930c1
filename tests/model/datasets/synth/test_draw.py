import numpy as np
import pytest

from model.datasets.synth.draw import RENDERED, TRACKS_PER_AD, draw, draw_start_s


@pytest.mark.parametrize(
    ("track_s", "picture_s", "possible"),
    [
        (60.0, 30.0, range(0, 31, 5)),
        (61.5, 10.0, range(0, 46, 5)),
        (47.3, 29.9, (0, 5, 10, 15)),
        (20.0, 30.0, (0,)),
        (10.0, 6.0, (0,)),
    ],
)
def test_clips_start_on_the_grid_with_room_for_the_picture(track_s, picture_s, possible):
    rng = np.random.default_rng(0)
    drawn = {draw_start_s(track_s, picture_s, rng) for _ in range(300)}
    assert drawn == {float(s) for s in possible}


def test_a_draw_is_repeatable_and_another_seed_is_another_world_s_people():
    one, again, other = (draw(RENDERED, 40, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.ads.style, again.ads.style)
    np.testing.assert_array_equal(one.start_s, again.start_s)
    assert one.factors == again.factors
    assert set(one.factors) == set(one.chosen.tolist())
    assert not np.allclose(one.ads.style, other.ads.style)
    assert len(one.tracks) == 40 * TRACKS_PER_AD
    assert one.length_s.min() >= 6
    assert one.length_s.max() <= 30
    tracks_s = np.array([one.factors[int(j)].duration_s for j in one.chosen])
    assert np.all((one.start_s == 0) | (one.start_s + one.length_s <= tracks_s))
