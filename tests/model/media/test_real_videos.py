"""Files of the shared data: a good one decodes to what is known of it, a bad one gives its own error."""

from dataclasses import replace

import av
import numpy as np
import pytest

from model import errors
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video

LIMITS = VideoLimits()
RECIPE = VideoRecipe()


@pytest.fixture(scope="session")
def videos(shared_data):
    return shared_data / "video"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("made/text_named.mp4", errors.NotMedia),
        ("made/zero_bytes.mp4", errors.EmptyBody),
        ("media/mp4/sample_audio_only_15s.mp4", errors.NoVideoStream),
        ("media/dash/ttml-in-mp4/sample.text.mp4", errors.NoVideoStream),
        ("media/drm/sample_fragmented_clearkey.mp4", errors.Encrypted),
        ("media/mp4/sample_malformed_free_box.mp4", errors.CannotDecode),
        ("media/ts/sample_with_sdt.ts", errors.CannotDecode),
        ("media/vp9/invalid-bitstream.webm", errors.CannotDecode),
    ],
)
def test_each_bad_file_has_its_own_error(videos, name, error):
    with pytest.raises(error, match=": "):
        read_video(videos / name, RECIPE, LIMITS)


def test_sound_with_a_cover_is_no_video(shared_data):
    with pytest.raises(errors.NoVideoStream):
        read_video(shared_data / "music/librosa/Kevin_MacLeod_-_Vibe_Ace.ogg", RECIPE, LIMITS)
    with pytest.raises(errors.NoVideoStream):
        read_video(shared_data / "music/kevin_macleod/fluffing_a_duck.mp3", RECIPE, LIMITS)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ({"max_bytes": 1000}, errors.VideoTooLarge),
        ({"max_side_px": 300}, errors.VideoTooLarge),
        ({"max_streams": 5}, errors.VideoTooLarge),
        ({"max_duration_s": 13.0}, errors.VideoTooLong),
    ],
)
def test_limits(videos, limits, error):
    path = videos / "torchcodec/nasa_13013.mp4"  # 6 streams, 480x270, 13.013 s
    with pytest.raises(error, match="allowed"):
        read_video(path, RECIPE, replace(LIMITS, **limits))


@pytest.mark.parametrize(
    ("name", "duration_s", "size_px", "frames", "codec"),
    [
        ("torchcodec/nasa_13013.mp4", 13.013, (480, 270), 390, "h264"),
        ("torchcodec/h265_10bits.mp4", 1.0, (200, 200), 30, "hevc"),
        ("torchcodec/av1_video.mkv", 5.0, (640, 360), 125, "av1"),
        ("media/vp9/bear-vp9-odd-dimensions.webm", 1.001, (161, 121), 30, "vp9"),
        ("media/3gp/bbb_176x144_128kbps_15fps_h263.3gp", 1.0, (176, 144), 15, "h263"),
        ("media/mp4/bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4", 4.0, (1137, 640), 120, "h264"),
        ("mmaction2/tests/data/test.avi", 6.56, (320, 240), 164, "mpeg4"),
        ("sample-videos/preview/classroom.gif", 2.99, (480, 270), 45, "gif"),
    ],
)
def test_what_is_known_of_a_file(videos, name, duration_s, size_px, frames, codec):
    streams = read_video(videos / name, RECIPE, LIMITS)
    info = streams.info
    assert info.duration_s == pytest.approx(duration_s, abs=0.01)
    assert (info.width_px, info.height_px) == size_px
    assert len(streams.motion) == frames
    assert info.codec == codec
    assert info.fps == pytest.approx(frames / duration_s, rel=0.05)
    assert max(streams.frames.shape[1:3]) == 160
    assert np.array_equal(
        streams.frames, read_video(videos / name, replace(RECIPE, motion=False), LIMITS).frames
    )


@pytest.mark.parametrize(("name", "turns"), [("video_0", 0), ("video_90", 1), ("video_180", 2)])
def test_phone_clips_are_turned_as_ffmpeg_says(videos, name, turns):
    path = videos / f"decord/{name}.mov"
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        assert first.rotation == -90 * turns
        upright = np.rot90(first.to_ndarray(format="rgb24"), -turns)
    streams = read_video(path, RECIPE, LIMITS)
    assert streams.info.rotation == 90 * turns
    assert (streams.info.height_px, streams.info.width_px) == upright.shape[:2]
    rows, columns = (np.linspace(0, s - 1, 9).astype(int) for s in streams.frames.shape[1:3])
    scale = upright.shape[0] / streams.frames.shape[1]
    near = upright[(rows * scale).astype(int)][:, (columns * scale).astype(int)].astype(int)
    assert np.corrcoef(near.ravel(), streams.frames[0][rows][:, columns].ravel())[0, 1] > 0.8


@pytest.mark.parametrize(
    "name", ["media/mp4/hdr10-av1.mp4", "media/mp4/hlg10-color-test.mp4", "media/mp4/dolbyVision-hdr.MOV"]
)
def test_hdr_becomes_a_picture_of_usual_contrast(videos, name):
    streams = read_video(videos / name, RECIPE, LIMITS)
    light = streams.frames.mean(axis=3)
    assert 60 < light.mean() < 210
    assert light.std() > 30
    grey = streams.motion[len(streams.motion) // 2].astype(float)
    assert np.abs(grey.mean() - light.mean()) < 25


def test_colour_chart_keeps_its_hues(videos):
    """Patches of the ColorChecker in the HLG test clip, by their place: which channel leads or trails."""
    chart = read_video(
        videos / "media/mp4/hlg10-color-test.mp4", replace(RECIPE, frame_side_px=300), LIMITS
    ).frames[0]
    places = {
        "blue": (97, 48),
        "green": (97, 87),
        "red": (97, 124),
        "yellow": (97, 163),
        "magenta": (99, 202),
    }
    colour = {name: chart[y - 4 : y + 4, x - 4 : x + 4].mean((0, 1)) for name, (y, x) in places.items()}
    assert colour["blue"].argmax() == 2
    assert colour["green"].argmax() == 1
    assert colour["red"].argmax() == 0
    assert colour["yellow"].argmin() == 2
    assert colour["magenta"].argmin() == 1


def test_truncated_file_is_used_with_a_warning(videos):
    streams = read_video(videos / "made/truncated_half.mkv", RECIPE, LIMITS)
    assert streams.warnings == ("truncated",)
    assert 0.5 <= streams.info.duration_s < 1.1
    assert len(streams.frames) == 4


def test_damage_in_between_is_passed_over(videos):
    streams = read_video(videos / "decord/corrupted.mp4", RECIPE, LIMITS)
    assert "damaged" in streams.warnings
    assert streams.info.duration_s > 4


def test_mp4_cut_anywhere_is_used_or_refused(clips, tmp_path):
    whole = clips.write(
        tmp_path / "whole.mp4", range(0, 3000, 40), options={"g": "10", "movflags": "faststart"}
    ).read_bytes()
    verdicts = []
    for length in np.linspace(1, len(whole) - 1, 24).astype(int):
        try:
            streams = read_video(whole[:length], RECIPE, LIMITS)
        except (errors.CannotDecode, errors.NotMedia, errors.NoVideoStream) as error:
            verdicts.append(type(error).__name__)
            continue
        assert streams.warnings == ("truncated",)
        assert streams.info.duration_s >= 0.5
        verdicts.append("used")
    assert set(verdicts[-3:]) == {"used"} or "CannotDecode" in verdicts


def test_every_clip_decodes_alike_in_full_and_in_part(videos):
    for path in sorted((videos / "synthetic_ads").glob("*.mp4"))[:3]:
        full, part = (read_video(path, replace(RECIPE, motion=motion), LIMITS) for motion in (True, False))
        assert np.array_equal(full.frames, part.frames)
        assert np.array_equal(full.frame_times_s, part.frame_times_s)


def test_a_part_of_an_old_x264_in_444_is_the_slice_of_the_whole(videos):
    """Its release stands in the first packet only; a decoder that does not know it gives garbage."""
    path = videos / "imageio-binaries" / "cockatoo.mp4"
    whole, part = (read_video(path, RECIPE, LIMITS, start_s=start_s) for start_s in (None, 7.5))
    rows = np.searchsorted(whole.motion_times_s, part.motion_times_s)
    assert np.array_equal(whole.motion_times_s[rows], part.motion_times_s)
    assert np.array_equal(whole.motion[rows], part.motion)
    assert whole.motion[rows].std(axis=(1, 2)).min() > 30  # a bird, not concealment
