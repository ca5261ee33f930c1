"""The first bytes and boxes of a file in; what it claims to be, whether protected or cut off out.

FFmpeg answers "invalid data" for a text file, for a protected film and for one cut off in its header alike;
this module reads just enough of the container itself to tell them apart. It never fails on hostile bytes.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_BOXES = 100_000  # a bound on the walk of a hostile file; real ones have a few hundred
HEAD_BYTES = 1 << 16

_FOUR = ("ftyp", "moov", "mdat", "moof", "styp", "sidx", "free", "skip", "wide", "pnot", "uuid", "emsg")
_MAGIC = (
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (8, b"WAVE", "wav"),
    (0, b"FLV\x01", "flv"),
    (0, b"GIF8", "gif"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (0, b"ID3", "mp3"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\x06\x0e\x2b\x34", "mxf"),
    (0, b"FORM", "aiff"),
    (0, b"caff", "caf"),
)
_TS_PACKET_BYTES = 188

# Where sample entries live: ISO/IEC 14496-12, 8.5.2 and 8.12 (protected sample entries).
_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_PROTECTED: dict[bytes | int, str] = {b"encv": "video", b"drmi": "video", b"enca": "audio", b"drms": "audio"}
_STSD_HEADER_BYTES = 8  # version, flags, entry count

# Matroska elements, RFC 9559 section 5.1, and the way from the segment down to an encryption.
_SEGMENT, _TRACKS, _TRACK, _TRACK_TYPE = 0x18538067, 0x1654AE6B, 0xAE, 0x83
_TO_ENCRYPTION = (0x6D80, 0x6240, 0x5035)  # ContentEncodings, ContentEncoding, ContentEncryption
_TRACK_KINDS = {b"\x01": "video", b"\x02": "audio"}


@dataclass(frozen=True, slots=True)
class _Box:
    """A box of MP4 or an element of Matroska."""

    kind: bytes | int
    body: int  # offset of the first byte after the header
    end: int  # offset behind the last byte, as the box says


def container_of(head: bytes) -> str | None:
    """Name of the container that a file's first bytes claim; None for none that we know."""
    if head[4:8].decode("latin-1") in _FOUR:
        return "mp4"
    for offset, magic, name in _MAGIC:
        if head.startswith(magic, offset):
            return name
    if _is_transport_stream(head):
        return "mpegts"
    return None


def _is_transport_stream(head: bytes) -> bool:
    sync = head[: 4 * _TS_PACKET_BYTES : _TS_PACKET_BYTES]
    return len(sync) >= 3 and set(sync) == {0x47}


def protected_kinds(file: BinaryIO) -> frozenset[str]:
    """Which of "video" and "audio" are protected by DRM, as the container says.

    MP4 says so in its sample entries (encv, enca, and drmi, drms of FairPlay), Matroska by an element
    ContentEncryption of a track.
    """
    match container_of(_head(file)):
        case "mp4":
            entries = set(_sample_entries(file, 0, _size(file), 0))
            return frozenset(_PROTECTED[kind] for kind in entries & _PROTECTED.keys())
        case "matroska":
            return frozenset(_encrypted_tracks(file))
        case _:
            return frozenset()


def is_cut_off(file: BinaryIO) -> bool:
    """Whether the container's outermost boxes say that the file should be longer than it is."""
    match container_of(_head(file)):
        case "mp4":
            size = _size(file)
            return any(box.end > size for box in _boxes(file, 0, size))
        case "matroska":
            size = _size(file)
            return any(box.end > size for box in _elements(file, 0, size) if box.kind == _SEGMENT)
        case _:
            return False


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(HEAD_BYTES)


def _size(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """The boxes side by side in [start, end); ends silently at the first that makes no sense."""
    for _ in range(MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        if start + 8 > end or len(header) < 8:
            return
        size, kind, long = int.from_bytes(header[:4], "big"), header[4:8], int.from_bytes(header[8:16], "big")
        body = start + (16 if size == 1 else 8)
        size = {0: end - start, 1: long}.get(size, size)
        if start + size < body:
            return
        yield _Box(kind, body, start + size)
        start += size


def _sample_entries(file: BinaryIO, start: int, end: int, depth: int) -> Iterator[bytes | int]:
    """Four-letter kinds of all sample entries below the boxes of [start, end)."""
    for box in _boxes(file, start, end):
        inside = min(box.end, end)
        if depth < len(_PARENTS) and box.kind == _PARENTS[depth]:
            yield from _sample_entries(file, box.body, inside, depth + 1)
        elif depth == len(_PARENTS) and box.kind == b"stsd":
            yield from (entry.kind for entry in _boxes(file, box.body + _STSD_HEADER_BYTES, inside))


def _vint(data: bytes, *, keep_marker: bool) -> tuple[int, int]:
    """EBML variable-length integer at the start of `data`: value and length; (0, 0) if there is none."""
    if not data or data[0] == 0:
        return 0, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    value = int.from_bytes(data[:length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), length


def _elements(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """The Matroska elements side by side in [start, end); ends silently at the first that makes no sense."""
    for _ in range(MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        kind, kind_bytes = _vint(header, keep_marker=True)
        size, size_bytes = _vint(header[kind_bytes:], keep_marker=False)
        if start >= end or not kind_bytes or not size_bytes:
            return
        body = start + kind_bytes + size_bytes
        unknown = size == (1 << 7 * size_bytes) - 1  # all ones: a live stream, it goes on to the end
        start = end if unknown else body + size
        yield _Box(kind, body, start)


def _inside(file: BinaryIO, outer: _Box, kind: int) -> Iterator[_Box]:
    return (box for box in _elements(file, outer.body, min(outer.end, _size(file))) if box.kind == kind)


def _encrypted_tracks(file: BinaryIO) -> Iterator[str]:
    for segment in _inside(file, _Box(0, 0, _size(file)), _SEGMENT):
        tracks = next(_inside(file, segment, _TRACKS), None)  # the clusters behind it are never walked
        for track in _inside(file, tracks, _TRACK) if tracks else ():
            boxes = [track]
            for kind in _TO_ENCRYPTION:
                boxes = [inner for outer in boxes for inner in _inside(file, outer, kind)]
            types = list(_inside(file, track, _TRACK_TYPE))
            if boxes and types:
                file.seek(types[0].body)
                yield _TRACK_KINDS.get(file.read(1), "other")
