from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from model.errors import BadOptions, CannotDecode
from model.media.sight import Sight
from model.media.streams import VideoLimits, VideoRecipe
from model.media.targets import PacketTable, choose_frames
from model.media.video import read_video

LIMITS = VideoLimits()
RECIPE = VideoRecipe()
PARTIAL = replace(RECIPE, motion=False)
GOPS = {
    "long": {"g": "250", "bf": "3"},
    "short": {"g": "10", "bf": "2", "sc_threshold": "0"},
    "intra": {"g": "1"},
    "open": {"g": "12", "bf": "3", "x264-params": "open-gop=1:scenecut=0"},
}
UNEVEN_MS = np.cumsum([0, *np.random.default_rng(5).integers(10, 120, 80)]).tolist()


def expected(path, times_ms):
    """Which numbers the rule chooses, from the keyframes that FFmpeg itself lists."""
    with av.open(str(path)) as container:
        key = {packet.pts * packet.time_base for packet in container.demux(video=0) if packet.is_keyframe}
    start = min(key)
    times_s = np.array(times_ms) / 1000
    flags = np.array([any(abs(float(k - start) - t) < 2e-3 for k in key) for t in times_s])
    table = PacketTable(times_s, flags, times_s[-1] + 0.04)
    return choose_frames(table, RECIPE, 0, table.duration_s).tolist()


@pytest.mark.parametrize("gop", GOPS)
@pytest.mark.parametrize("times_ms", [list(range(0, 5000, 40)), UNEVEN_MS], ids=["even", "uneven"])
@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_full_and_partial_decode_give_the_chosen_frames(clips, tmp_path, gop, times_ms, ending):
    path = clips.write(tmp_path / f"clip.{ending}", times_ms, options=GOPS[gop] | {"crf": "18"})
    full, part = read_video(path, RECIPE, LIMITS), read_video(path, PARTIAL, LIMITS)
    assert np.array_equal(full.frames, part.frames)
    assert np.array_equal(full.frame_times_s, part.frame_times_s)
    assert clips.numbers(full.frames) == expected(path, times_ms)
    assert full.frame_times_s * 1000 == pytest.approx(
        [times_ms[i] for i in clips.numbers(full.frames)], abs=1.01
    )
    assert clips.numbers(full.motion) == list(range(len(times_ms)))
    assert full.motion_times_s * 1000 == pytest.approx(times_ms, abs=1.01)
    assert part.motion.shape == (0, 0, 0)
    assert part.motion_times_s.size == 0
    assert full.warnings == part.warnings == ()


@pytest.mark.parametrize(
    ("codec", "ending"), [("mpeg4", "avi"), ("libvpx", "webm"), ("libvpx-vp9", "webm"), ("libx265", "mp4")]
)
def test_other_codecs_full_and_partial(clips, tmp_path, codec, ending):
    options = {"g": "12", "b": "2M", "deadline": "realtime", "cpu-used": "8", "preset": "ultrafast"}
    if codec == "libx265":
        options |= {"x265-params": "log-level=none:keyint=12:open-gop=1"}
    times_ms = list(range(0, 2000, 40))
    path = clips.write(tmp_path / f"clip.{ending}", times_ms, codec=codec, options=options)
    full, part = read_video(path, RECIPE, LIMITS), read_video(path, PARTIAL, LIMITS)
    assert np.array_equal(full.frames, part.frames)
    assert clips.numbers(full.motion) == list(range(len(times_ms)))
    assert full.frame_times_s * 25 == pytest.approx(clips.numbers(full.frames), abs=0.05)


def test_partial_decode_decodes_less(clip, monkeypatch):
    seen = []

    class Counting:
        def __init__(self, *_):
            pass

        def grey(self, frame):
            seen.append(frame.pts)
            return np.zeros((1, 1), np.uint8)

    monkeypatch.setattr("model.media.sight.Reducer", Counting)
    read_video(clip, RECIPE, LIMITS, start_s=2.0, end_s=2.5)
    assert len(seen) == 13  # of 125: those on the screen at some time of the part


def test_several_decoders_share_the_packets(clips, tmp_path, monkeypatch):
    path, decoded = clips.write(tmp_path / "clip.mp4", range(0, 5000, 40), options=GOPS["short"]), []

    class Noting(Sight):
        def decode(self, runs, wanted, needed):
            decoded.append(sum(len(run) for run in runs))
            return super().decode(runs, wanted, needed)

    monkeypatch.setattr("model.media.video.Sight", Noting)
    read_video(path, RECIPE, replace(LIMITS, decoder_threads=2))
    first, second = sorted(decoded)
    assert first + second == 125 + 1  # the second one begins with the first packet of all
    assert second - first <= 11


def test_a_cut_of_no_frames_cannot_be_decoded(tmp_path):
    with av.open(str(tmp_path / "none.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        container.start_encoding()
    with pytest.raises(CannotDecode):
        read_video(tmp_path / "none.mkv", RECIPE, LIMITS)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_cuts_of_few_frames(clips, tmp_path, count):
    path = clips.write(tmp_path / "short.mp4", range(0, 40 * count, 40))
    streams = read_video(path, RECIPE, LIMITS)
    assert clips.numbers(streams.frames) == {1: [0], 2: [0, 1], 5: [0, 1, 3, 4]}[count]
    assert len(streams.motion) == count
    assert streams.info.duration_s == pytest.approx(0.04 * count, abs=2e-3)


@pytest.mark.parametrize(
    ("start", "end"), [(None, None), (1.0, 3.0), (1.01, 1.02), (0.0, 99.0), (4.99, None)]
)
def test_part_of_a_video(clips, clip, start, end):
    streams = read_video(clip, RECIPE, LIMITS, start_s=start, end_s=end)
    begin, stop = start or 0.0, min(end or 5.0, 5.0)
    on_screen = [i for i in range(125) if i * 0.04 < stop - 1e-6 and (i + 1) * 0.04 > begin + 1e-6]
    assert clips.numbers(streams.motion) == on_screen
    assert set(clips.numbers(streams.frames)) <= set(on_screen)
    assert len(streams.frames) >= min(4, len(on_screen))
    assert (streams.start_s, streams.end_s) == pytest.approx((begin, stop))
    assert streams.info.duration_s == pytest.approx(5.0)
    assert np.array_equal(streams.frames, read_video(clip, PARTIAL, LIMITS, start_s=start, end_s=end).frames)


@pytest.mark.parametrize(
    ("start", "end"), [(5.0, None), (3.0, 3.0), (3.0, 2.0), (-1.0, None), (float("nan"), None)]
)
def test_an_empty_part_is_refused(clip, start, end):
    with pytest.raises(BadOptions, match="start_s"):
        read_video(clip, RECIPE, LIMITS, start_s=start, end_s=end)


def test_path_and_bytes_give_the_same_again_and_again(clip):
    first = read_video(clip, RECIPE, LIMITS)
    for source in (clip, clip.read_bytes()):
        again = read_video(source, RECIPE, LIMITS)
        assert np.array_equal(first.frames, again.frames)
        assert np.array_equal(first.motion, again.motion)


@pytest.mark.parametrize("gop", GOPS)
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_the_number_of_decoder_threads_changes_nothing(clips, tmp_path, gop, threads):
    path = clips.write(tmp_path / "clip.mp4", range(0, 5000, 40), options=GOPS[gop])
    one, many = (read_video(path, RECIPE, replace(LIMITS, decoder_threads=n)) for n in (1, threads))
    for name in ("frames", "frame_times_s", "motion", "motion_times_s"):
        assert np.array_equal(getattr(one, name), getattr(many, name))
    assert one.info == many.info


def test_a_stream_may_change_its_encoder_on_the_way(clips, tmp_path):
    """As recorders leave it: two FLV files in one, the second with parameters of its own."""
    parts = []
    for first, count, cabac in ((0, 40, 0), (40, 80, 1)):
        path = clips.write(
            tmp_path / f"{first}.flv",
            range(40 * first, 40 * (first + count), 40),
            pictures=lambda i, first=first: clips.picture(first + i),
            options={"g": "20", "bf": "0", "coder": str(cabac), "crf": "18"},
        )
        parts.append(path.read_bytes())
    header_bytes = 9 + 4  # the file's own and the size of no tag before it
    for threads in (1, 2):
        limits = replace(LIMITS, decoder_threads=threads)
        streams = read_video(parts[0] + parts[1][header_bytes:], RECIPE, limits)
        assert clips.numbers(streams.motion) == list(range(120))


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_turned_and_mirrored_clips_give_the_same_upright_picture(clips, tmp_path, turned, mirrored):
    def stored(i):
        picture = clips.picture(i)[:, :: -1 if mirrored else 1]
        return np.rot90(picture, -turned // 90).copy()

    path = clips.write(
        tmp_path / "turned.mp4", range(0, 400, 40), pictures=stored, rotation=turned, mirrored=mirrored
    )
    streams = read_video(path, RECIPE, LIMITS)
    assert clips.numbers(streams.frames) == [0, 3, 6, 9]
    assert clips.numbers(streams.motion) == list(range(10))
    assert (streams.info.width_px, streams.info.height_px) == (128, 72)
    assert streams.frames.shape[1:3] == (90, 160)
    assert streams.motion.shape[1:] == (36, 64)
    if not mirrored:
        assert (streams.info.rotation + turned) % 360 == 0


def test_sample_aspect_and_fit(clips, tmp_path):
    path = clips.write(tmp_path / "wide.mp4", range(0, 400, 40), aspect=Fraction(2))
    info = read_video(path, RECIPE, LIMITS).info
    assert (info.width_px, info.height_px) == (256, 72)
    assert read_video(path, RECIPE, LIMITS).frames.shape[1:3] == (45, 160)
    short = read_video(path, replace(RECIPE, frame_fit="short", frame_side_px=100), LIMITS)
    assert short.frames.shape[1:3] == (100, 356)


def test_a_clip_may_begin_at_any_time_of_its_clock(clips, tmp_path):
    path = clips.write(tmp_path / "late.mkv", range(7000, 8000, 40))
    streams = read_video(path, RECIPE, LIMITS)
    assert streams.frame_times_s[0] == streams.motion_times_s[0] == 0
    assert streams.info.duration_s == pytest.approx(1.0, abs=2e-3)
    assert streams.info.fps == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv420p10le", "gray"])
def test_pixel_formats_look_alike(clips, tmp_path, clip, pix_fmt):
    codec = "libx264"
    path = clips.write(tmp_path / "format.mp4", range(0, 400, 40), pix_fmt=pix_fmt, codec=codec)
    streams, usual = read_video(path, RECIPE, LIMITS), read_video(clip, RECIPE, LIMITS, end_s=0.4)
    assert np.abs(streams.motion.astype(int) - usual.motion).mean() < 6
    assert np.abs(streams.frames.astype(int) - usual.frames).mean() < 6
