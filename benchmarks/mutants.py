"""Real media files and a seed in, broken ones out: what a fuzzer of no format would do, and lengths."""

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

EXTREMES = (0, 1, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# What a length or a count stands before or behind: boxes of MP4 (before), chunks of RIFF (behind).
_BOX = re.compile(
    rb"(?:ftyp|moov|trak|mdia|minf|stbl|stsd|stts|stsc|stsz|stco|co64|ctts|stss|mdat|moof|traf|trun)"
)
_CHUNK = re.compile(rb"(?:RIFF|LIST|avih|strh|strf|idx1|00dc|01wb)")
_EBML = re.compile(rb"\x1a\x45\xdf\xa3|\x18\x53\x80\x67|\x16\x54\xae\x6b|\x1f\x43\xb6\x75|\x15\x49\xa9\x66")
LARGEST_BYTES = 2_000_000  # a mutant of a long clip shows nothing that one of a short clip does not

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def sources(folder: Path) -> list[bytes]:
    """The files under a folder, in the order of their names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path.read_bytes() for path in files if 0 < path.stat().st_size <= LARGEST_BYTES]


def mutant(whole: Sequence[bytes], seed: int) -> bytes:
    """The `seed`-th broken file: always the same for the same sources."""
    rng = random.Random(seed)
    original = rng.choice(whole)
    data = bytearray(original)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(MUTATIONS)(data, rng, whole)
    if data == original:  # such as one without lengths
        flip_bits(data, rng, whole)
    return bytes(data[: 2 * LARGEST_BYTES]) or b"\0"


def flip_bits(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Anywhere, or where headers tend to be."""
    reach = rng.choice((64, 4096, len(data)))
    for _flip in range(rng.choice((1, 8, 64, 512))):
        if data:
            data[rng.randrange(min(reach, len(data)))] ^= 1 << rng.randrange(8)


def truncate(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Cut off the end, mostly where a connection would break."""
    del data[rng.choice((rng.randrange(len(data) + 1), rng.randrange(min(len(data), 200) + 1))) :]


def splice(data: bytearray, rng: random.Random, whole: Sequence[bytes]) -> None:
    """Put a part of some file in the place of a part of another length."""
    other = rng.choice(whole)
    begin, size = rng.randrange(len(other)), rng.randrange(1, 65_536)
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.randrange(65_536)] = other[begin : begin + size]


def repeat(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """The same part many times over."""
    at = rng.randrange(len(data) + 1)
    part = bytes(data[at : at + rng.randrange(1, 2048)])
    data[at:at] = part * rng.choice((1, 10, 300))


def swap_header(data: bytearray, rng: random.Random, whole: Sequence[bytes]) -> None:
    """Begin as another kind of file."""
    size = rng.choice((4, 12, 32, 512, 4096))
    data[:size] = rng.choice(whole)[:size]


def change_length(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Lie about the size of a box, a chunk or an element, or about what stands first in it."""
    kind, offset = rng.choice(((_BOX, -4), (_BOX, 4), (_BOX, 8), (_BOX, 12), (_CHUNK, 4), (_EBML, 4)))
    places = [found.start() + offset for found in kind.finditer(data)]
    places = [at for at in places if 0 <= at <= len(data) - 4]
    if not places:
        return
    at = rng.choice(places)
    old = int.from_bytes(data[at : at + 4], "big")
    new = rng.choice((*EXTREMES, old - 1, old + 1, 2 * old, old // 2, rng.getrandbits(32))) % (1 << 32)
    data[at : at + 4] = new.to_bytes(4, rng.choice(("big", "big", "little")))


def put_extreme(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """A number that programs tend to have forgotten, anywhere."""
    width = rng.choice((1, 2, 4, 8))
    at = rng.randrange(max(1, len(data) - width))
    number = rng.choice(EXTREMES) % (1 << 8 * width)
    data[at : at + width] = number.to_bytes(width, rng.choice(("big", "little")))


def fill(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """A part that was never written."""
    at, size = rng.randrange(len(data) + 1), rng.choice((16, 512, 65_536))
    data[at : at + size] = bytes([rng.choice((0, 255))]) * len(data[at : at + size])


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits,
    truncate,
    splice,
    repeat,
    swap_header,
    change_length,
    change_length,
    put_extreme,
    fill,
)
