"""A real clip in, clips of 15 s and 30 fps that are cheap or dear to decode out."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

FPS, SECONDS = 30, 15
FRAMES = FPS * SECONDS
PAN_PX = 300


def make_clips(source: Path, folder: Path) -> list[Path]:
    """H.264 as x264's defaults make it: 720p and 1080p of the source's frames, and a slow pan over one."""
    with av.open(str(source)) as container:
        frames = list(container.decode(video=0))
    spread = [frames[i * len(frames) // FRAMES] for i in range(FRAMES)]
    made = {
        "made-720p-4M.mp4": (spread, 1280, 720, 4_000_000),
        "made-720p-pan-1M.mp4": (_pan(frames[0], 1280, 720), 1280, 720, 1_000_000),
        "made-1080p-8M.mp4": (spread, 1920, 1080, 8_000_000),
    }
    return [_write(folder / name, *how) for name, how in made.items()]


def make_short(source: Path, folder: Path, lengths_s: Sequence[int]) -> list[Path]:
    """The first seconds of a clip at 320 x 180, one file a length; a shorter source is repeated."""
    with av.open(str(source)) as container:
        rate = float(container.streams.video[0].average_rate or FPS)
        frames = list(container.decode(video=0))
    found = []
    for length_s in lengths_s:
        taken = [frames[round(i * rate / FPS) % len(frames)] for i in range(length_s * FPS)]
        found.append(_write(folder / f"made-{length_s}s.mp4", taken, 320, 180, 400_000))
    return found


def _pan(frame: VideoFrame, width_px: int, height_px: int) -> Iterator[VideoFrame]:
    still = frame.reformat(width_px + PAN_PX, height_px, "rgb24").to_ndarray()
    for i in range(FRAMES):
        left = i * PAN_PX // FRAMES
        yield VideoFrame.from_ndarray(still[:, left : left + width_px].copy(), "rgb24")


def _write(path: Path, frames: Iterable[VideoFrame], width_px: int, height_px: int, bit_rate: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.bit_rate = bit_rate
        for i, frame in enumerate(frames):
            small = frame.reformat(width_px, height_px, "yuv420p")
            small.pts, small.time_base = i, Fraction(1, FPS)
            container.mux(stream.encode(small))
        container.mux(stream.encode(None))
    return path
