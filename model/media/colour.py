"""A decoded frame in, small 8-bit BT.709 RGB out; wide-gamut and HDR pictures are brought to SDR on the way.

Ordinary pictures take swscale's matrix and range. BT.2020 ones are scaled at 16 bits and finished here, at
the small size: transfer function to light, tone curve, BT.2020 to BT.709 primaries, BT.1886 display gamma.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# The bits make the result the same on every processor, whatever vector units it has.
AREA = int(
    Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT
)

WHITE_NITS = 203.0  # HDR reference white, ITU-R BT.2408-7 section 2.1: becomes SDR white's neighbourhood
PEAK_NITS = 1000.0  # mastering peak assumed for every file, so that metadata cannot change the answer
KNEE = 0.6  # of SDR white: below it light is left alone, above it the rest up to the peak is squeezed in
DISPLAY_GAMMA = 2.4  # ITU-R BT.1886

# ITU-R BT.2087-0 table 4: linear BT.2020 RGB to linear BT.709 RGB.
_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)

# FFmpeg's matrix codes (ITU-T H.273 table 4) to swscale's names of the same matrices.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_HD_WIDTH_PX, _HD_HEIGHT_PX = 1280, 577  # from here on an unmarked picture is taken for BT.709, as players do


def yuv_matrix(frame: VideoFrame) -> int:
    """The matrix of a frame by its mark, else BT.709 for HD and BT.601 below."""
    hd = frame.width >= _HD_WIDTH_PX or frame.height >= _HD_HEIGHT_PX
    return int(_MATRICES.get(int(frame.colorspace), Colorspace.ITU709 if hd else Colorspace.ITU601))


def transfer(frame: VideoFrame) -> Callable[[Floats], Floats] | None:
    """Signal to light for pictures that need more than a matrix; None for plain SDR.

    The function maps non-linear signal 0..1 to linear light in which 1 is SDR white.
    """
    match int(frame.color_trc):
        case ColorTrc.SMPTE2084:
            return pq_light
        case ColorTrc.ARIB_STD_B67:
            return hlg_light
        case _ if int(frame.color_primaries) == ColorPrimaries.BT2020:
            return _sdr_light
        case _:
            return None


def pq_light(signal: Floats) -> Floats:
    """SMPTE ST 2084 (ITU-R BT.2100-2 table 4): signal 0..1 to light, 1 at `WHITE_NITS`."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.power(signal, np.float32(1 / m2))
    nits = 10_000 * np.power(np.maximum(root - c1, 0) / (c2 - c3 * root), np.float32(1 / m1))
    return np.asarray(nits / WHITE_NITS, np.float32)


def hlg_light(signal: Floats) -> Floats:
    """Hybrid log-gamma (ITU-R BT.2100-2 table 5) on a display of `PEAK_NITS`: signal (..., 3) to light.

    The display's system gamma of 1.2 works on the luminance of the scene, so the colour stays.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    nits = PEAK_NITS * np.power(luminance, np.float32(0.2))[..., None] * scene
    return np.asarray(nits / WHITE_NITS, np.float32)


def _sdr_light(signal: Floats) -> Floats:
    return np.asarray(np.power(signal, np.float32(DISPLAY_GAMMA)), np.float32)


def tone_curve(light: Floats) -> Floats:
    """Light 0..PEAK/WHITE to 0..1: the identity up to `KNEE`, then a smooth rational shoulder to 1.

    With x = light - KNEE, room r = 1 - KNEE and span s = PEAK/WHITE - KNEE the shoulder is
    x / (1 + x (1/r - 1/s)): slope 1 at the knee, r at the peak (after Reinhard et al. 2002, equation 4).
    """
    room, span = 1 - KNEE, PEAK_NITS / WHITE_NITS - KNEE
    above = np.clip(light - KNEE, 0, span)
    return np.asarray(np.minimum(light, KNEE) + above / (1 + above * (1 / room - 1 / span)), np.float32)


def displayed(light: Floats) -> Floats:
    """Light 0..1 to the SDR signal that an ITU-R BT.1886 display turns into it."""
    return np.asarray(np.power(light, np.float32(1 / DISPLAY_GAMMA)), np.float32)


def to_sdr(signal: Floats, light_of: Callable[[Floats], Floats]) -> NDArray[np.uint8]:
    """BT.2020 signal (h, w, 3) in 0..1 to 8-bit BT.709 RGB; the tone curve keeps the ratios of a colour."""
    light = light_of(signal)
    brightest = light.max(axis=-1, keepdims=True)
    light = light * (tone_curve(brightest) / np.maximum(brightest, 1e-6))
    return np.asarray(np.rint(255 * displayed(np.clip(light @ _TO_709.T, 0, 1))), np.uint8)


class Painter:
    """Turns decoded frames into RGB of one size; keeps swscale's tables between frames."""

    def __init__(
        self, size_px: tuple[int, int], shares: tuple[Fraction, Fraction] = (Fraction(1), Fraction(1))
    ) -> None:
        """Show these shares of a stored frame, its middle, as `size_px`; both are of (width, height)."""
        self._size_px = size_px
        self._shares = shares
        self._cutter, self._scaler = VideoReformatter(), VideoReformatter()

    def rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """One frame, as stored, to (h, w, 3) 8-bit RGB."""
        light_of = transfer(frame)
        if light_of is None:
            return self._scaled(frame, "rgb24")
        deep = self._scaled(frame, "rgb48le").astype(np.float32) / np.float32(65535)
        return to_sdr(deep, light_of)

    def _scaled(self, frame: VideoFrame, pixels: str) -> NDArray[Any]:
        stored = frame.width, frame.height
        width, height = (
            max(1, round(each * share)) for each, share in zip(stored, self._shares, strict=True)
        )
        if (width, height) != stored:
            whole = _rgb(self._cutter, frame, stored, pixels)
            top, left = (frame.height - height) // 2, (frame.width - width) // 2
            cut = whole[top : top + height, left : left + width]
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(cut), pixels)
        return _rgb(self._scaler, frame, self._size_px, pixels)


def _rgb(scaler: VideoReformatter, frame: VideoFrame, size_px: tuple[int, int], pixels: str) -> NDArray[Any]:
    small = scaler.reformat(
        frame,
        *size_px,
        pixels,
        src_colorspace=yuv_matrix(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=AREA,
        threads=1,
    )
    return small.to_ndarray()
