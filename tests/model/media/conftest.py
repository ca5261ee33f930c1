"""Clips whose every frame is known: its number stands in its picture as eight black or white stripes."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

TICK = Fraction(1, 1000)
BITS = 8


def numbered(number: int, width_px: int = 128, height_px: int = 72) -> np.ndarray:
    """(h, w, 3) uint8: stripe b is white if bit b of the number is set, most significant on the left."""
    bits = [(number >> (BITS - 1 - b)) & 1 for b in range(BITS)]
    row = np.repeat(bits, width_px // BITS) * np.uint8(235)
    return np.broadcast_to(row[None, :, None], (height_px, width_px, 3)).astype(np.uint8).copy()


def number_of(picture: np.ndarray) -> int:
    """The inverse of `numbered`, at any size, grey or colour."""
    grey = picture.mean(axis=2) if picture.ndim == 3 else picture
    middle = grey[grey.shape[0] // 3 : 2 * grey.shape[0] // 3]
    stripes = np.array_split(middle, BITS, axis=1)
    inner = [stripe[:, stripe.shape[1] // 4 : stripe.shape[1] - stripe.shape[1] // 4] for stripe in stripes]
    return sum(int(part.mean() > 118) << (BITS - 1 - b) for b, part in enumerate(inner))


def write_clip(
    path: Path,
    times_ms: Sequence[int],
    *,
    pictures: Callable[[int], np.ndarray] = numbered,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    colour: dict[str, int] | None = None,
) -> Path:
    """Encode picture i to be shown at times_ms[i], to be turned counter-clockwise, then mirrored."""
    height, width = pictures(0).shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {"g": "12", "bf": "2", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.codec_context.time_base = TICK
        for name, value in (colour or {}).items():
            setattr(stream.codec_context, name, value)
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        for i, time_ms in enumerate(times_ms):
            frame = VideoFrame.from_ndarray(pictures(i), "rgb24")
            frame.pts, frame.time_base = time_ms, TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Clips:
    """What tests call; a class because test modules cannot import each other."""

    write = staticmethod(write_clip)
    picture = staticmethod(numbered)
    number = staticmethod(number_of)

    @staticmethod
    def numbers(pictures: np.ndarray) -> list[int]:
        return [number_of(picture) for picture in pictures]


@pytest.fixture(scope="session")
def clips() -> type[Clips]:
    return Clips


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5 s at 25 frames a second, keyframes every 12 frames, B-frames between."""
    return write_clip(tmp_path_factory.mktemp("clip") / "numbered.mp4", range(0, 5000, 40))
