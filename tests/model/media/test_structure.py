import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.media.structure import container_of, is_cut_off, protected_kinds


def box(kind, *bodies):
    body = b"".join(bodies)
    return (8 + len(body)).to_bytes(4, "big") + kind + body


def film(*entries, depth=(b"minf", b"stbl")):
    stsd = box(b"stsd", bytes(8), *(box(entry, bytes(20)) for entry in entries))
    return box(b"ftyp", b"isom") + box(
        b"moov", box(b"trak", box(b"mdia", box(depth[0], box(depth[1], stsd))))
    )


def element8(kind, *bodies):
    """With a size of eight bytes: a one and seven zeros mark the length, 56 bits hold it."""
    body = b"".join(bodies)
    return kind + b"\x01" + len(body).to_bytes(7, "big") + body


def webm(*tracks):
    header = element8(b"\x1a\x45\xdf\xa3", b"\x42\x86\x81\x01")
    return header + element8(b"\x18\x53\x80\x67", element8(b"\x16\x54\xae\x6b", *tracks))


def track(kind, *more):
    return element8(b"\xae", element8(b"\x83", bytes([kind])), *more)


ENCRYPTION = element8(b"\x6d\x80", element8(b"\x62\x40", element8(b"\x50\x35", b"\x47\xe1\x81\x05")))


@pytest.mark.parametrize(
    ("entries", "kinds"),
    [
        ((), set()),
        ((b"avc1", b"mp4a"), set()),
        ((b"encv",), {"video"}),
        ((b"avc1", b"enca"), {"audio"}),
        ((b"drmi", b"drms"), {"video", "audio"}),
    ],
)
def test_protected_sample_entries(entries, kinds):
    assert protected_kinds(io.BytesIO(film(*entries))) == kinds


def test_the_letters_encv_elsewhere_protect_nothing():
    assert protected_kinds(io.BytesIO(film(b"encv", depth=(b"udta", b"stbl")))) == set()
    assert protected_kinds(io.BytesIO(film(b"avc1") + box(b"mdat", b"encv" * 9))) == set()


def test_protected_matroska_tracks():
    plain, locked = webm(track(1), track(2)), webm(track(1, ENCRYPTION), track(2))
    assert protected_kinds(io.BytesIO(plain)) == set()
    assert protected_kinds(io.BytesIO(locked)) == {"video"}
    assert protected_kinds(io.BytesIO(webm(track(1), track(2, ENCRYPTION)))) == {"audio"}


@pytest.mark.parametrize("whole", [film(b"avc1") + box(b"mdat", bytes(100)), webm(track(1), track(2))])
def test_cut_off_is_seen_at_every_length(whole):
    assert not is_cut_off(io.BytesIO(whole))
    assert not is_cut_off(io.BytesIO(whole + whole[:3]))  # scraps behind the end are common
    for length in range(40, len(whole), 7):
        scraps = length - len(film(b"avc1")) if whole[4:8] == b"ftyp" else -1
        assert is_cut_off(io.BytesIO(whole[:length])) != (0 <= scraps < 8)  # too little to be a box


def test_live_matroska_of_unknown_size_is_not_cut_off():
    live = webm(track(1)).replace(b"\x18\x53\x80\x67\x01", b"\x18\x53\x80\x67\xff", 1)
    assert not is_cut_off(io.BytesIO(live))


def test_box_of_64_bits_and_box_to_the_end():
    large = (1).to_bytes(4, "big") + b"mdat" + (16 + 50).to_bytes(8, "big") + bytes(50)
    assert not is_cut_off(io.BytesIO(box(b"ftyp", b"isom") + large))
    assert is_cut_off(io.BytesIO(box(b"ftyp", b"isom") + large[:-1]))
    assert not is_cut_off(io.BytesIO(box(b"ftyp", b"isom") + bytes(4) + b"mdat" + bytes(50)))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypisom", "mp4"),
        (b"\x1a\x45\xdf\xa3\x01", "matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        ((b"\x47" + bytes(187)) * 4, "mpegts"),
        (b"GIF89a", "gif"),
        (b"", None),
        (b"#EXTM3U\n#EXTINF", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (b"Call me Ishmael. Some years ago", None),
    ],
)
def test_container_by_its_first_bytes(head, name):
    assert container_of(head) == name


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3", b""]))
def test_hostile_bytes_never_fail(noise, head):
    assert protected_kinds(io.BytesIO(head + noise)) <= {"video", "audio", "other"}
    assert is_cut_off(io.BytesIO(head + noise)) in (True, False)
