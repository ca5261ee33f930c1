"""JPEG and PNG files with the times they were taken at in, the frames that a recipe wants of them out.

They count as the frames of a video that are known: the same rule chooses among them. There is no motion
stream, since what lies between them was not seen. No container is opened: a file's bytes are one packet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from model.errors import BadOptions, CannotDecode, NotMedia, VideoTooLong
from model.media.colour import Painter
from model.media.container import check_side
from model.media.geometry import Geometry, orientation
from model.media.packets import reraise_out_of_memory
from model.media.streams import VideoInfo, VideoLimits, VideoRecipe, VideoStreams
from model.media.targets import PacketTable, choose_frames

_MAGIC = {b"\xff\xd8\xff": "mjpeg", b"\x89PNG\r\n\x1a\n": "png"}


@dataclass(frozen=True, slots=True)
class Shots:
    """When pictures were taken and what part is asked for; in shapes, n >= 1 pictures."""

    times_s: tuple[float, ...]  # (n,) strictly ascending, from the video's first frame
    sizes: tuple[int, ...]  # (n,) bytes of each file
    duration_s: float  # of the video


def read_pictures(
    data: bytes,
    shots: Shots,
    recipe: VideoRecipe,
    limits: VideoLimits,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> VideoStreams:
    """Decode what a recipe wants of pictures, in this process (`model.media.child`: in another).

    Args:
        data: the files, one behind the other.
        shots: where each ends and when it was taken.
        recipe: which frames and how large; its motion stream stays empty.
        limits: what each picture may be.
        start_s: the part to look at, as of a video.
        end_s: likewise.

    Raises:
        NotMedia: for what is neither JPEG nor PNG.
        CannotDecode: for a damaged file.
        VideoTooLarge, VideoTooLong: beyond the limits.
        BadOptions: for an empty part, or pictures of several sizes.
    """
    if shots.duration_s > limits.max_duration_s:
        raise VideoTooLong(
            f"the video has {shots.duration_s:g} s, at most {limits.max_duration_s:g} s are allowed: "
            "send a shorter part"
        )
    start = start_s or 0.0
    end = shots.duration_s if end_s is None else min(end_s, shots.duration_s)
    if start >= end:
        raise BadOptions(f"the part from {start:g} s to {end:g} s is empty: choose start_s below end_s")
    times_s = np.array(shots.times_s, np.float64)
    table = PacketTable(times_s, np.zeros(len(times_s), np.bool_), shots.duration_s)
    chosen = choose_frames(table, recipe, start, end)
    ends = np.cumsum(shots.sizes)
    files = [data[ends[i] - shots.sizes[i] : ends[i]] for i in chosen]
    frames, geometry = _painted(files, chosen.tolist(), recipe, limits)
    width_px, height_px = geometry.displayed_px
    return VideoStreams(
        frames=frames,
        frame_times_s=times_s[chosen],
        motion=np.empty((0, 0, 0), np.uint8),
        motion_times_s=np.empty(0),
        start_s=start,
        end_s=end,
        info=VideoInfo(shots.duration_s, width_px, height_px, 0.0, 90 * geometry.quarter_turns, "pictures"),
    )


def _painted(
    files: Sequence[bytes], numbers: Sequence[int], recipe: VideoRecipe, limits: VideoLimits
) -> tuple[NDArray[np.uint8], Geometry]:
    """(t, h, w, 3), and how the first one, and so each, is displayed."""
    first: Geometry | None = None
    pictures: list[NDArray[np.uint8]] = []
    for file, number in zip(files, numbers, strict=True):
        frame = _decoded(file, number, limits)
        turns, mirrored = orientation(frame)
        geometry = Geometry((frame.width, frame.height), Fraction(1), turns, mirrored)
        if first is None:
            first = geometry
            painter = Painter(first.frame_px(recipe), first.shares(recipe))
        if geometry != first:
            raise BadOptions(f"picture {number} has another size or turn than the first: send all alike")
        pictures.append(painter.rgb(frame))
    assert first is not None  # at least one is chosen
    return first.upright(np.stack(pictures)), first


def _decoded(file: bytes, number: int, limits: VideoLimits) -> VideoFrame:
    codec = next((name for magic, name in _MAGIC.items() if file.startswith(magic)), None)
    if codec is None:
        raise NotMedia(f"picture {number} is neither JPEG nor PNG: send one of these")
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "r"))
    context.thread_count = 1
    # before anything is allocated: a few bytes can claim any size
    context.options = {"max_pixels": str(limits.max_side_px**2)}
    try:
        frames = [*context.decode(Packet(file)), *context.decode(None)]
    except FFmpegError as error:
        reraise_out_of_memory(error)
        raise CannotDecode(f"picture {number} is damaged or too large: export it again") from error
    if not frames:
        raise CannotDecode(f"picture {number} is cut off: export it again")
    check_side(frames[0].width, frames[0].height, limits)
    return frames[0]
