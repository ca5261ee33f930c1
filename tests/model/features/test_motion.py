"""Motion and rhythm by second: known movements, and what must and must not move with the editing."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from model.errors import Mismatch
from model.features.camera import GlobalMotion, steady
from model.features.motion import COLUMNS, SLOW, LiteMotion, cuts
from model.features.pace import Seconds, cut_measures
from model.media.streams import VideoInfo, VideoStreams

HEIGHT, WIDTH, FPS = 36, 64, 25
SIZE_PX = (HEIGHT * WIDTH) ** 0.5
NAMES = [column.name for column in COLUMNS]
RANGES = np.array([column.range for column in COLUMNS])
CUT_NAMES = [name for name in NAMES if "cut" in name or name == "shot_length"]
STILL = dict.fromkeys(set(NAMES) - set(CUT_NAMES), 0.0) | {"still_share": 1.0, "motion_evenness": 1.0}
NO_FRAMES = np.zeros((0, 90, 160, 3), np.uint8)

Frames = NDArray[np.uint8]


def streams(motion: Frames, fps: float = FPS, start_s: float = 0.0) -> VideoStreams:
    times_s = start_s + np.arange(len(motion)) / fps
    end_s = start_s + len(motion) / fps
    info = VideoInfo(end_s, motion.shape[2], motion.shape[1], fps, 0, "raw")
    return VideoStreams(NO_FRAMES, np.zeros(0), motion, times_s, start_s, end_s, info)


def rows(video: VideoStreams) -> dict[str, NDArray[np.float32]]:
    return dict(zip(NAMES, LiteMotion()(video).values.T, strict=True))


@cache
def waves(seed: int) -> tuple[NDArray[np.float64], ...]:
    """A picture as a sum of plane waves, so that it can be drawn at any place, size and angle exactly."""
    rng = np.random.default_rng(seed)
    length_px = 2 ** rng.uniform(3, 6, 24)
    angle = rng.uniform(0, 2 * np.pi, 24)
    k = 2 * np.pi / length_px
    return k * np.cos(angle), k * np.sin(angle), rng.uniform(0, 2 * np.pi, 24), length_px / length_px.sum()


def draw(seed: int, right: float = 0, down: float = 0, growth: float = 1, roll_rad: float = 0) -> Frames:
    """The picture moved right and down by pixels, grown and turned clockwise about the centre: (36, 64)."""
    kx, ky, phase, weight = waves(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] - np.array([HEIGHT - 1, WIDTH - 1]).reshape(2, 1, 1) / 2
    c, s = np.cos(roll_rad) / growth, np.sin(roll_rad) / growth
    u, v = c * x + s * y - right, -s * x + c * y - down
    values = (weight * np.cos(u[..., None] * kx + v[..., None] * ky + phase)).sum(axis=-1)
    return np.rint(np.clip(127 + 350 * values, 0, 255)).astype(np.uint8)


def film(seconds: float, fps: float = FPS, seed: int = 1, **per_s: float) -> Frames:
    """A shot in which each of right, down and roll_rad moves at a rate, and `zoom` e-folds a second."""
    zoom = per_s.pop("zoom", 0.0)
    return np.stack(
        [
            draw(
                seed, growth=np.exp(zoom * i / fps), **{name: rate * i / fps for name, rate in per_s.items()}
            )
            for i in range(round(seconds * fps))
        ]
    )


@cache
def handheld() -> Frames:
    """Eight seconds of a wandering camera with a few cuts."""
    rng = np.random.default_rng(5)
    path = rng.normal(0, 0.6, (200, 2)).cumsum(axis=0)
    shots = np.searchsorted([40, 77, 130], np.arange(200), side="right")
    return np.stack([draw(10 + int(k), right=x, down=y) for k, (x, y) in zip(shots, path, strict=True)])


def slideshow(shot_s: float, seconds: float = 8.0) -> Frames:
    """Still pictures, one every `shot_s`."""
    times_s = np.arange(round(seconds * FPS)) / FPS
    pictures = [draw(100 + k) for k in range(int(seconds / shot_s) + 1)]
    return np.stack([pictures[int((t + 1e-9) / shot_s)] for t in times_s])


def test_each_column_says_what_it_is() -> None:
    assert len(COLUMNS) <= 32
    assert len(set(NAMES)) == len(NAMES)
    assert LiteMotion().features == tuple(NAMES)
    assert all(column.what and column.unit and column.source for column in COLUMNS)
    assert (RANGES[:, 0] < RANGES[:, 1]).all()


@pytest.mark.parametrize(
    "motion",
    [
        np.zeros((50, HEIGHT, WIDTH), np.uint8),
        np.full((50, HEIGHT, WIDTH), 255, np.uint8),
        np.full((1, HEIGHT, WIDTH), 9, np.uint8),
        np.full((1, 1, 1), 9, np.uint8),
        np.random.default_rng(0).integers(0, 256, (40, 1, 1), dtype=np.uint8),
        np.random.default_rng(1).integers(0, 256, (33, 7, 64), dtype=np.uint8),
        np.random.default_rng(2).integers(0, 2, (41, 63, 35), dtype=np.uint8) * 255,
        np.random.default_rng(3).integers(0, 256, (2, 36, 64), dtype=np.uint8),
    ],
    ids=["black", "white", "one frame", "one pixel", "flickering pixel", "sliver", "odd size", "two frames"],
)
def test_any_stream_gives_finite_numbers_in_range(motion: Frames) -> None:
    values = LiteMotion()(streams(motion)).values
    assert values.shape == (max(1, round(len(motion) / FPS)), len(COLUMNS))
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert (values >= RANGES[:, 0] - 1e-6).all()
    assert (values <= RANGES[:, 1] + 1e-6).all()


@pytest.mark.parametrize(
    ("frames", "centres_s"),
    [
        (1, [0.02]),
        (10, [0.2]),
        (37, [0.74]),
        (38, [0.5, 1.26]),
        (75, [0.5, 1.5, 2.5]),
        (90, [0.5, 1.5, 2.5, 3.3]),
    ],
)
def test_one_row_a_second_at_its_middle(frames: int, centres_s: list[float]) -> None:
    sequence = LiteMotion()(streams(np.zeros((frames, 4, 4), np.uint8)))
    np.testing.assert_allclose(sequence.times_s, centres_s)


def test_a_part_of_a_video_is_timed_in_the_video() -> None:
    whole, part = LiteMotion()(streams(handheld())), LiteMotion()(streams(handheld(), start_s=3.2))
    np.testing.assert_allclose(part.times_s, whole.times_s + 3.2)
    np.testing.assert_allclose(part.values, whole.values, atol=2e-3)
    np.testing.assert_allclose(cuts(streams(handheld(), start_s=3.2)), cuts(streams(handheld())) + 3.2)


def test_the_same_input_gives_the_same_bits() -> None:
    first, second = (LiteMotion()(streams(handheld())).values for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "picture", [np.full((HEIGHT, WIDTH), 80, np.uint8), draw(3)], ids=["plain", "structured"]
)
def test_a_constant_video_has_no_motion_and_no_cut(picture: Frames) -> None:
    found = rows(streams(np.repeat(picture[None], 100, axis=0)))
    for name, value in STILL.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    for name in ("cut_count", "cut_octave_cos", "cut_octave_sin", "cut_regularity", "cut_strength"):
        np.testing.assert_array_equal(found[name], 0, err_msg=name)


def test_without_the_motion_stream_there_is_an_error_that_says_so() -> None:
    bare = replace(streams(handheld()), motion=np.zeros((0, 0, 0), np.uint8), motion_times_s=np.zeros(0))
    with pytest.raises(Mismatch, match="motion"):
        LiteMotion()(bare)


def test_steady_is_the_mean_of_what_is_shown() -> None:
    """Against sampling every tenth of a millisecond."""
    rng = np.random.default_rng(6)
    times_s = 2.0 + np.append(0.013, 0.013 + rng.uniform(0.004, 0.3, 20).cumsum())
    times_s = np.round(times_s, 4)
    grey = rng.random((21, 3, 4)).astype(np.float32)
    end_s = np.round(times_s[-1] + 0.05, 1)
    found = steady(grey, times_s, 2.0, end_s)
    clock_s = 2.0 + (np.arange(round((end_s - 2.0) * 10_000)) + 0.5) / 10_000
    shown = np.maximum(np.searchsorted(times_s, clock_s, side="right") - 1, 0)
    slow = grey[shown].reshape(-1, 1000, 3, 4).mean(axis=1)
    np.testing.assert_allclose(found, slow, atol=1e-4)


def test_frames_shown_twice_change_nothing() -> None:
    once, twice = rows(streams(handheld())), rows(streams(np.repeat(handheld(), 2, axis=0), 2 * FPS))
    for name in NAMES:
        np.testing.assert_allclose(twice[name], once[name], atol=1e-4, err_msg=name)


@pytest.mark.parametrize("fps", [24, 30, 50, 60])
def test_another_frame_rate_of_the_same_scene_is_nearly_the_same(fps: int) -> None:
    moving = {"right": 9.0, "down": -3.0, "zoom": 0.05}
    reference, other = rows(streams(film(3, 25, **moving))), rows(streams(film(3, fps, **moving), fps))
    for name in NAMES:
        np.testing.assert_allclose(other[name], reference[name], atol=0.25, err_msg=name)


@pytest.mark.parametrize(
    ("moves", "column", "unit_per_s"),
    [
        ({"right": 12.0}, "pan_right", 12 / SIZE_PX),
        ({"right": -12.0}, "pan_right", -12 / SIZE_PX),
        ({"down": 8.0}, "pan_down", 8 / SIZE_PX),
        ({"right": 6.0, "down": -8.0}, "pan_speed", 10 / SIZE_PX),
        ({"zoom": 0.2}, "zoom", 0.2),
        ({"zoom": -0.2}, "zoom", -0.2),
        ({"roll_rad": -0.2}, "roll_speed", 0.2),
    ],
)
def test_known_movements_are_measured(moves: dict[str, float], column: str, unit_per_s: float) -> None:
    found = rows(streams(film(3, **moves)))
    expected = np.sign(unit_per_s) * np.log2(1 + abs(unit_per_s) / SLOW)
    np.testing.assert_allclose(found[column], expected, atol=0.3)
    assert (found["global_share"] > 0.8).all()
    others = {"pan_right", "pan_down", "zoom"} - {column} - {f"pan_{name}" for name in moves}
    for name in others - ({"pan_right", "pan_down"} if column == "pan_speed" else set()):
        assert np.abs(found[name]).max() < 0.4, name


def test_global_motion_in_its_own_units() -> None:
    pictures = (
        np.stack([draw(2, right=0.5 * i, roll_rad=0.01 * i) for i in range(6)]).astype(np.float32) / 255
    )
    moved = GlobalMotion.between(pictures)
    np.testing.assert_allclose(moved.right_per_s, 5 / SIZE_PX, rtol=0.15)
    np.testing.assert_allclose(moved.roll_rad_per_s, 0.1, rtol=0.15)
    np.testing.assert_allclose(moved.growth_per_s, 0, atol=0.02)


def moving_object(place: tuple[int, int]) -> Frames:
    """A bright square that trembles at (row, column) before a still backdrop."""
    frames = np.repeat(draw(4)[None], 75, axis=0)
    for i, frame in enumerate(frames):
        y, x = place[0], place[1] + (i // 5) % 4
        frame[y : y + 6, x : x + 6] = 255
    return frames


def test_where_it_moves() -> None:
    middle, low_right = rows(streams(moving_object((15, 28)))), rows(streams(moving_object((27, 50))))
    assert (middle["motion_centre"] > 0.2).all()
    assert (low_right["motion_centre"] < 0).all()
    assert (low_right["motion_low"] > 0.2).all()
    assert (low_right["motion_right"] > 0.2).all()
    assert (middle["motion_evenness"] < rows(streams(film(3, right=12.0)))["motion_evenness"]).all()


def test_a_mirrored_video_turns_left_and_right_and_nothing_else() -> None:
    found, mirrored = rows(streams(handheld())), rows(streams(handheld()[:, :, ::-1]))
    for name in NAMES:
        sign = -1 if name in ("pan_right", "motion_right") else 1
        np.testing.assert_allclose(mirrored[name], sign * found[name], atol=2e-3, err_msg=name)
    assert np.abs(found["pan_right"]).max() > 0.1


def test_slowed_down_it_moves_less_and_is_cut_half_as_often() -> None:
    found, slow = rows(streams(handheld())), rows(streams(handheld(), FPS / 2))
    assert len(slow["motion_mean"]) == 2 * len(found["motion_mean"])
    for name in ("motion_mean", "motion_speed", "pan_speed"):
        assert slow[name].mean() < found[name].mean() - 0.3, name
    assert slow["cut_rate"][0] == pytest.approx(np.log2(3.25 / 18))
    assert found["cut_rate"][0] == pytest.approx(np.log2(3.25 / 10))
    assert slow["shot_length"].mean() == pytest.approx(found["shot_length"].mean() + 1, abs=0.2)
    assert slow["cut_octave_cos"][0] == pytest.approx(found["cut_octave_cos"][0], abs=1e-6)
    np.testing.assert_allclose(cuts(streams(handheld(), FPS / 2)), 2 * cuts(streams(handheld())))


def test_more_cuts_move_the_rhythm_and_nothing_else() -> None:
    few, many = rows(streams(slideshow(2.0))), rows(streams(slideshow(0.4)))
    for name in ("cut_count", "cut_rate", "cut_rate_near"):
        assert many[name].mean() > few[name].mean() + 0.5, name
    assert many["shot_length"].mean() < few["shot_length"].mean() - 2
    for name, value in STILL.items():
        np.testing.assert_allclose(many[name], value, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(few[name], value, atol=1e-4, err_msg=name)


def test_darkening_moves_neither_cuts_nor_camera() -> None:
    dark = np.rint(handheld() * 0.6).astype(np.uint8)
    np.testing.assert_array_equal(cuts(streams(dark)), cuts(streams(handheld())))
    found, darker = rows(streams(handheld())), rows(streams(dark))
    for name in ("pan_right", "pan_down", "pan_speed", "zoom", "motion_speed", "cut_rate", "shot_length"):
        np.testing.assert_allclose(darker[name], found[name], atol=0.2, err_msg=name)
    assert (darker["motion_mean"] < found["motion_mean"]).all()


def test_half_size_is_nearly_the_same() -> None:
    half = handheld().reshape(200, 18, 2, 32, 2).mean(axis=(2, 4))
    found, smaller = rows(streams(handheld())), rows(streams(np.rint(half).astype(np.uint8)))
    for name in NAMES:
        np.testing.assert_allclose(smaller[name], found[name], atol=0.12, err_msg=name)


def test_flash_fade_and_flicker() -> None:
    still = np.repeat(draw(7)[None] // 2, 100, axis=0)
    flashing, fading, flickering = still.copy(), still.copy(), still.copy()
    flashing[40:43] = 255
    fading = np.rint(still * np.linspace(1, 1.8, 100)[:, None, None]).astype(np.uint8)
    flickering[(np.arange(100) // 5) % 2 == 1] += 20
    lit, faded, flickered = (rows(streams(frames)) for frames in (flashing, fading, flickering))
    assert lit["flash"][1] > 0.5
    assert lit["flash"][[0, 3]].max() == 0
    assert (lit["cut_count"] == 0).all()
    rise = float(fading[-1].mean() - fading[0].mean()) / 255 / 4
    np.testing.assert_allclose(faded["fade"], rise, rtol=0.1)
    assert (flickered["flicker"] > faded["flicker"]).all()
    np.testing.assert_allclose(flickered["fade"], 0, atol=0.1)


def test_rhythm_by_hand() -> None:
    """Ten seconds, cuts at 2, 4, 6 and 7 s."""
    found = cut_measures(
        Seconds.of(0.0, 10.0), np.array([2.0, 4.0, 6.0, 7.0]), np.array([1.0, 0.5, 0.5, 0.8])
    )
    np.testing.assert_allclose(2 ** found["cut_count"] - 1, [0, 0, 1, 0, 1, 0, 1, 1, 0, 0])
    np.testing.assert_allclose(2 ** found["shot_length"], [2, 2, 2, 2, 2, 2, 1, 3, 3, 3])
    np.testing.assert_allclose(
        2 ** found["since_cut"] - 1, [0.5, 1.5, 0.5, 1.5, 0.5, 1.5, 0.5, 0.5, 1.5, 2.5]
    )
    np.testing.assert_allclose(
        2 ** found["until_cut"] - 1, [1.5, 0.5, 1.5, 0.5, 1.5, 0.5, 0.5, 2.5, 1.5, 0.5]
    )
    assert found["cut_rate"][0] == pytest.approx(np.log2(4.25 / 12))
    assert found["cut_rate_near"][0] == pytest.approx(np.log2(2.25 / 6.5))  # 2 and 4 s, of 4.5 s in view
    assert found["cut_strength"][0] == pytest.approx(0.75)
    assert found["cut_regularity"][0] == pytest.approx(1)  # two shots of 2 s
    assert found["cut_regularity"][5] == pytest.approx(1 / (1 + (3 / 16) / (1 / 16)))  # 2, 2, 2 and 1 s
    angle = 2 * np.pi * np.log2(3 / 5)
    assert found["cut_octave_cos"][0] == pytest.approx(0.75 * np.cos(angle))
    assert found["cut_octave_sin"][9] == pytest.approx(0.75 * np.sin(angle))


def test_no_cut_at_all_is_finite() -> None:
    found = cut_measures(Seconds.of(5.0, 5.04), np.zeros(0), np.zeros(0))
    assert all(np.isfinite(values).all() and values.shape == (1,) for values in found.values())
