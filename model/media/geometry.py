"""How a decoded picture is stored in, how it is displayed and how large its small copies are out."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from model.media.streams import VideoRecipe

SANE_ASPECTS = (Fraction(1, 10), Fraction(10))  # a pixel more oblong than this is a broken header
# Long side over short side of what is kept where the short side is prescribed. Who prescribes it looks at the
# middle square; no format of film or screen is beyond 4, and a banner of 8192 x 16 would take 137 MB a frame.
MOST_OBLONG = 4


@dataclass(frozen=True, slots=True)
class Geometry:
    """Turn, mirror and sample aspect ratio of a video; sizes are (width, height)."""

    stored_px: tuple[int, int]
    pixel_aspect: Fraction  # width of a stored pixel over its height
    quarter_turns: int  # clockwise, 0..3, applied after `mirrored`
    mirrored: bool  # left and right exchanged

    @classmethod
    def of(cls, stream: VideoStream, frame: VideoFrame) -> "Geometry":
        """Read it from the stream's header and the display matrix of its first frame."""
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if not SANE_ASPECTS[0] <= aspect <= SANE_ASPECTS[1]:
            aspect = Fraction(1)
        turns, mirrored = orientation(frame)
        return cls((frame.width, frame.height), aspect, turns, mirrored)

    @property
    def displayed_px(self) -> tuple[int, int]:
        """As on the screen: the pixels made square by width, then turned."""
        width, height = self.stored_px
        upright = max(1, round(width * self.pixel_aspect)), height
        return upright[::-1] if self.quarter_turns % 2 else upright

    def _stored(self, displayed: tuple[int, int]) -> tuple[int, int]:
        return displayed[::-1] if self.quarter_turns % 2 else displayed

    def kept_px(self, recipe: VideoRecipe) -> tuple[int, int]:
        """How much of a stored picture its RGB frames show, in stored pixels: all, or the very middle.

        Where the short side is prescribed, the ends of what is displayed at more than 4:1 are left out, not
        squeezed: the middle looks as it did, and whatever comes in, a frame takes little memory.
        """
        width, height = self.stored_px
        across = max(1, round(width * self.pixel_aspect))
        if recipe.frame_fit == "long":
            return width, height
        if across > MOST_OBLONG * height:
            return _middle(width, round(MOST_OBLONG * height / self.pixel_aspect)), height
        return width, _middle(height, MOST_OBLONG * across)

    def shares(self, recipe: VideoRecipe) -> tuple[Fraction, Fraction]:
        """`kept_px` as shares of width and height: a stream may change the size of its frames on the way."""
        kept, stored = self.kept_px(recipe), self.stored_px
        return Fraction(kept[0], stored[0]), Fraction(kept[1], stored[1])

    def frame_px(self, recipe: VideoRecipe) -> tuple[int, int]:
        """Size of the RGB frames before they are turned; enlarged if need be."""
        width, height = replace(self, stored_px=self.kept_px(recipe)).displayed_px
        side = max(width, height) if recipe.frame_fit == "long" else min(width, height)
        scale = Fraction(recipe.frame_side_px, side)
        return self._stored((max(1, round(width * scale)), max(1, round(height * scale))))

    def motion_px(self, recipe: VideoRecipe) -> tuple[int, int]:
        """Size of the grey frames before they are turned; never more pixels than there are."""
        width, height = self.displayed_px
        scale = Fraction(recipe.motion_side_px, max(width, height))
        small = self._stored((max(1, round(width * scale)), max(1, round(height * scale))))
        return min(small[0], self.stored_px[0]), min(small[1], self.stored_px[1])

    def upright(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Mirror and turn stored pictures (n, h, w, ...) to how they are displayed."""
        if self.mirrored:
            pictures = pictures[:, :, ::-1]
        return np.ascontiguousarray(np.rot90(pictures, -self.quarter_turns, axes=(1, 2)))


def _middle(lines: int, wanted: int) -> int:
    """At most `wanted` of an axis, or one more, so that as many are left out on either side."""
    return lines if wanted >= lines else max(1, wanted) + (lines - max(1, wanted)) % 2


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """(quarter turns clockwise, mirrored before them) from a frame's display matrix; (0, False) without one.

    FFmpeg's display matrix holds nine 32-bit numbers (a b u, c d v, x y w): a stored point (p, q) is shown
    at (a p + c q + x, b p + d q + y), y pointing down. Turns are rounded to quarters.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return 0, False
    a, b, _, c, d = (int(value) for value in np.frombuffer(memoryview(matrix), np.int32)[:5])
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b  # undo the exchange of left and right, what is left is a turn
    if abs(a) >= abs(b):
        return (0 if a >= 0 else 2), mirrored
    return (1 if b > 0 else 3), mirrored
