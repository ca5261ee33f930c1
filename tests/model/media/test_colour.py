import numpy as np
import pytest
from av.video.frame import VideoFrame

from model.media.colour import KNEE, PEAK_NITS, WHITE_NITS, Painter, hlg_light, pq_light, to_sdr, tone_curve


@pytest.mark.parametrize(
    ("signal", "nits"), [(0.0, 0), (0.508078, 100), (0.580689, 203), (0.751827, 1000), (1.0, 10_000)]
)
def test_pq_at_published_points(signal, nits):
    """ITU-R BT.2408 tables 1 and 2, BT.2100: PQ signal levels of well-known luminances."""
    assert float(pq_light(np.array([signal], np.float32))[0]) * WHITE_NITS == pytest.approx(
        nits, rel=2e-3, abs=1e-2
    )


def test_hlg_at_published_points():
    """ITU-R BT.2408: on a display of 1,000 cd/m2 HLG 75 % is 203, 100 % is 1,000."""
    grey = np.array([[0, 0, 0], [0.75] * 3, [1, 1, 1]], np.float32)
    assert hlg_light(grey)[:, 1] * WHITE_NITS == pytest.approx([0, 203, 1000], rel=5e-3)


def test_tone_curve_is_smooth_and_ends_at_white():
    light = np.linspace(0, PEAK_NITS / WHITE_NITS, 5001)
    out = tone_curve(light)
    assert out[light <= KNEE] == pytest.approx(light[light <= KNEE], abs=1e-6)
    assert out[-1] == pytest.approx(1)
    slope = np.diff(out.astype(float)) / np.diff(light)
    assert (slope > 0).all()
    assert np.abs(np.diff(slope)).max() < 0.01  # no kink, at the knee neither
    assert float(tone_curve(np.array(50.0))) == pytest.approx(1)


def test_hdr_grey_stays_grey_and_colours_stay_in_range():
    ramp = np.repeat(np.linspace(0, 1, 100, dtype=np.float32)[None, :, None], 3, axis=2)
    for light_of in (pq_light, hlg_light):
        out = to_sdr(ramp, light_of).astype(int)
        assert np.ptp(out, axis=2).max() <= 1
        assert (np.diff(out[0, :, 1]) >= 0).all()
    saturated = to_sdr(np.eye(3, dtype=np.float32)[None], pq_light)
    assert saturated.argmax(axis=2).tolist() == [[0, 1, 2]]


COLOURS = [(200, 30, 40), (20, 180, 60), (30, 40, 220), (128, 128, 128), (255, 255, 255), (0, 0, 0)]


def as_yuv(colour, kr, kb, full, size):
    """One colour as planar 4:2:0 by the definition of ITU-R BT.601 and BT.709."""
    r, g, b = (c / 255 for c in colour)
    y = kr * r + (1 - kr - kb) * g + kb * b
    u, v = (b - y) / (2 - 2 * kb), (r - y) / (2 - 2 * kr)
    codes = (255 * y, 128 + 255 * u, 128 + 255 * v) if full else (16 + 219 * y, 128 + 224 * u, 128 + 224 * v)
    width, height = size
    luma, blue, red = (np.clip(round(c), 0, 255) for c in codes)
    planes = [
        np.full((height, width), luma),
        np.full((height // 4, width), blue),
        np.full((height // 4, width), red),
    ]
    return VideoFrame.from_ndarray(np.concatenate(planes).astype(np.uint8), "yuv420p")


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("kr", "kb", "mark", "size"),
    [
        (0.299, 0.114, 6, (64, 48)),
        (0.299, 0.114, 5, (1280, 720)),
        (0.2126, 0.0722, 1, (64, 48)),
        (0.299, 0.114, 2, (64, 48)),  # unmarked and small: BT.601
        (0.2126, 0.0722, 2, (1280, 720)),  # unmarked and large: BT.709
    ],
)
def test_matrix_and_range(kr, kb, mark, size, full):
    for colour in COLOURS:
        frame = as_yuv(colour, kr, kb, full, size)
        frame.colorspace, frame.color_range = mark, 2 if full else 1
        rgb = Painter((16, 12)).rgb(frame)
        assert rgb.shape == (12, 16, 3)
        assert np.abs(rgb.astype(int) - colour).max() <= 3, (colour, rgb[0, 0])
