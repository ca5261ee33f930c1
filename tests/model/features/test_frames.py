"""Colour, light and texture of frames: golden values, and what must and must not move with the picture."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from model.features.area import area_mean
from model.features.colour import colourfulness, hue_rad, lab, saturation
from model.features.frames import COLUMNS, LiteFrames
from model.media.encode import VideoWriter
from model.media.streams import VideoInfo, VideoLimits, VideoRecipe, VideoStreams
from model.media.video import read_video

NAMES = [column.name for column in COLUMNS]
RANGES = np.array([column.range for column in COLUMNS])
NO_MOTION = np.zeros((0, 0, 0), np.uint8)


def streams(frames: NDArray[np.uint8]) -> VideoStreams:
    """A video of one frame a second."""
    count, height, width = frames.shape[:3]
    info = VideoInfo(float(count), width, height, 1.0, 0, "raw")
    return VideoStreams(frames, np.arange(count) + 0.0, NO_MOTION, np.zeros(0), 0.0, float(count), info)


def rows(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    return LiteFrames()(streams(frames)).values


def row(frame: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(NAMES, rows(frame[None])[0].tolist(), strict=True))


def plain(*rgb: int, height: int = 36, width: int = 64) -> NDArray[np.uint8]:
    return np.broadcast_to(np.array(rgb, np.uint8), (height, width, 3)).copy()


@cache
def scene(seed: int, height: int = 90, width: int = 160) -> NDArray[np.uint8]:
    """A lit backdrop with coloured discs and bars, drawn large and averaged down."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(0, 9, 360), np.linspace(0, 16, 640), indexing="ij")
    slope = rng.normal(0, 0.03, 2)
    picture = rng.uniform(0.2, 0.6, 3) + (slope[0] * y + slope[1] * x)[..., None] + 0.0
    for _ in range(6):
        cy, cx, radius = rng.uniform(0, 9), rng.uniform(0, 16), rng.uniform(0.5, 2.5)
        picture[np.hypot(y - cy, x - cx) < radius] = rng.uniform(0.05, 0.95, 3)
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(0.5, 2)
    picture += 0.08 * np.sign(np.sin(2 * np.pi * (np.cos(angle) * x + np.sin(angle) * y) / pitch))[..., None]
    planes = np.clip(picture, 0, 1).transpose(2, 0, 1).astype(np.float32)
    return np.rint(area_mean(planes, height, width).transpose(1, 2, 0) * 255).astype(np.uint8)


@cache
def scenes(count: int = 8, height: int = 90, width: int = 160) -> NDArray[np.uint8]:
    return np.stack([scene(seed, height, width) for seed in range(count)])


@cache
def spread() -> NDArray[np.float32]:
    """(d,) how far different scenes lie apart in each column: the measure of "nearly the same"."""
    return np.maximum(rows(scenes(12)).std(axis=0), 1e-3)


def test_each_column_says_what_it_is() -> None:
    assert len(COLUMNS) <= 72
    assert len(set(NAMES)) == len(NAMES)
    assert LiteFrames().features == tuple(NAMES)
    assert all(column.what and column.unit and column.source for column in COLUMNS)
    assert (RANGES[:, 0] < RANGES[:, 1]).all()


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((3, 90, 160, 3), np.uint8),
        np.full((3, 90, 160, 3), 255, np.uint8),
        np.full((1, 1, 1, 3), 200, np.uint8),
        np.random.default_rng(0).integers(0, 256, (2, 7, 3, 3), dtype=np.uint8),
        np.random.default_rng(1).integers(0, 256, (1, 2, 999, 3), dtype=np.uint8),
        np.random.default_rng(2).integers(0, 2, (2, 91, 53, 3), dtype=np.uint8) * 255,
        np.zeros((0, 9, 16, 3), np.uint8),
    ],
    ids=["black", "white", "one pixel", "tiny", "sliver", "odd size", "no frame"],
)
def test_any_picture_gives_finite_numbers_in_range(frames: NDArray[np.uint8]) -> None:
    values = rows(frames)
    assert values.shape == (len(frames), len(COLUMNS))
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert (values >= RANGES[:, 0] - 1e-6).all()
    assert (values <= RANGES[:, 1] + 1e-6).all()


def test_a_row_depends_on_its_own_frame_only_to_the_last_bit() -> None:
    frames = np.concatenate([scenes(4)] * 11)  # more than one block
    together = rows(frames)
    for i in (0, 1, 3, 31, 32, 43):
        np.testing.assert_array_equal(rows(frames[i : i + 1])[0], together[i])
    np.testing.assert_array_equal(rows(frames), together)


def test_times_are_those_of_the_frames() -> None:
    np.testing.assert_array_equal(LiteFrames()(streams(scenes(3))).times_s, [0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.74, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((255, 255, 255), (100.0, 0.0, 0.0)),
        ((119, 119, 119), (50.03, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
    ],
)
def test_lab_of_the_primaries(rgb: tuple[int, int, int], expected: tuple[float, float, float]) -> None:
    """Published values for sRGB and D65."""
    planes = plain(*rgb, height=1, width=1).transpose(2, 0, 1)[None].astype(np.float32) / 255
    np.testing.assert_allclose(lab(planes).ravel() * 100, expected, atol=0.03)


def test_hue_and_saturation_against_hsv() -> None:
    colours = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], np.float32) * 0.5
    planes = colours.T.reshape(1, 3, 1, 6)
    degrees = np.rad2deg(hue_rad(planes)).ravel() % 360
    np.testing.assert_allclose(degrees, [0, 60, 120, 180, 240, 300], atol=1e-3)
    np.testing.assert_allclose(saturation(planes).ravel(), 0.5 / 0.6, rtol=1e-5)
    np.testing.assert_allclose(hue_rad(planes * 0.3), hue_rad(planes), atol=1e-6)


def test_colourfulness_by_its_formula() -> None:
    pixels = np.random.default_rng(3).random((5, 3))
    opponent = np.stack([pixels[:, 0] - pixels[:, 1], (pixels[:, 0] + pixels[:, 1]) / 2 - pixels[:, 2]])
    slow = np.sqrt((opponent.std(axis=1) ** 2).sum()) + 0.3 * np.sqrt((opponent.mean(axis=1) ** 2).sum())
    found = colourfulness(pixels.T.reshape(1, 3, 1, 5).astype(np.float32))
    assert found[0] ** 2 == pytest.approx(slow, rel=1e-4)


def test_golden_light_of_a_picture_in_two_halves() -> None:
    frame = plain(255, 255, 255)
    frame[:, :32] = 0
    found = row(frame)
    assert found["luma_p05"] == pytest.approx(0, abs=1e-6)
    assert found["luma_p95"] == pytest.approx(1, abs=1e-6)
    assert found["luma_std"] == pytest.approx(0.5, abs=1e-4)
    assert found["dark_share"] == pytest.approx(0.5, abs=1e-4)
    assert found["bright_share"] == pytest.approx(0.5, abs=1e-4)
    assert found["light_middle_left"] == pytest.approx(-0.5, abs=1e-3)
    assert found["light_middle_right"] == pytest.approx(0.5, abs=1e-3)
    assert found["symmetry_left_right"] == pytest.approx(-1, abs=0.01)
    assert found["symmetry_top_bottom"] == pytest.approx(1, abs=0.01)
    assert found["colourfulness"] == pytest.approx(0, abs=1e-3)
    assert found["edge_vertical"] > 0.8


@pytest.mark.parametrize(("rgb", "bins"), [((200, 20, 20), ["hue_000"]), ((20, 20, 200), ["hue_240"])])
def test_a_plain_colour_lies_in_its_own_hue(rgb: tuple[int, int, int], bins: list[str]) -> None:
    found = row(plain(*rgb))
    assert (
        max((name for name in NAMES if name[:5] in ("hue_0", "hue_1", "hue_2", "hue_3")), key=found.get)
        in bins
    )
    assert (found["warmth"] > 0.3) == (rgb[0] > rgb[2])
    assert (found["red_blue"] > 1) == (rgb[0] > rgb[2])


def test_a_grey_picture_with_coding_noise_has_no_hue() -> None:
    frame = plain(128, 128, 128).astype(np.int16)
    frame += np.random.default_rng(4).integers(-2, 3, frame.shape, dtype=np.int16)
    found = row(frame.astype(np.uint8))
    assert max(found[name] for name in NAMES if name.startswith("hue_")) < 0.05


def grating(angle_deg: float, pitch_px: float) -> NDArray[np.uint8]:
    """Stripes whose lines are perpendicular to `angle_deg`, measured from rightwards to downwards."""
    y, x = np.mgrid[0:144, 0:256]
    phase = (np.cos(np.deg2rad(angle_deg)) * x + np.sin(np.deg2rad(angle_deg)) * y) / pitch_px
    grey = np.rint(127.5 + 80 * np.sin(2 * np.pi * phase)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("angle_deg", "strongest"),
    [(0, "edge_vertical"), (90, "edge_horizontal"), (45, "edge_rising"), (135, "edge_falling")],
)
def test_direction_of_edges(angle_deg: float, strongest: str) -> None:
    found = row(grating(angle_deg, 40))
    for name in ("edge_vertical", "edge_horizontal", "edge_rising", "edge_falling"):
        assert (found[name] > 0.7) == (name == strongest), found


def test_detail_moves_up_the_pyramid_with_the_pitch() -> None:
    """A pitch of 4 cells (1/16 of the width) and each doubling is strongest one band later."""
    bands = [[row(grating(0, 4 * 4 * 2**k))[f"detail_{i}"] for i in (1, 2, 3, 4)] for k in range(3)]
    strongest = [int(np.argmax(energies)) for energies in bands]
    assert strongest == sorted(strongest)
    assert strongest[0] < strongest[2]


LIGHT = {"luma_p50", "luma_p75", "luma_p95", "lab_l_mean", "dark_share"}
LIGHTLESS = [
    i
    for i, name in enumerate(NAMES)
    if name.startswith(
        ("hue_", "symmetry_", "edge_evenness", "edge_vert", "edge_hor", "edge_ris", "edge_fall")
    )
]


def test_darkening_moves_light_and_neither_hue_nor_orientation() -> None:
    bright = scenes()
    dark = np.rint(bright * 0.7).astype(np.uint8)
    moved = (rows(dark) - rows(bright)) / spread()
    light = moved[:, [NAMES.index(name) for name in sorted(LIGHT)]]
    assert (np.abs(light).mean(axis=0) > 0.3).all()
    assert np.abs(moved[:, LIGHTLESS]).mean() < 0.1
    assert np.abs(rows(dark) - rows(bright))[:, LIGHTLESS].max() < 0.06


MIRRORED = {
    name: name.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")
    for name in NAMES
    if name.startswith(("light_", "colour_")) and name.endswith(("left", "right"))
} | {"edge_rising": "edge_falling", "edge_falling": "edge_rising"}


def test_a_mirrored_picture_swaps_left_and_right_and_nothing_else() -> None:
    frames = scenes()
    order = [NAMES.index(MIRRORED.get(name, name)) for name in NAMES]
    np.testing.assert_allclose(rows(frames[:, :, ::-1]), rows(frames)[:, order], atol=2e-4)
    assert order != list(range(len(NAMES)))


def test_half_size_is_nearly_the_same() -> None:
    """Within a tenth of the distance of different scenes, and nothing beyond one of it."""
    moved = np.abs(rows(scenes()) - rows(scenes(height=45, width=80))) / spread()
    assert np.median(moved) < 0.05
    assert np.quantile(moved, 0.95) < 0.4


def test_noise_is_nearly_the_same() -> None:
    frames = scenes()
    noise = np.random.default_rng(5).normal(0, 5, frames.shape)
    noisy = np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)
    moved = np.abs(rows(frames) - rows(noisy)) / spread()
    assert np.median(moved) < 0.05
    assert np.quantile(moved, 0.95) < 0.4


def test_turned_colours_move_hue_and_not_texture() -> None:
    frames = scenes()
    swapped = frames[..., [2, 1, 0]]
    moved = np.abs(rows(swapped) - rows(frames)) / spread()
    hues = [i for i, name in enumerate(NAMES) if name.startswith("hue_") and name != "hue_variety"]
    texture = [
        i for i, name in enumerate(NAMES) if name.startswith(("edge_v", "edge_h", "edge_r", "edge_fa", "sym"))
    ]
    assert moved[:, hues].mean() > 0.5
    assert moved[:, texture].mean() < 0.5 * moved[:, hues].mean()


def test_a_coarse_encode_is_closer_than_another_scene(tmp_path) -> None:
    """Through H.264 at CRF 35, 4:2:0 and back."""
    frames = scenes(6, 180, 320)
    with VideoWriter(tmp_path / "coarse.mp4", 320, 180, 5, crf=35) as writer:
        for frame in np.repeat(frames, 5, axis=0):
            writer.write(frame)
    coarse = read_video(tmp_path / "coarse.mp4", VideoRecipe(), VideoLimits())
    at = np.clip(np.floor(coarse.frame_times_s + 1e-3).astype(int), 0, 5)
    planes = frames.transpose(0, 3, 1, 2).astype(np.float32)
    fine = rows(np.rint(area_mean(planes, 90, 160).transpose(0, 2, 3, 1)).astype(np.uint8)) / spread()
    found = LiteFrames()(coarse).values / spread()
    distance = np.linalg.norm(found[:, None] - fine[None], axis=2)
    own = distance[np.arange(len(at)), at]
    distance[np.arange(len(at)), at] = np.inf
    assert (own < 0.5 * distance.min(axis=1)).all()
