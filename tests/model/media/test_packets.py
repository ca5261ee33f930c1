import av
import numpy as np
import pytest

from model.media.packets import Packets, Shown, read_packets
from model.media.streams import VideoLimits


def made(ticks, clean):
    """Packets in decoding order, of which only the times matter."""
    shown = Shown(np.unique(ticks), np.zeros(len(ticks), bool), np.ones(len(ticks), int), 0.04)
    return Packets(
        [None] * len(ticks), np.array(ticks), np.array(clean, bool), shown, cut_off=False, certain=True
    )


# Two groups of pictures; the second keyframe (8) is followed by two that are shown before it (6, 7).
OPEN = made([0, 3, 1, 2, 5, 4, 8, 6, 7, 10, 9], [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("needed", "runs"),
    [
        ([0], [(0, 1)]),
        ([2], [(0, 4)]),
        ([8], [(6, 7)]),
        ([9], [(6, 11)]),
        ([6], [(0, 8)]),  # a leading picture refers to the group before its own keyframe
        ([0, 9], [(0, 1), (6, 11)]),
        ([0, 7], [(0, 9)]),
        ([0, 8, 6], [(0, 8)]),
        ([4, 9], [(0, 11)]),
        ([0, 2, 8], [(0, 4), (6, 7)]),
    ],
)
def test_runs_begin_at_the_keyframe_that_a_picture_needs(needed, runs):
    assert [(run.start, run.stop) for run in OPEN.runs(needed)] == runs


# Four groups of pictures of 3, 4, 2 and 3 packets.
CLOSED = made([0, 2, 1, 3, 6, 5, 4, 7, 8, 9, 11, 10], [1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0])


@pytest.mark.parametrize(
    ("packets", "needed", "count", "shares"),
    [
        (CLOSED, range(12), 1, [[(0, 12)]]),
        (CLOSED, range(12), 2, [[(0, 7)], [(0, 1), (7, 12)]]),
        (CLOSED, range(12), 3, [[(0, 3)], [(0, 1), (3, 7)], [(0, 1), (7, 12)]]),
        (CLOSED, [1, 2, 9, 10, 11], 2, [[(0, 3)], [(0, 1), (9, 12)]]),
        (CLOSED, [4, 7], 2, [[(0, 1), (3, 8)]]),  # 4 packets and 1: too uneven
        (CLOSED, range(3, 7), 2, [[(0, 1), (3, 7)]]),  # nothing to cut
        (OPEN, range(11), 2, [[(0, 11)]]),  # what leads a keyframe needs what comes before
    ],
)
def test_shares_begin_cleanly_and_with_the_first_packet(packets, needed, count, shares):
    found = packets.shares(needed, count)
    assert [[(run.start, run.stop) for run in share] for share in found] == shares


def test_only_what_was_seen():
    shown = Shown(
        np.array([10, 20, 30, 40]), np.array([True, False, True, False]), np.array([10, 10, 10, 7]), 0.1
    )
    assert shown.table().duration_s == pytest.approx(3.7)
    left = shown.only({40, 20, 35})
    assert left.ticks.tolist() == [20, 35, 40]
    assert left.keyframe.tolist() == [False, False, False]
    assert left.stays.tolist() == [10, 0, 7]
    assert left.seconds([20, 40]).tolist() == [0, 2]


def packets_of(path):
    with av.open(str(path)) as container:
        return read_packets(container, container.streams.video[0], VideoLimits())


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_clean_keyframes_of_h264_are_the_instantaneous_refreshes(clips, tmp_path, ending):
    """x264 with open groups: keyframes every 12 pictures, of which only the first is such a refresh."""
    for name, options, clean in (("open", "open-gop=1:scenecut=0", 1), ("closed", "scenecut=0", 5)):
        path = clips.write(
            tmp_path / f"{name}.{ending}",
            range(0, 2400, 40),
            options={"g": "12", "bf": "2", "x264-params": options},
        )
        found = packets_of(path)
        assert found.clean.sum() == clean
        assert found.clean[0]
        assert found.shown.keyframe.sum() == 5
        assert len(found.shown.ticks) == 60
        assert found.shown.table().fps == pytest.approx(25, abs=0.1)


def test_a_run_is_enough_for_what_it_was_made_for(clip):
    """Decoding just the run shows every needed frame: no fall-back hides one packet too few."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        found = read_packets(container, stream, VideoLimits())
        for needed in found.shown.ticks[5::17].tolist():
            (run,) = found.runs([needed])
            context = av.CodecContext.create("h264", "r")
            context.extradata = stream.codec_context.extradata
            seen = [frame.pts for packet in [*found.packets[run], None] for frame in context.decode(packet)]
            assert needed in seen
            assert len(seen) <= 12
