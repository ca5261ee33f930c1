from dataclasses import replace

import numpy as np
import pytest

from model.datasets.synth.look import draw_look
from model.datasets.synth.shots import FPS, draw_frames, shot_lengths
from model.datasets.synth.world import World, draw_ads

ADS = draw_ads(World(), 8, np.random.default_rng(0))


def plain(row=0, **changes):
    """A look without the nuisance that hides what a test measures."""
    look = draw_look(ADS, row, np.random.default_rng(1))
    quiet = replace(
        look.nuisance, grain=0, hand_held_px=0.0, subtitles=False, bars_px=0, blur_px=0.0, tripod_share=0.0
    )
    return replace(look, **{"nuisance": quiet, "flashes_per_s": 0.0, "shake_px": 0.0, **changes})


def frames_of(look, seconds=1.0, seed=2):
    return np.stack([frame.copy() for frame in draw_frames(look, seconds, np.random.default_rng(seed))])


@pytest.mark.parametrize("frames", [1, 3, 150, 751])
@pytest.mark.parametrize("cuts_per_s", [0.1, 0.5, 3.0, 8.0])
def test_shots_fill_the_picture(frames, cuts_per_s):
    lengths = shot_lengths(cuts_per_s, frames, np.random.default_rng(0))
    assert sum(lengths) == frames
    assert min(lengths) > 0


@pytest.mark.parametrize("cuts_per_s", [0.25, 0.5, 2.0])
def test_cuts_come_at_their_rate(cuts_per_s):
    rng = np.random.default_rng(0)
    cuts = sum(len(shot_lengths(cuts_per_s, 30 * FPS, rng)) - 1 for _ in range(60))
    assert cuts / (60 * 30) == pytest.approx(cuts_per_s, rel=0.12)


@pytest.mark.parametrize("row", range(4))
def test_frames_have_the_size_and_number_and_are_repeatable(row):
    look = draw_look(ADS, row, np.random.default_rng(row))
    frames = frames_of(look, 0.6)
    assert frames.shape == (15, look.height_px, look.width_px, 3)
    assert frames.std() > 2
    np.testing.assert_array_equal(frames, frames_of(look, 0.6))


def test_on_a_tripod_nothing_changes_but_at_cuts():
    look = plain(cuts_per_s=2.0, pan_px_per_s=0.0, zoom_per_s=0.0)
    footage = replace(look, nuisance=replace(look.nuisance, card_share=0.0))  # cards slide in after a cut
    footage = replace(footage, text_lines=0)
    jump = np.abs(np.diff(frames_of(footage, 4.0)[:, ::4, ::4].astype(float), axis=0)).mean(axis=(1, 2, 3))
    cuts = np.flatnonzero(jump)
    assert 5 <= len(cuts) <= 11  # 2 a second for 4 s
    assert np.diff(cuts).min() >= 4
    assert jump[cuts].min() > 1


@pytest.mark.parametrize("slow", [0.0, 8.0])
def test_a_faster_camera_moves_more(slow):
    def motion(pan_px_per_s):
        look = plain(cuts_per_s=0.01, pan_px_per_s=pan_px_per_s, zoom_per_s=0.0)
        return np.abs(np.diff(frames_of(look)[:, ::2, ::2].astype(float), axis=0)).mean()

    assert motion(120.0) > 1.5 * motion(slow)


def test_light_from_above_brightens_the_top():
    def slope(light):
        frames = frames_of(plain(light=light, cards=1, card_cover=0.08), 0.2).mean(axis=(0, 2, 3))
        return frames[: len(frames) // 3].mean() - frames[-len(frames) // 3 :].mean()

    assert slope(0.9) > slope(0.0) + 10 > slope(-0.9) + 20


def test_grain_never_wraps_black_into_white():
    """In a nearly black advert without text, a bright dot would be an overflow."""
    look = plain(flashes_per_s=0.0)
    black = replace(look.grade, exposure=0.0, headroom=9)
    noisy = replace(look.nuisance, grain=6)
    frames = frames_of(replace(look, grade=black, nuisance=noisy), 0.2)
    assert frames.max() <= 9 + 6
