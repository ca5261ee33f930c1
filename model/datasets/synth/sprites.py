"""A small picture with transparency in, blits onto a frame out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.datasets.synth.colour import Grade


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture that is cheap to lay over a frame: colour and alpha are multiplied once, here."""

    ink: NDArray[np.uint8]  # (h, w, 3) colour times alpha
    clear: NDArray[np.uint16]  # (h, w, 3) share of the ground that shows through, 0..256 of 256

    @classmethod
    def of(cls, image: Image.Image, grade: Grade) -> "Sprite":
        """Grade and prepare an RGBA image."""
        pixels = np.asarray(image.convert("RGBA"))
        alpha = pixels[..., 3:].astype(np.uint16)
        graded = grade.apply(pixels[..., :3].astype(np.float32) / np.float32(255)).astype(np.uint16)
        ink = (graded * alpha // 255).astype(np.uint8)
        clear = np.where(alpha > 0, 255 - alpha, 256).astype(np.uint16)
        return cls(ink, np.repeat(clear, 3, axis=2))  # repeated: a broadcast last axis of 3 is 3 times slower

    def blit(self, frame: NDArray[np.uint8], x_px: int, y_px: int) -> None:
        """Lay it over `frame` (h, w, 3) with its top left corner there; what sticks out is cut off."""
        top, left = max(0, -y_px), max(0, -x_px)
        bottom = min(self.ink.shape[0], frame.shape[0] - y_px)
        right = min(self.ink.shape[1], frame.shape[1] - x_px)
        if bottom <= top or right <= left:
            return
        part = frame[y_px + top : y_px + bottom, x_px + left : x_px + right]
        ground = part * self.clear[top:bottom, left:right]
        ground >>= 8
        part[...] = ground
        part += self.ink[top:bottom, left:right]
