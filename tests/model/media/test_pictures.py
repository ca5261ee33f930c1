"""Pictures in the place of a video: pixels against what was encoded, the choice against the videos' rule."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from model import errors
from model.media.child import Decoder
from model.media.pictures import Shots, read_pictures
from model.media.streams import VideoLimits, VideoRecipe
from model.media.targets import PacketTable, choose_frames

RECIPE = VideoRecipe(motion=False)
LIMITS = VideoLimits()


def encoded(codec, pixels, picture):
    context = av.CodecContext.create(codec, "w")
    context.height, context.width = picture.shape[:2]
    context.pix_fmt, context.time_base = pixels, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])


def png(picture):
    return encoded("png", "rgb24", picture)


def noise(seed, height=90, width=160):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def read(files, times_s, duration_s, recipe=RECIPE, limits=LIMITS, **part):
    shots = Shots(tuple(times_s), tuple(map(len, files)), duration_s)
    return read_pictures(b"".join(files), shots, recipe, limits, **part)


@pytest.fixture(scope="module")
def decoder():
    with Decoder(LIMITS) as running:
        yield running


def test_png_comes_out_as_it_went_in():
    pictures = [noise(i) for i in range(5)]
    found = read([png(each) for each in pictures], range(5), 5.0)
    assert np.array_equal(found.frames, pictures)  # the recipe's own size: nothing is scaled
    assert found.frame_times_s.tolist() == [0, 1, 2, 3, 4]
    assert (found.start_s, found.end_s, found.info.duration_s) == (0.0, 5.0, 5.0)
    assert (found.info.width_px, found.info.height_px) == (160, 90)
    assert found.motion.shape == (0, 0, 0)


def test_jpeg_keeps_its_colours():
    flat = np.full((90, 160, 3), (200, 30, 60), np.uint8)
    found = read([encoded("mjpeg", "yuvj420p", flat)], [0.0], 1.0)
    assert np.abs(found.frames[0].astype(int) - flat).max() <= 3


@pytest.mark.parametrize("kind", ["gray", "pal8", "rgba", "rgb48be", "gray16be"])
def test_every_kind_of_png_is_read(kind):
    flat = np.full((90, 160, 3), 102, np.uint8)  # of the web's palette
    if kind == "pal8":
        pytest.importorskip("PIL", reason="FFmpeg makes no palettes")
        from io import BytesIO

        from PIL import Image

        out = BytesIO()
        Image.fromarray(flat).convert("P").save(out, "png")
        file = out.getvalue()
    else:
        file = encoded("png", kind, flat)
    assert np.abs(read([file], [0.0], 1.0).frames[0].astype(int) - 102).max() <= 3


@pytest.mark.parametrize("part", [(None, None), (1.0, 3.0), (2.9, 9.0), (0.0, 0.1)])
@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_the_rule_of_videos_chooses(count, part):
    times_s = np.round(np.arange(count) * 0.2, 3)
    duration_s = max(3.5, times_s[-1] + 0.2)
    found = read(
        [png(noise(i, 16, 16)) for i in range(count)], times_s, duration_s, start_s=part[0], end_s=part[1]
    )
    table = PacketTable(times_s, np.zeros(count, bool), duration_s)
    expected = choose_frames(table, RECIPE, part[0] or 0.0, min(part[1] or duration_s, duration_s))
    assert found.frame_times_s.tolist() == times_s[expected].tolist()


def test_the_child_is_the_same_as_in_process(decoder):
    files = [png(noise(i)) for i in range(3)]
    here = read(files, [0, 1, 2], 3.0, start_s=0.5)
    there = decoder.read_pictures(files, [0, 1, 2], 3.0, RECIPE, start_s=0.5)
    assert np.array_equal(here.frames, there.frames)
    assert (here.info, here.start_s, here.end_s) == (there.info, there.start_s, there.end_s)


def giant():
    """60,000 pixels a side, said in 33 bytes."""
    small = png(noise(0))
    return small[:16] + (60_000).to_bytes(4, "big") * 2 + small[24:]


BAD = {
    "gif": (b"GIF89a" + bytes(100), errors.NotMedia),
    "nothing": (b"", errors.NotMedia),
    "magic alone": (b"\x89PNG\r\n\x1a\n", errors.CannotDecode),
    "jpeg cut off": (encoded("mjpeg", "yuvj420p", noise(1))[:100], errors.CannotDecode),
    "giant": (giant(), errors.CannotDecode),
    "damaged": (png(noise(0))[:60] + bytes(200), errors.CannotDecode),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(decoder, name):
    file, error = BAD[name]
    good = png(noise(0))
    with pytest.raises(error, match="picture 1"):
        read([good, file], [0, 1], 2.0)
    with pytest.raises(error, match="picture 1"):
        decoder.read_pictures([good, file], [0, 1], 2.0, RECIPE)


def test_hostile_bytes_never_crash(decoder):
    rng = np.random.default_rng(3)
    for base in (png(noise(2, 32, 32)), encoded("mjpeg", "yuvj420p", noise(2, 32, 32))):
        for _ in range(40):
            changed = bytearray(base)
            for place in rng.integers(8, len(base), 6):
                changed[place] = rng.integers(256)
            try:
                found = decoder.read_pictures([bytes(changed)], [0.0], 1.0, RECIPE)
            except errors.MediaError:
                continue
            assert found.frames.shape[-1] == 3


def test_limits_and_odd_sets_are_refused():
    one = png(noise(0))
    with pytest.raises(errors.VideoTooLong):
        read([one], [0.0], 601.0)
    with pytest.raises(errors.CannotDecode):  # more pixels than any picture may have
        read([one], [0.0], 1.0, limits=replace(LIMITS, max_side_px=100))
    with pytest.raises(errors.VideoTooLarge):
        read([png(noise(0, 20, 160))], [0.0], 1.0, limits=replace(LIMITS, max_side_px=100))
    with pytest.raises(errors.BadOptions, match="picture 1"):
        read([one, png(noise(0, 90, 120))], [0, 1], 2.0)
    with pytest.raises(errors.BadOptions, match="empty"):
        read([one], [0.0], 1.0, start_s=1.0)
