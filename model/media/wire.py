"""What crosses between the service and a decoding child: jobs one way, streams or errors the other.

Small values travel as JSON, pictures through a memory file that both hold. The child has handled hostile
bytes, so nothing from it is trusted: shapes are checked against the file's true size.
"""

import json
import mmap
import os
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import BadOptions, CannotDecode, DecoderLost, MediaError, NoSandbox, YuyinError
from model.media.pictures import Shots
from model.media.sandbox import Guards
from model.media.streams import VideoInfo, VideoLimits, VideoRecipe, VideoStreams

MESSAGE_BYTES = 1 << 16  # more than any job or answer without its pictures
_ARRAYS = {
    "frames": ("|u1", 4),
    "frame_times_s": ("<f8", 1),
    "motion": ("|u1", 3),
    "motion_times_s": ("<f8", 1),
}
_ALIGN = 64
ATTEMPT = b"attempt"  # in the place of a job: try what a decoder must not be able to do


def pack_job(
    recipe: VideoRecipe,
    limits: VideoLimits,
    start_s: float | None,
    end_s: float | None,
    shots: Shots | None = None,
) -> bytes:
    """One video to decode, or pictures in its place, as a message; the bytes travel by descriptor."""
    job = {"recipe": asdict(recipe), "limits": asdict(limits), "start_s": start_s, "end_s": end_s}
    return json.dumps(job | ({"shots": asdict(shots)} if shots else {})).encode()


def unpack_job(message: bytes) -> tuple[VideoRecipe, VideoLimits, float | None, float | None]:
    """The inverse of `pack_job`."""
    job = json.loads(message)
    return VideoRecipe(**job["recipe"]), VideoLimits(**job["limits"]), job["start_s"], job["end_s"]


def unpack_shots(message: bytes) -> Shots | None:
    """Of a job whose bytes are pictures; None for a video."""
    shots = json.loads(message).get("shots")
    return shots and Shots(tuple(shots["times_s"]), tuple(shots["sizes"]), shots["duration_s"])


def pack_guards(guards: Guards) -> bytes:
    """What a confined child found."""
    return json.dumps(asdict(guards)).encode()


def unpack_guards(message: bytes) -> Guards:
    """The inverse of `pack_guards`; or raise the error that the child met."""
    answer = json.loads(message)
    if "error" in answer:
        raise _error(answer)
    return Guards(bool(answer["calls_filtered"]), bool(answer["off_network"]), tuple(answer["possible"]))


def pack_error(error: YuyinError) -> bytes:
    """An error that the caller shall see, as a message."""
    return json.dumps({"error": error.code, "message": str(error)}).encode()


def pack_streams(streams: VideoStreams, memory: int) -> bytes:
    """Write the arrays into the memory file and describe them in a message."""
    shapes, offset = {}, 0
    for name, (dtype, _) in _ARRAYS.items():
        array = np.ascontiguousarray(getattr(streams, name), dtype)
        shapes[name] = array.shape
        _write(memory, array, offset)
        offset = _aligned(offset + array.nbytes)
    os.ftruncate(memory, max(1, offset))
    rest = {"start_s": streams.start_s, "end_s": streams.end_s, "warnings": streams.warnings}
    return json.dumps({"shapes": shapes, "info": asdict(streams.info), **rest}).encode()


def _write(memory: int, array: NDArray[Any], offset: int) -> None:
    data = memoryview(array.tobytes())
    while data:
        written = os.pwrite(memory, data, offset)
        data, offset = data[written:], offset + written


def unpack_answer(message: bytes, memory: int) -> VideoStreams:
    """Streams whose arrays are read-only views of the memory file; or raise the error that the child met."""
    try:
        answer = json.loads(message)
        if "error" in answer:
            raise _error(answer)
        return _streams(answer, memory)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CannotDecode("the decoder gave a broken answer: export the video again") from error


def _error(answer: dict[str, Any]) -> YuyinError:
    kinds: list[type[YuyinError]] = [BadOptions, NoSandbox, DecoderLost, *MediaError.__subclasses__()]
    return {kind.code: kind for kind in kinds}[answer["error"]](str(answer["message"]))


def _streams(answer: dict[str, Any], memory: int) -> VideoStreams:
    view = mmap.mmap(memory, 0, prot=mmap.PROT_READ)
    arrays: dict[str, NDArray[Any]] = {}
    offset = 0
    for name, (dtype, dimensions) in _ARRAYS.items():
        shape = tuple(int(side) for side in answer["shapes"][name])
        if len(shape) != dimensions or min(shape) < 0:
            raise ValueError(name)
        # Raises ValueError if the file is shorter than the shapes say.
        arrays[name] = np.frombuffer(view, dtype, count=int(np.prod(shape, dtype=object)), offset=offset)
        arrays[name] = arrays[name].reshape(shape)
        offset = _aligned(offset + arrays[name].nbytes)
    return VideoStreams(
        **arrays,
        start_s=float(answer["start_s"]),
        end_s=float(answer["end_s"]),
        info=VideoInfo(**answer["info"]),
        warnings=tuple(answer["warnings"]),
    )


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGN) * _ALIGN
