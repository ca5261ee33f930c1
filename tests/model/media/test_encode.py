import av
import numpy as np
import pytest

from model.media.audio import read_audio
from model.media.encode import VideoWriter, write_audio
from model.media.streams import VideoLimits, VideoRecipe
from model.media.video import read_video


def chord(rate_hz, seconds, channels):
    time_s = np.arange(round(rate_hz * seconds)) / rate_hz
    voices = [0.4 * np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 331.0)]
    return (
        np.stack(voices[:channels], axis=1).astype(np.float32)
        if channels == 2
        else voices[0].astype(np.float32)
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("codec", ["flac", "wav"])
def test_lossless_to_24_bits(tmp_path, codec, channels):
    samples = chord(44_100, 0.3, channels)
    path = tmp_path / f"x.{codec}"
    write_audio(path, samples, 44_100, codec=codec)
    assert read_audio(path, 44_100, mono=channels == 1) == pytest.approx(samples, abs=2**-22)


@pytest.mark.parametrize("codec", ["flac", "wav", "aac"])
@pytest.mark.parametrize("count", [1, 2, 1023, 1025])
def test_sizes_that_fit_no_block(tmp_path, codec, count):
    write_audio(tmp_path / "x", chord(44_100, 1, 1)[:count], 44_100, codec=codec)
    heard = read_audio(tmp_path / "x", 44_100)
    assert len(heard) >= count
    assert len(heard) <= (count if codec != "aac" else count + 1024)


def test_what_lies_beyond_full_scale_is_clipped(tmp_path):
    write_audio(tmp_path / "x.flac", np.array([2.0, -3.0, 0.5] * 50, np.float32), 8_000, codec="flac")
    assert read_audio(tmp_path / "x.flac", 8_000)[:3] == pytest.approx([1, -1, 0.5], abs=1e-6)


def test_aac_plays_while_it_loads_and_keeps_its_time(tmp_path):
    samples = chord(44_100, 2.0, 2)
    write_audio(tmp_path / "x.m4a", samples, 44_100, codec="aac", bit_rate=160_000)
    data = (tmp_path / "x.m4a").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    assert 10_000 < len(data) < 60_000
    with av.open(str(tmp_path / "x.m4a")) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.streams.audio[0].profile == "LC"
    heard = read_audio(tmp_path / "x.m4a", 44_100, mono=False)
    assert heard[4096:80_000] == pytest.approx(samples[4096:80_000], abs=0.05)


@pytest.mark.parametrize("codec", ["aac", "flac", "wav"])
def test_the_same_samples_give_the_same_bytes(tmp_path, codec):
    for name in ("one", "two"):
        write_audio(tmp_path / name, chord(44_100, 0.5, 2), 44_100, codec=codec)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_wrong_shapes_leave_nothing_behind(tmp_path):
    with pytest.raises(ValueError, match="samples"):
        write_audio(tmp_path / "x.flac", np.zeros((10, 3), np.float32), 44_100, codec="flac")
    assert list(tmp_path.iterdir()) == []


def film(path, clips, frames=30, **options):
    with VideoWriter(path, 128, 72, 25, **options) as video:
        for i in range(frames):
            video.write(clips.picture(i))
    return path


@pytest.mark.parametrize("frames", [1, 2, 30])
def test_pictures_come_back_in_order_at_their_times(clips, tmp_path, frames):
    path = film(tmp_path / "film.mp4", clips, frames)
    streams = read_video(path, VideoRecipe(), VideoLimits())
    assert clips.numbers(streams.motion) == list(range(frames))
    assert streams.motion_times_s == pytest.approx(np.arange(frames) / 25)
    assert streams.info.codec == "h264"
    with av.open(str(path)) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p"
        assert not container.streams.audio
    assert path.read_bytes().index(b"moov") < path.read_bytes().index(b"mdat")


def test_colours_come_back(tmp_path):
    colours = [(200, 30, 40), (20, 180, 60), (30, 40, 220), (255, 255, 255), (0, 0, 0)]
    with VideoWriter(tmp_path / "c.mp4", 64, 64, 5, crf=10) as video:
        for colour in colours:
            video.write(np.full((64, 64, 3), colour, np.uint8))
    recipe = VideoRecipe(frames_per_s=5, keyframe_within_s=0.0)
    frames = read_video(tmp_path / "c.mp4", recipe, VideoLimits()).frames
    assert np.abs(frames.astype(int).mean((1, 2)) - colours).max() < 5


@pytest.mark.parametrize("channels", [1, 2])
def test_sound_beside_the_picture(clips, tmp_path, channels):
    sound = chord(44_100, 1.2, channels)
    path = film(tmp_path / "film.mp4", clips, sound=sound, sound_rate_hz=44_100)
    heard = read_audio(path, 44_100, mono=channels == 1)
    assert len(heard) == pytest.approx(len(sound), abs=1024)
    assert heard[4096:40_000] == pytest.approx(sound[4096:40_000], abs=0.05)


def test_the_same_film_gives_the_same_bytes(clips, tmp_path):
    one, two = (
        film(tmp_path / name, clips, sound=chord(44_100, 1, 1)).read_bytes() for name in ("one", "two")
    )
    assert one == two


def test_a_film_that_fails_does_not_appear(clips, tmp_path):
    def fail():
        with VideoWriter(tmp_path / "x.mp4", 128, 72, 25) as video:
            video.write(clips.picture(0))
            video.write(np.zeros((10, 10, 3), np.uint8))

    with pytest.raises(ValueError, match="picture"):
        fail()
    with pytest.raises(ValueError, match="even"):
        VideoWriter(tmp_path / "x.mp4", 127, 72, 25)
    assert list(tmp_path.iterdir()) == []
