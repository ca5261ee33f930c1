"""Sizes by their definition, and what is seen of oblong videos: the middle of the picture that they show."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from model.features.paper import RECIPE
from model.features.pixels import pixels
from model.media.geometry import Geometry
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video

LIMITS = VideoLimits(decoder_threads=1)
ORDINARY = [
    (1, 1),
    (640, 360),
    (360, 640),
    (7, 11),
    (1920, 803),
    (333, 335),
    (1196, 299),
    (299, 1196),
    (64, 17),
]
OBLONG = [
    (1197, 299),
    (299, 1197),
    (8192, 16),
    (16, 8192),
    (801, 63),
    (63, 800),
    (8192, 1),
    (1, 5),
    (8192, 2047),
]


def geometry(size: tuple[int, int], aspect: Fraction = Fraction(1), turns: int = 0) -> Geometry:
    return Geometry(size, aspect, turns, False)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("size", ORDINARY)
def test_an_ordinary_picture_is_kept_whole_with_its_short_side_as_prescribed(
    size: tuple[int, int], turns: int
) -> None:
    found = geometry(size, turns=turns)
    assert found.kept_px(RECIPE) == size
    short = min(size)
    assert found.frame_px(RECIPE) == tuple(round(Fraction(side * 299, short)) for side in size)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("size", OBLONG)
def test_of_an_oblong_picture_the_very_middle_is_kept(size: tuple[int, int], turns: int) -> None:
    found = geometry(size, turns=turns)
    kept = found.kept_px(RECIPE)
    short, long = min(size), max(size)
    assert min(kept) == short
    assert max(kept) - 4 * short in (0, 1)
    assert (long - max(kept)) % 2 == 0, "as much is left out on either side"
    assert (kept[0] < kept[1]) == (size[0] < size[1])
    width, height = found.frame_px(RECIPE)
    assert min(width, height) == 299
    assert max(width, height) == round(Fraction(299 * max(kept), short))
    assert found.displayed_px == (size[::-1] if turns % 2 else size), "what is said of the video stays"


@pytest.mark.parametrize("aspect", [Fraction(1, 10), Fraction(3, 7), Fraction(16, 11), Fraction(10)])
@pytest.mark.parametrize("size", [*ORDINARY, *OBLONG])
def test_no_frame_is_large_whatever_the_shape_of_its_pixels(size: tuple[int, int], aspect: Fraction) -> None:
    found = geometry(size, aspect)
    kept = found.kept_px(RECIPE)
    assert all(1 <= mine <= all_of_it for mine, all_of_it in zip(kept, size, strict=True))
    shown = max(1, round(size[0] * aspect)), size[1]
    if max(shown) <= 4 * min(shown):
        assert kept == size
    width, height = found.frame_px(RECIPE)
    assert min(width, height) == 299
    # A stored pixel is up to 10 wide, and one of them or two may be all that is kept.
    assert max(width, height) <= 299 * (5 if min(shown) >= 20 else 20)


@pytest.mark.parametrize("size", OBLONG)
def test_where_the_long_side_is_prescribed_nothing_is_left_out(size: tuple[int, int]) -> None:
    found = geometry(size)
    assert found.kept_px(VideoRecipe()) == size
    assert max(found.frame_px(VideoRecipe())) == 160


def smooth(height: int, width: int) -> np.ndarray:
    """(h, w, 3) uint8: slopes along the short side, waves along the long one, of no symmetry."""
    across, along = (np.linspace(0, 1, min(height, width))[:, None], np.arange(max(height, width))[None])
    wave = np.sin(2 * np.pi * along / (3 * min(height, width)) + 1)
    planes = [60 + 150 * across + 0 * wave, 128 + 70 * wave + 40 * across, 200 - 60 * across - 50 * wave**2]
    picture = np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)
    return picture if width >= height else picture.transpose(1, 0, 2)


@pytest.mark.parametrize("turned", [0, 90])
@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (16, 8192, (299, 1196)),
        (8192, 16, (1196, 299)),
        (31, 501, (299, 1206)),  # 501 - 125 lines come off evenly, 501 - 124 do not
        (500, 31, (1196, 299)),
        (30, 121, (299, 1206)),
        (30, 120, (299, 1196)),  # 4:1: whole
    ],
)
def test_the_network_sees_the_middle_of_an_oblong_video(
    clips, tmp_path: Path, height: int, width: int, expected: tuple[int, int], turned: int
) -> None:
    """Against the middle of the picture itself, scaled as torchvision does; swscale is a line off at most."""
    line = 150 / min(height, width)
    upright = smooth(height, width)
    stored = np.rot90(upright, -turned // 90).copy()
    path = clips.write(
        tmp_path / "banner.mp4", range(0, 200, 40), pictures=lambda _: stored, pix_fmt="yuv444p",
        options={"crf": "1"}, rotation=turned,
    )  # fmt: skip
    video = read_video(path, RECIPE, LIMITS)
    assert (video.info.width_px, video.info.height_px) == (width, height)
    assert video.frames.shape[1:] == (*expected, 3)
    off = np.abs(pixels(video.frames[:1]) - pixels(upright[None])) * 127.5
    assert off.mean() < 1 + line / 2
    assert off.max() < 10 + 2 * line


def test_pixels_that_are_not_square_are_cut_by_what_is_displayed(clips, tmp_path: Path) -> None:
    upright = smooth(64, 800)
    path = clips.write(
        tmp_path / "wide.mp4", range(0, 200, 40), pictures=lambda _: upright[:, ::2].copy(),
        pix_fmt="yuv444p", options={"crf": "1"}, aspect=Fraction(2),
    )  # fmt: skip
    video = read_video(path, RECIPE, LIMITS)
    assert video.frames.shape[1:] == (299, 1196, 3)
    off = np.abs(pixels(video.frames[:1]) - pixels(upright[None])) * 127.5
    assert off.mean() < 2


def test_a_wide_gamut_banner_looks_as_it_does_whole(clips, tmp_path: Path) -> None:
    """PQ in BT.2020: the same picture, its ends gone, is 4:1 and takes the other way."""
    colour = {"color_primaries": 9, "color_trc": 16, "colorspace": 9, "color_range": 1}
    upright = smooth(64, 600)
    seen = []
    for name, picture in (("whole", upright), ("middle", upright[:, 172:-172])):
        path = clips.write(
            tmp_path / f"{name}.mp4", range(0, 200, 40), pictures=lambda _, p=picture: p.copy(),
            pix_fmt="yuv444p10le", options={"crf": "1"}, colour=colour,
        )  # fmt: skip
        seen.append(read_video(path, RECIPE, LIMITS).frames[0].astype(int))
    assert seen[0].shape == seen[1].shape == (299, 1196, 3)
    assert np.abs(seen[0] - seen[1])[:, 10:-10].mean() < 1.5


@pytest.mark.parametrize(("height", "width"), [(36, 64), (32, 400), (400, 32)])
def test_a_stream_that_grows_on_the_way_shows_the_same(
    clips, tmp_path: Path, height: int, width: int
) -> None:
    """As recorders leave it: two FLV files in one, the second twice as large."""
    header_bytes = 9 + 4  # the file's own and the size of no tag before it
    whole = b""
    for i, large in enumerate((1, 2)):
        path = clips.write(
            tmp_path / f"{large}.flv", range(2000 * i, 2000 * (i + 1), 40),
            pictures=lambda _, large=large: smooth(height * large, width * large),
            options={"g": "10", "bf": "0", "crf": "1"},
        )  # fmt: skip
        whole += path.read_bytes()[header_bytes if i else 0 :]
    frames = read_video(whole, RECIPE, LIMITS).frames.astype(int)
    assert len(frames) >= 4
    assert np.abs(frames[0] - frames[-1]).mean() < 6
