"""An ONNX file in, nothing out if all its weights lie inside it; without a protobuf library.

A tensor may name another file, or an address in this process's memory, to be read in its place. Nothing that
we export does, so a graph that does is refused before any library follows it.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from model.errors import Corrupt

# Of onnx.proto: in which field of which message a tensor can lie, or a message that holds one.
LEADS_TO_TENSORS: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # fields of TensorProto
_VARINT, _BYTES = 0, 2  # wire types; groups, 3 and 4, are none of ONNX's
_FIXED = {1: 8, 5: 4}  # wire types of so many bytes
_TAGS = 1 << 32


def check_self_contained(graph: Path) -> None:
    """Refuse a graph whose weights lie elsewhere.

    Raises:
        Corrupt: if it does, cannot be read, or is no protobuf message.
    """
    try:
        with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            outside = _points_outside(content)
    except (OSError, ValueError, IndexError) as error:
        raise Corrupt(f"{graph} is no graph that can be run ({error}): export it again") from error
    if outside:
        raise Corrupt(f"{graph} keeps weights in another file, which is never read: export it as one file")


def _points_outside(content: mmap.mmap) -> bool:
    """A stack, not recursion: how deep messages lie in each other is for the file to say."""
    messages = [("ModelProto", 0, len(content))]
    while messages:
        kind, begin, end = messages.pop()
        for field, wire, start, stop in _fields(content, begin, end):
            if kind == "TensorProto" and field == EXTERNAL_DATA:
                return True
            if kind == "TensorProto" and field == DATA_LOCATION and any(content[start:stop]):
                return True
            if wire == _BYTES and field in LEADS_TO_TENSORS[kind]:
                messages.append((LEADS_TO_TENSORS[kind][field], start, stop))
    return False


def _fields(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Field number, wire type, and where its value begins and ends."""
    while at < end:
        tag, start = _varint(content, at)
        if tag >= _TAGS:  # onnxruntime's parser drops the bits above, and then knows the field
            raise ValueError(f"no ONNX: a field of a number that there is not at byte {at}")
        wire = tag & 7
        if wire == _BYTES:
            length, start = _varint(content, start)
            stop = start + length
        elif wire == _VARINT:
            _, stop = _varint(content, start)
        elif wire in _FIXED:
            stop = start + _FIXED[wire]
        else:
            raise ValueError(f"no ONNX: wire type {wire} at byte {at}")
        if stop > end:
            raise ValueError(f"cut off, or no ONNX: a field at byte {at} ends beyond its message")
        yield tag >> 3, wire, start, stop
        at = stop


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError(f"no ONNX: a number of more than 64 bits at byte {at}")
