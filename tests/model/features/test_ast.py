import pickle

import numpy as np
import pytest

from model.backbones.catalogue import AST
from model.errors import Mismatch, NotInstalled
from model.features import fbank
from model.features.ast import WINDOW, AstAudio, spectrograms, window_starts
from model.features.segments import is_functional, segment_inputs
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.grid import Grid
from model.media.audio import read_audio

RATE_HZ = 16_000
WIDTH = 768
DURATIONS_S = (0.0, 0.01, 0.3, 1.0, 5.0, 10.0, 10.239, 10.24, 10.2401, 12.0, 14.9, 15.0, 15.24, 15.2401, 20.0,
               20.3, 25.0, 29.97, 30.24, 33.3, 61.0, 95.24, 180.0, 183.337, 600.0)  # fmt: skip


def noise(seconds: float) -> np.ndarray:
    samples = np.random.default_rng(3).standard_normal(round(seconds * RATE_HZ))
    return (0.1 * samples + 0.02).astype(np.float32)


def windows(seconds: float) -> list[tuple[float, float]]:
    """Start and end of each, by the words of the brief."""
    length = round(seconds * RATE_HZ) / RATE_HZ
    if length <= 10.24:
        return [(0.0, length)]
    found, start = [], 0.0
    while start + 10.24 <= length + 1e-9:
        found.append((start, start + 10.24))
        start += 5.0
    if found[-1][1] < length - 1e-9:
        found.append((length - 10.24, length))
    return found


@pytest.mark.parametrize("seconds", DURATIONS_S)
def test_windows_lie_every_5_s_and_at_the_end(seconds):
    samples = round(seconds * RATE_HZ)
    starts = window_starts(samples)
    assert starts.tolist() == [round(start * RATE_HZ) for start, _ in windows(seconds)]
    assert len(starts) <= seconds / 5 + 1
    assert starts[-1] + WINDOW >= samples  # nothing is left out


@pytest.mark.parametrize("seconds", [s for s in DURATIONS_S if s < 100])
def test_the_network_runs_once_a_window_in_small_batches(projection, seconds):
    network = projection(WIDTH)
    sound = Sound(noise(seconds), RATE_HZ)
    found = AstAudio(network)(sound, Grid().segments(seconds))
    assert network.items == len(windows(seconds)) <= seconds / 5 + 1
    assert max(map(len, network.batches)) <= 8
    assert all(batch.shape[1:] == (1024, 128) and batch.dtype == np.float32 for batch in network.batches)
    assert found.values.shape == (network.items, WIDTH)
    assert found.values.dtype == np.float32
    assert found.times_s == pytest.approx([(start + end) / 2 for start, end in windows(seconds)], abs=1e-9)


@pytest.mark.parametrize("seconds", [s for s in DURATIONS_S if s > 0])
def test_every_segment_of_the_grid_gets_its_rows(seconds):
    samples = round(seconds * RATE_HZ)
    starts = window_starts(samples)
    values = np.arange(len(starts), dtype=np.float32)[:, None]
    times_s = (starts + np.minimum(starts + WINDOW, samples)) / 2 / RATE_HZ
    segments = Grid().segments(seconds)
    music = {"audio": Sequence(values, times_s)}
    for part, (start, end) in zip(segment_inputs(music, segments), segments, strict=True):
        rows = part["audio"]
        assert len(rows.values) >= (2 if seconds > 10.24 else 1)
        assert ((rows.times_s >= start) & (rows.times_s < end)).all()
    assert len(starts) == 1 or not is_functional(times_s, segments)


def test_a_row_is_the_vector_of_its_window_alone(projection):
    samples = noise(31.7)
    found = AstAudio(projection(WIDTH))(Sound(samples, RATE_HZ), np.zeros((0, 2)))
    network = projection(WIDTH)
    for row, (start, end) in zip(found.values, windows(31.7), strict=True):
        part = samples[round(start * RATE_HZ) : round(end * RATE_HZ)]
        assert np.array_equal(row, network(spectrograms(part[None]))[0])


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 401, 16_000, WINDOW - 1, WINDOW])
def test_the_spectrogram_is_padded_and_normalised_in_asts_order(samples):
    sound = noise(11)[:samples]
    found = spectrograms(sound[None])[0]
    assert found.shape == (1024, 128)
    assert found.dtype == np.float32
    frames = 0 if samples < 400 else 1 + (samples - 400) // 160
    assert frames <= 1022
    assert (found[frames:] == np.float32(4.2677393 / (2 * 4.5689974))).all()
    if frames:
        expected = (fbank.fbank(sound - sound.mean()).astype(np.float64) + 4.2677393) / (2 * 4.5689974)
        assert np.abs(found[:frames] - expected).max() < 1e-5


@pytest.mark.parametrize("seconds", [0.3, 5.0, 10.24])
def test_the_spectrogram_is_that_of_the_published_code(kaldi, seconds):
    """dataloader.py of YuanGongND/ast, in its words."""
    import torch

    waveform = torch.from_numpy(noise(seconds))[None]
    waveform = waveform - waveform.mean()
    made = kaldi.fbank(waveform, htk_compat=True, sample_frequency=RATE_HZ, use_energy=False,
                       window_type="hanning", num_mel_bins=128, dither=0.0, frame_shift=10)  # fmt: skip
    made = torch.nn.ZeroPad2d((0, 0, 0, 1024 - made.shape[0]))(made)
    made = (made - -4.2677393) / (4.5689974 * 2)
    assert np.abs(spectrograms(noise(seconds)[None])[0] - made.numpy()).max() <= 1e-3


def test_several_sounds_are_those_of_each():
    sounds = np.stack([noise(3), 0.2 * noise(3)[::-1], np.zeros(48_000, np.float32)])
    together = spectrograms(sounds)
    for sound, found in zip(sounds, together, strict=True):
        assert np.array_equal(spectrograms(sound[None])[0], found)
    assert spectrograms(np.zeros((0, 48_000), np.float32)).shape == (0, 1024, 128)


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero")  # of 31.25 Hz bins
def test_the_spectrogram_is_that_of_transformers(transformers, shared_data):
    path = shared_data / "music/kevin_macleod/fluffing_a_duck.mp3"
    sound = read_audio(path, RATE_HZ, start_s=10, duration_s=10.24)
    theirs = transformers.ASTFeatureExtractor()(sound - sound.mean(), RATE_HZ, return_tensors="np")
    assert np.abs(spectrograms(sound[None])[0] - theirs["input_values"][0]).max() <= 1e-3


def test_the_constants_are_the_catalogues():
    facts = AST.preprocessing
    assert facts["rate_hz"] == AstAudio.rate_hz == fbank.RATE_HZ
    assert facts["mel_bands"] == fbank.MEL_BANDS
    assert facts["frame_ms"] * RATE_HZ == fbank.WINDOW * 1000
    assert facts["shift_ms"] * RATE_HZ == fbank.SHIFT * 1000
    assert facts["frames"] * fbank.SHIFT == WINDOW
    assert facts["divide_by"] == 2


def test_what_is_not_finite_is_silent(projection):
    broken, silent = noise(12), noise(12)
    broken[100], broken[5000], broken[70_000] = np.nan, np.inf, -np.inf
    silent[[100, 5000, 70_000]] = 0
    network = projection(WIDTH)
    one, other = (AstAudio(network)(Sound(x, RATE_HZ), np.zeros((0, 2))) for x in (broken, silent))
    assert np.isfinite(one.values).all()
    assert np.array_equal(one.values, other.values)


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100])
def test_other_rates_and_stereo_are_refused(projection, rate_hz):
    extractor = AstAudio(projection(WIDTH))
    with pytest.raises(Mismatch, match=f"want 16000 Hz, got {rate_hz} Hz"):
        extractor(Sound(noise(2), rate_hz), Grid().segments(2.0))
    with pytest.raises(Mismatch, match="mono"):
        extractor(Sound(np.zeros((100, 2), np.float32), RATE_HZ), Grid().segments(2.0))


def test_without_a_network_it_is_described_but_cannot_be_called():
    extractor = AstAudio()
    assert (extractor.name, extractor.version) == ("ast", 1)
    assert len(set(extractor.features)) == WIDTH
    with pytest.raises(NotInstalled, match="yuyin models pull paper"):
        extractor(Sound(noise(2), RATE_HZ), Grid().segments(2.0))


def steps(sounds: np.ndarray) -> np.ndarray:
    """Another filter bank, whose frames are plain."""
    return np.repeat(np.arange(5, dtype=np.float32)[None, :, None], 128, axis=2).repeat(len(sounds), axis=0)


def test_another_filter_bank_makes_the_frames_and_stays_with_another_network(projection):
    heard, network = projection(WIDTH), projection(WIDTH)
    extractor = AstAudio(heard, "ab", steps).through(network)
    assert (extractor.network, extractor.weights) == (network, "ab")
    assert pickle.loads(pickle.dumps(extractor)).filter_bank is steps
    assert extractor(Sound(noise(31.7), RATE_HZ), np.zeros((0, 2))).values.shape == (6, WIDTH)
    assert not heard.items
    (batch,) = network.batches
    assert batch[:, :5, 7] == pytest.approx((np.tile(np.arange(5), (6, 1)) + 4.2677393) / 9.1379948)
    assert batch[:, 5:] == pytest.approx(4.2677393 / 9.1379948)


def test_it_travels_to_another_process(projection):
    there = pickle.loads(pickle.dumps(AstAudio(projection(WIDTH), "ab")))
    sound = Sound(noise(2), RATE_HZ)
    assert np.array_equal(
        there(sound, np.zeros((0, 2))).values, AstAudio(projection(WIDTH))(sound, np.zeros((0, 2))).values
    )
