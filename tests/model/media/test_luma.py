import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc

from model.media.luma import Blocks, Reducer, grey_of


@pytest.mark.parametrize(
    ("shape", "size"), [((36, 64), (64, 36)), ((71, 133), (64, 34)), ((3, 5), (1, 1)), ((1, 1), (1, 1))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_block_means_are_the_slow_definition(shape, size, dtype):
    samples = np.random.default_rng(3).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    columns, rows = size
    slow = np.empty((rows, columns))
    for r in range(rows):
        for c in range(columns):
            top, bottom = r * shape[0] // rows, (r + 1) * shape[0] // rows
            left, right = c * shape[1] // columns, (c + 1) * shape[1] // columns
            slow[r, c] = samples[top:bottom, left:right].mean(dtype=np.float64)
    assert Blocks.of(shape, size).means(samples) == pytest.approx(slow, rel=1e-6)


def test_blocks_taller_than_16_bits_can_hold_do_not_overflow():
    white = np.full((600, 8), 255, np.uint8)
    assert (Blocks.of(white.shape, (8, 2)).means(white) == 255).all()


@pytest.mark.parametrize(
    ("code", "bits", "full", "grey"),
    [(16, 8, False, 0), (235, 8, False, 255), (0, 8, False, 0), (255, 8, False, 255),
     (0, 8, True, 0), (255, 8, True, 255),
     (64, 10, False, 0), (940, 10, False, 255), (503, 10, False, 128),
     (1023, 10, True, 255), (60160, 16, False, 255)],
)  # fmt: skip
def test_range_of_codes(code, bits, full, grey):
    assert grey_of(np.full((1, 1), code, np.float32), bits, full, 2)[0, 0] == grey


@pytest.mark.parametrize("trc", [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67])
def test_hdr_grey_rises_from_black_to_white(trc):
    codes = np.arange(64, 941, dtype=np.float32)[None]
    grey = grey_of(codes, 10, False, trc)[0].astype(int)
    assert grey[0] == 0
    assert grey[-1] == 255
    assert (np.diff(grey) >= 0).all()
    assert np.unique(grey).size > 150


@pytest.mark.parametrize(
    "pix_fmt",
    [
        "yuv420p",
        "yuv444p",
        "yuvj420p",
        "nv12",
        "gray",
        "yuv420p10le",
        "p010le",
        "rgb24",
        "gbrp",
        "yuyv422",
        "bgra",
    ],
)
def test_every_kind_of_plane_gives_the_same_grey(pix_fmt):
    ramp = np.repeat(np.linspace(0, 255, 64).astype(np.uint8), 2)[None].repeat(72, axis=0)
    frame = VideoFrame.from_ndarray(np.repeat(ramp[..., None], 3, axis=2), "rgb24")
    full = {"dst_color_range": "JPEG"} if pix_fmt in ("yuvj420p", "gray") else {}
    made = frame.reformat(format=pix_fmt, **full)
    if pix_fmt == "gray":
        made.color_range = 2
    grey = Reducer((64, 36)).grey(made)
    assert np.abs(grey.astype(int) - ramp[0, ::2]).max() <= 2


def test_a_stream_may_change_its_size():
    reducer = Reducer((64, 36))
    for width, height in ((128, 72), (32, 18), (256, 20), (64, 36)):
        white = VideoFrame.from_ndarray(np.full((height, width, 3), 255, np.uint8), "rgb24").reformat(
            format="yuv420p"
        )
        grey = reducer.grey(white)
        assert grey.shape == (36, 64)
        assert grey.min() >= 254
