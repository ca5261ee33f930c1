from fractions import Fraction

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame
from scipy.signal import resample_poly

from model import errors
from model.media.audio import read_audio
from model.media.encode import write_audio

RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000]


def tone(rate_hz, seconds, hz=440.0):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz).astype(np.float32) * 0.5


def noise(rate_hz, seconds, seed=0):
    """Band-limited to a quarter of the rate, so that every codec and resampler keeps it."""
    white = np.random.default_rng(seed).standard_normal(round(seconds * rate_hz / 4) + 1)
    return (resample_poly(white, 4, 1)[: round(seconds * rate_hz)] * 0.1).astype(np.float32)


def encode(path, samples, rate_hz, codec, *, sample_format="fltp", start=0, picture=False, layout="mono"):
    """Samples (c, n) by PyAV alone, beginning at sample `start` of the container's clock."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10) if picture else None
        stream = container.add_stream(codec, rate=rate_hz)
        stream.codec_context.layout, stream.codec_context.format = layout, sample_format
        if video is not None:
            video.width = video.height = 32
            for i in range(20):
                frame = VideoFrame.from_ndarray(np.full((32, 32, 3), 9 * i, np.uint8), "rgb24")
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        for at in range(0, samples.shape[1], 960):
            block = samples[:, at : at + 960]
            block = block if sample_format.endswith("p") else block.T.reshape(1, -1)
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), sample_format, layout)
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, start + at, Fraction(1, rate_hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def lag(heard, played):
    """By how many samples `heard` comes late, from the peak of their correlation."""
    n = min(len(heard), len(played))
    spectrum = np.fft.rfft(heard[:n], 2 * n) * np.conj(np.fft.rfft(played[:n], 2 * n))
    peak = int(np.argmax(np.fft.irfft(spectrum)))
    return peak if peak < n else peak - 2 * n


@pytest.mark.parametrize("to_hz", RATES)
@pytest.mark.parametrize("from_hz", [16_000, 44_100, 48_000])
def test_a_tone_keeps_pitch_length_and_phase(tmp_path, from_hz, to_hz):
    path = tmp_path / "tone.wav"
    write_audio(path, tone(from_hz, 1.234), from_hz, codec="wav")
    heard = read_audio(path, to_hz)
    assert heard.dtype == np.float32
    assert len(heard) == round(round(1.234 * from_hz) * to_hz / from_hz)
    inner = slice(to_hz // 50, -to_hz // 50)  # the ends ring: the tone begins and ends abruptly
    assert heard[inner] == pytest.approx(tone(to_hz, 1.3)[: len(heard)][inner], abs=1e-3)


@pytest.mark.parametrize("to_hz", [16_000, 22_050, 48_000])
def test_resampling_is_like_scipys(tmp_path, to_hz):
    path, played = tmp_path / "noise.wav", noise(44_100, 2.0)
    write_audio(path, played, 44_100, codec="wav")
    ratio = Fraction(to_hz, 44_100)
    oracle = resample_poly(played.astype(float), ratio.numerator, ratio.denominator)
    heard = read_audio(path, to_hz)
    cut = to_hz // 50
    error = heard[cut:-cut] - oracle[: len(heard)][cut:-cut]
    assert np.sqrt(np.mean(error**2)) < 0.01 * np.sqrt(np.mean(oracle**2)) * (4 if to_hz < 20_000 else 1)


@pytest.mark.parametrize(
    ("codec", "ending", "rate_hz"),
    [("flac", "flac", 44_100), ("aac", "m4a", 44_100), ("libmp3lame", "mp3", 44_100),
     ("libopus", "webm", 48_000), ("libopus", "ogg", 48_000), ("aac", "mkv", 44_100), ("ac3", "mp4", 48_000)],
)  # fmt: skip
def test_every_codec_is_heard_at_its_time(tmp_path, codec, ending, rate_hz):
    """Priming is gone: what was played at t is heard at t, to the sample (Matroska: to its millisecond)."""
    sample_format = {"flac": "s16", "libopus": "flt"}.get(codec, "fltp")
    played = noise(rate_hz, 3.0)
    samples = np.rint(played * 32767).astype(np.int16)[None] if sample_format == "s16" else played[None]
    heard = read_audio(
        encode(tmp_path / f"x.{ending}", samples, rate_hz, codec, sample_format=sample_format), rate_hz
    )
    slack = 48 if ending in ("mkv", "webm") else 0
    assert abs(lag(heard, played)) <= slack
    assert abs(len(heard) - len(played)) <= 2 * 1536


@pytest.mark.parametrize("ending", ["wav", "flac", "m4a", "mp3", "ogg", "webm"])
@pytest.mark.parametrize("to_hz", [16_000, 22_050])
def test_a_part_is_the_slice_of_the_whole(tmp_path, ending, to_hz):
    codec = {"wav": "pcm_s16le", "flac": "flac", "m4a": "aac", "mp3": "libmp3lame"}.get(ending, "libopus")
    rate_hz = 48_000 if codec == "libopus" else 44_100
    sample_format = {"pcm_s16le": "s16", "flac": "s16", "libopus": "flt"}.get(codec, "fltp")
    samples = noise(rate_hz, 6.0)[None]
    samples = np.rint(samples * 32767).astype(np.int16) if sample_format == "s16" else samples
    path = encode(tmp_path / f"x.{ending}", samples, rate_hz, codec, sample_format=sample_format)
    whole = read_audio(path, to_hz)
    for start_s, duration_s in ((0.0, 1.0), (2.345, 1.5), (4.9, 50.0), (0.3, None), (3.0, 0.0), (99.0, 1.0)):
        part = read_audio(path, to_hz, start_s=start_s, duration_s=duration_s)
        begin = round(start_s * to_hz)
        end = len(whole) if duration_s is None else round((start_s + duration_s) * to_hz)
        assert part.shape == whole[begin:end].shape, (start_s, duration_s)
        assert part == pytest.approx(whole[begin:end], abs=1e-4)


@pytest.mark.parametrize("start", [0, 4_410, 22_050])
def test_sound_that_begins_after_the_picture_is_led_in_by_silence(tmp_path, start):
    played = noise(44_100, 1.0)
    path = encode(
        tmp_path / "late.mkv",
        played[None],
        44_100,
        "pcm_f32le",
        sample_format="flt",
        start=start,
        picture=True,
    )
    heard = read_audio(path, 44_100)
    assert np.abs(heard[: max(0, start - 50)]).sum() == 0
    assert lag(heard[: start + 44_100], np.pad(played, (start, 0))) in range(
        -45, 46
    )  # Matroska's millisecond


def test_a_gap_is_silent_and_what_follows_keeps_its_time(tmp_path):
    path, played = tmp_path / "gap.mkv", noise(48_000, 3.0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=48_000)
        stream.codec_context.layout, stream.codec_context.format = "mono", "flt"
        for at in [*range(0, 48_000, 960), *range(96_000, 144_000, 960)]:
            frame = AudioFrame.from_ndarray(played[None, at : at + 960], "flt", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    heard = read_audio(path, 48_000)
    assert len(heard) == 144_000
    assert np.abs(heard[48_100:95_900]).max() == 0
    assert heard[96_100:] == pytest.approx(played[96_100:], abs=1e-6)


@pytest.mark.parametrize(
    ("codec", "sample_format", "dtype", "zero", "full"),
    [("pcm_u8", "u8", np.uint8, 128, 128), ("pcm_s16le", "s16", np.int16, 0, 2**15),
     ("pcm_s32le", "s32", np.int32, 0, 2**31),
     ("pcm_f32le", "flt", np.float32, 0, 1), ("pcm_f64le", "dbl", np.float64, 0, 1)],
)  # fmt: skip
def test_full_scale_of_every_sample_format(tmp_path, codec, sample_format, dtype, zero, full):
    wave = np.array([0.0, 0.5, -0.5, -1.0] * 100)
    path = encode(
        tmp_path / "x.wav",
        (wave * full + zero).astype(dtype)[None],
        8_000,
        codec,
        sample_format=sample_format,
    )
    assert read_audio(path, 8_000) == pytest.approx(wave, abs=1e-7)


def test_mono_is_the_mean_of_the_channels_and_stereo_stays(tmp_path):
    path, both = tmp_path / "two.flac", np.stack([tone(44_100, 0.5), noise(44_100, 0.5)], axis=1)
    write_audio(path, both, 44_100, codec="flac")
    stereo = read_audio(path, 44_100, mono=False)
    assert stereo == pytest.approx(both, abs=1e-6)
    assert read_audio(path, 44_100) == pytest.approx(both.mean(axis=1), abs=1e-6)
    assert read_audio(path, 22_050, mono=False).shape == (11_025, 2)
    assert read_audio(path.read_bytes(), 44_100, mono=False).tolist() == stereo.tolist()


def test_five_one_is_the_mean_too(tmp_path):
    six = np.stack([noise(48_000, 0.2, seed) for seed in range(6)])
    path = encode(tmp_path / "six.wav", six, 48_000, "pcm_f32le", sample_format="flt", layout="5.1")
    assert read_audio(path, 48_000) == pytest.approx(six.mean(axis=0), abs=1e-6)
    assert read_audio(path, 48_000, mono=False) == pytest.approx(six.T, abs=1e-6)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (b"", errors.EmptyBody),
        (b"no sound in here, only words", errors.NotMedia),
        (b"OggS" + bytes(40), errors.CannotDecode),
    ],
)
def test_errors(source, error):
    with pytest.raises(error):
        read_audio(source, 16_000)


def test_a_silent_film_has_no_audio_stream(clip):
    with pytest.raises(errors.NoAudioStream, match="no sound"):
        read_audio(clip, 16_000)


@pytest.mark.parametrize(
    "wrong", [{"rate_hz": 0}, {"rate_hz": 8_000, "start_s": -1}, {"rate_hz": 8_000, "duration_s": -1}]
)
def test_senseless_options(clip, wrong):
    with pytest.raises(errors.BadOptions):
        read_audio(clip, **wrong)


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("music/kevin_macleod/scheming_weasel.mp3", 3_933_184 / 44_100),
        ("music/kevin_macleod/amazing_plan.m4a", 3_841_024 / 44_100),
        ("music/kevin_macleod/hand_trolley.webm", 4_569_130 / 48_000),
        ("video/imageio-binaries/cockatoo.mp4", 222_383 / 16_000),
        ("video/media/mp4/silent-black-10s.mp4", 441_344 / 44_100),
    ],
)
def test_real_files_have_their_length(shared_data, name, seconds):
    """Sample counts as `av` decodes them, priming dropped."""
    assert len(read_audio(shared_data / name, 8_000)) == pytest.approx(seconds * 8_000, abs=100)
