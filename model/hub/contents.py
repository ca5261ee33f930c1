"""A file that somebody else made in, a refusal out if it is not what its name says.

Safetensors, JSON and text run no code when they are read. An ONNX graph does not either, but may name other
files to read weights from, so only graphs with their weights inside are taken.
"""

import json
import struct
from pathlib import Path

from model.errors import Corrupt
from model.runtime.graph_file import check_self_contained

MOST_READ_BYTES = 10_000_000  # of a header, JSON or text, which are read whole: ours have less than 1 MB
POINTER = b"version https://git-lfs.github.com/spec/"


def check_contents(path: Path) -> None:
    """Raises `Corrupt` if the file is not the safetensors, whole ONNX, JSON or text that its suffix says."""
    with path.open("rb") as file:
        if file.read(len(POINTER)) == POINTER:
            raise Corrupt(
                f"{path} is a pointer of Git LFS, not the file itself: run `git lfs pull` where it is"
            )
    try:
        match path.suffix:
            case ".safetensors":
                _check_safetensors(path)
            case ".onnx":
                check_self_contained(path)
            case ".json":
                json.loads(_text(path))
            case ".txt":
                _text(path)
            case _:
                raise Corrupt(f"{path.name} is of a kind that is not read here")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise Corrupt(f"{path} is no {path.suffix[1:]} file ({error}): fetch or convert it again") from error


def _text(path: Path) -> str:
    if (size := path.stat().st_size) > MOST_READ_BYTES:
        raise ValueError(f"{size} bytes are too many, the most is {MOST_READ_BYTES}")
    return path.read_text("utf-8")


def _check_safetensors(path: Path) -> None:
    """Header length (8 bytes), header (JSON), and exactly the bytes that its tensors span."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(MOST_READ_BYTES, size - 8):
            raise ValueError("it is cut off or something else")
        tensors = json.loads(file.read(length))
    ends = [entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"]
    if 8 + length + max(ends, default=0) != size:
        raise ValueError(f"its tensors need {max(ends, default=0)} bytes, it has {size - 8 - length}")
