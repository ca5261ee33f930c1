"""Against torchaudio where it is, what torchaudio 2.11 gave where it is not, and the definition.

`python tests/model/features/test_fbank.py` writes fbank_reference.npz with the torchaudio that is there.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.features.fbank import RATE_HZ, fbank
from model.media.audio import read_audio

REFERENCE = Path(__file__).with_name("fbank_reference.npz")
EVERY = 7  # frames of the reference that are kept
CLOSE = 5e-3  # float32's noise: 64-bit arithmetic is as far from torchaudio as we are
MUSIC = ("kevin_macleod/amazing_plan.m4a", "kevin_macleod/fluffing_a_duck.mp3",
         "kevin_macleod/spazzmatica_polka.mp3", "librosa/Karissa_Hobbs_-_Lets_Go_Fishin.ogg",
         "librosa/Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra).ogg")  # fmt: skip


def white(samples: int) -> np.ndarray:
    """(n,) in -1..1, by integer arithmetic: the same on every machine and for every numpy."""
    state = np.arange(1, samples + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (state >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def tones(samples: int) -> np.ndarray:
    """(n,) of chords with overtones, struck twice a second."""
    t = np.arange(samples) / RATE_HZ
    strike = np.exp(-5 * (t % 0.5))
    notes = (110.0, 138.6, 164.8, 220.0)
    voices = [np.sin(2 * np.pi * note * k * t) / k**1.5 for note in notes for k in range(1, 20)]
    return 0.1 * strike * np.sum(voices, axis=0)


def sounds(samples: int = 20_000) -> dict[str, np.ndarray]:
    t = np.arange(samples) / RATE_HZ
    found = {
        "music-like": tones(samples) + 0.003 * white(samples),
        "noise": 0.2 * white(samples),
        "loud": 4 * white(samples),
        "quiet": 1e-4 * white(samples),
        "silence": np.zeros(samples),
        "offset": np.full(samples, 0.5),
        "noise on an offset": 0.5 + 1e-3 * white(samples),
        "click": np.where(np.arange(samples) == samples // 2, 0.5, 0.0),
        "sine": 0.5 * np.sin(2 * np.pi * 440 * t),
    }
    return {name: x.astype(np.float32) for name, x in found.items()}


def theirs(kaldi: Any, samples: np.ndarray) -> np.ndarray:
    import torch

    made = kaldi.fbank(
        torch.from_numpy(samples)[None], htk_compat=True, sample_frequency=RATE_HZ, use_energy=False,
        window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10,
    )  # fmt: skip
    return made.numpy()


def defined(samples: np.ndarray) -> np.ndarray:
    """One frame and one band at a time, in 64 bits; the transform as the sum that it is."""
    turn = np.exp(-2j * np.pi * np.outer(np.arange(256), np.arange(400)) / 512)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 399)

    def mel(hz: float) -> float:
        return 1127.0 * float(np.log(1 + hz / 700))

    step = (mel(8000) - mel(20)) / 129
    rows = []
    for at in range(0, len(samples) - 399, 160):
        frame = samples[at : at + 400].astype(np.float64)
        frame = frame - frame.mean()
        frame = np.array([frame[i] - 0.97 * frame[max(0, i - 1)] for i in range(400)])
        power = np.abs(turn @ (frame * window)) ** 2
        row = []
        for band in range(128):
            left = mel(20) + band * step
            up = np.array([(mel(31.25 * k) - left) / step for k in range(256)])
            row.append(np.log(max(power @ np.maximum(0, np.minimum(up, 2 - up)), 2.0**-23)))
        rows.append(row)
    return np.array(rows).reshape(-1, 128)


@pytest.mark.parametrize("name", sounds())
def test_it_is_torchaudios(kaldi, name):
    sound = sounds(80_000)[name]
    found, expected = fbank(sound), theirs(kaldi, sound)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= CLOSE


@pytest.mark.parametrize("path", MUSIC)
def test_it_is_torchaudios_on_real_music(kaldi, shared_data, path):
    sound = read_audio(shared_data / "music" / path, RATE_HZ, start_s=5, duration_s=20)
    assert np.abs(fbank(sound) - theirs(kaldi, sound)).max() <= CLOSE


def test_a_bare_whistle_is_no_further_from_the_truth_than_torchaudios(kaldi, shared_data):
    """What is 100 dB below a pure tone is rounding, in theirs as in ours."""
    path = shared_data / "music/librosa/456440__inspectorj__bird-whistling-robin-single-13.ogg"
    sound = read_audio(path, RATE_HZ, duration_s=2)
    truth = defined(sound)
    assert np.abs(fbank(sound) - truth).max() <= max(CLOSE, 1.5 * np.abs(theirs(kaldi, sound) - truth).max())


@pytest.mark.parametrize("name", sounds())
def test_it_is_what_torchaudio_once_gave(name):
    with np.load(REFERENCE, allow_pickle=False) as reference:
        expected = reference[name]
    found = fbank(sounds()[name])[::EVERY]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= CLOSE


@pytest.mark.parametrize("name", ["music-like", "noise", "sine"])
def test_it_is_the_definition(name):
    sound = sounds(4000)[name]
    assert np.abs(fbank(sound) - defined(sound)).max() <= CLOSE


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 401, 559, 560, 561, 719, 720])
def test_only_whole_windows_count(kaldi, samples):
    sound = white(samples).astype(np.float32)
    found = fbank(sound)
    assert found.shape == (0 if samples < 400 else 1 + (samples - 400) // 160, 128)
    if samples >= 400:  # torchaudio refuses less
        assert np.abs(found - theirs(kaldi, sound)).max() <= CLOSE


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_less_than_a_window_has_no_frame(samples):
    assert fbank(np.ones(samples, np.float32)).shape == (0, 128)


def test_silence_is_the_floor():
    assert (fbank(np.zeros(1000, np.float32)) == np.log(np.finfo(np.float32).eps)).all()


def test_a_frame_does_not_depend_on_what_else_is_there():
    sound = tones(100_000).astype(np.float32)  # more than one block
    whole = fbank(sound)
    for frame in (0, 1, 511, 512, 600, len(whole) - 1):
        alone = fbank(sound[160 * frame : 160 * frame + 400])
        assert np.abs(alone[0] - whole[frame]).max() < 1e-4
    kept = sound.copy()
    fbank(sound)
    assert np.array_equal(sound, kept)


if __name__ == "__main__":
    from conftest import torchaudio_kaldi

    made = torchaudio_kaldi()
    np.savez_compressed(REFERENCE, **{name: theirs(made, x)[::EVERY] for name, x in sounds().items()})
