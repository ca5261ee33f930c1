"""Somebody talks, or not, alone and over music."""

import pickle

import numpy as np
import pytest

from model.errors import BadOptions
from model.features.sound import Sound
from model.features.spectrum import RATE_HZ
from model.features.voice import FluctuationVoice, SileroVoice, voice_detector
from model.media.audio import read_audio

STYLES = ("ambient", "folk", "house", "rock", "jazz", "trap")


@pytest.mark.parametrize("style", STYLES)
def test_a_voice_is_heard_over_music_and_music_is_none(sound, tracks, talk, over, style):
    detector = FluctuationVoice()
    assert detector(sound(tracks[style])).share < 0.1
    assert detector(sound(over(tracks[style], talk, 9))).share > 0.9


def test_talk_alone_is_a_voice_and_noise_and_silence_are_none(sound, talk):
    detector = FluctuationVoice()
    assert detector(sound(talk)).share > 0.95
    assert detector(sound(0.003 * talk)).share > 0.95
    noise = np.random.default_rng(2).normal(0, 0.05, 5 * RATE_HZ)
    for x in (noise, np.cumsum(noise) / 50, 0 * noise, noise[:1], noise[:0]):
        assert detector(sound(x)).share == 0


def test_it_tells_when(sound, tracks, talk, over):
    half = 8 * RATE_HZ
    x = np.concatenate([0.3 * tracks["folk"][:half], over(tracks["folk"][half:], talk, 9)])
    heard = FluctuationVoice()(sound(x)).at(np.arange(0.25, 16, 0.5)) >= 0.5
    assert not heard[:14].any()
    assert heard[18:].mean() > 0.9


def test_real_voices_are_heard_and_real_music_is_none(sound, shared_data):
    detector, librosa = FluctuationVoice(), shared_data / "music" / "librosa"
    for path in librosa.glob("[0-9]*-*-0000.ogg"):
        assert detector(sound(read_audio(path, RATE_HZ))).share > 0.95, path.name
    shares = [
        detector(sound(read_audio(path, RATE_HZ, start_s=5, duration_s=20))).share
        for path in sorted((shared_data / "music" / "kevin_macleod").iterdir())
    ]
    assert len(shares) == 5
    assert np.median(shares) < 0.05
    assert max(shares) < 0.5  # an accordion


@pytest.fixture(scope="module")
def silero(shared_data):
    path = shared_data / "weights" / "silero_vad.onnx"
    if not path.is_file():
        pytest.skip("no Silero VAD in ../shared/data/weights: the trained detector cannot be checked")
    return SileroVoice(path)


def test_the_network_hears_real_voices_alone_and_over_music(sound, shared_data, silero, over):
    music = read_audio(shared_data / "music" / "kevin_macleod" / "amazing_plan.m4a", RATE_HZ, duration_s=10)
    assert silero(sound(music)).share < 0.02
    for path in sorted((shared_data / "music" / "librosa").glob("[0-9]*-*-0000.ogg")):
        voice = read_audio(path, RATE_HZ, duration_s=10)
        assert silero(sound(voice)).share > 0.7, path.name
        assert silero(sound(over(music, voice, 6))).share > 0.6, path.name


def test_the_network_hears_the_same_at_its_own_rate_and_in_another_process(sound, shared_data, silero):
    path = next((shared_data / "music" / "librosa").glob("5703-*"))
    ours, own = silero(sound(read_audio(path, RATE_HZ))), silero(Sound(read_audio(path, 16_000), 16_000))
    n = min(len(ours.probability), len(own.probability))
    assert ours.hop_s == own.hop_s == pytest.approx(0.032)
    assert np.abs(ours.probability[:n] - own.probability[:n]).mean() < 0.02
    again = pickle.loads(pickle.dumps(silero))  # as worker processes get it
    np.testing.assert_array_equal(again(Sound(read_audio(path, 16_000), 16_000)).probability, own.probability)


@pytest.mark.parametrize("samples", [0, 1, 511, 513])
def test_the_network_takes_any_length(silero, samples):
    assert len(silero(Sound(np.zeros(samples, np.float32), 16_000)).probability) == -(-samples // 512)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(BadOptions, match=r"text\.onnx"):
        voice_detector(tmp_path / "text.onnx")
    with pytest.raises(BadOptions, match=r"gone\.onnx"):
        voice_detector(tmp_path / "gone.onnx")


def test_another_network_is_refused(tmp_path):
    import onnx
    from onnx import helper

    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(BadOptions, match="another network"):
        voice_detector(tmp_path / "other.onnx")


def test_without_a_file_the_signal_decides():
    assert isinstance(voice_detector(None), FluctuationVoice)
