import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import pytest

from model.errors import Mismatch, NotInstalled
from model.features.emobase import NAMES, Emobase
from model.features.sound import Sound
from model.grid import Grid
from model.media.audio import read_audio

RATE_HZ = 16_000
# Of openSMILE 2.6's own list, a name a line.
SHA256 = "a5e09e7aa67ba138f7c7c3efadcfa5bbd18be506f760aeabb94b4745b016481f"


def row(samples: np.ndarray) -> dict[str, float]:
    """The functionals of one segment that is the whole sound."""
    pytest.importorskip("opensmile")
    sound = Sound(np.asarray(samples, np.float32), RATE_HZ)
    found = Emobase()(sound, np.array([[0.0, sound.duration_s]]))
    return dict(zip(NAMES, found.values[0].tolist(), strict=True))


def sawtooth(hz: float, seconds: float = 2.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return 0.15 * np.sum([np.sin(2 * np.pi * hz * k * t) / k for k in range(1, int(7500 / hz))], axis=0)


def music(seconds: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    notes = rng.uniform(90, 480, int(2 * seconds) + 1)
    played = np.concatenate([sawtooth(hz, 0.5) for hz in notes])[: round(seconds * RATE_HZ)]
    return (played + 0.01 * rng.standard_normal(len(played))).astype(np.float32)


def test_there_are_988_names_in_opensmiles_order():
    assert len(NAMES) == len(set(NAMES)) == 988
    assert Emobase().features == NAMES
    assert sha256("\n".join(NAMES).encode()).hexdigest() == SHA256


def test_the_names_are_those_of_the_package():
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(opensmile.FeatureSet.emobase, opensmile.FeatureLevel.Functionals)
    assert list(NAMES) == smile.feature_names


def test_a_row_for_each_segment_is_what_opensmile_says_of_it():
    opensmile = pytest.importorskip("opensmile")
    samples = music(21.3)
    segments = np.concatenate([Grid().segments(21.3), [[2.5, 4.0], [3.21, 3.9]]])
    found = Emobase()(Sound(samples, RATE_HZ), segments)
    assert found.values.dtype == np.float32
    assert found.times_s.tolist() == segments.mean(axis=1).tolist()
    smile = opensmile.Smile(opensmile.FeatureSet.emobase, opensmile.FeatureLevel.Functionals)
    for values, (start, end) in zip(found.values, segments, strict=True):
        part = samples[round(start * RATE_HZ) : round(end * RATE_HZ)]
        table = smile.process_signal(part, RATE_HZ)
        assert np.array_equal(values, table[list(NAMES)].to_numpy(np.float32)[0])


@pytest.mark.parametrize("hz", [80, 100, 220, 330, 440, 480])
def test_the_pitch_of_a_tone_is_its_pitch(hz):
    found = row(sawtooth(hz))
    lag = round(RATE_HZ / hz)
    assert RATE_HZ / (lag + 1) < found["F0_sma_quartile2"] < RATE_HZ / (lag - 1)
    assert found["pcm_zcr_sma_amean"] == pytest.approx(2 * hz / RATE_HZ, abs=0.003)


def test_levels_count():
    quiet, loud = row(0.3 * music(3)), row(0.6 * music(3))
    for name in ("amean", "max", "quartile2"):
        assert loud[f"pcm_intensity_sma_{name}"] == pytest.approx(
            4 * quiet[f"pcm_intensity_sma_{name}"], 0.01
        )
    assert loud["pcm_loudness_sma_amean"] == pytest.approx(4**0.3 * quiet["pcm_loudness_sma_amean"], 0.01)
    assert loud["F0_sma_quartile2"] == pytest.approx(quiet["F0_sma_quartile2"], 0.01)


def test_what_is_louder_than_full_scale_is_clipped_and_never_wraps():
    loud = 12 * sawtooth(220)
    assert np.abs(loud).max() > 1
    assert row(loud) == row(np.clip(loud, -1, 1)) == row(np.clip(loud, -1, 32767 / 32768))
    assert row(np.full(8000, 1.0))["pcm_intensity_sma_max"] == pytest.approx(
        row(np.full(8000, 0.999))["pcm_intensity_sma_max"], rel=0.01
    )


@pytest.mark.parametrize("samples", [0, 1, 400, 639])
def test_a_segment_too_short_to_say_anything_is_not_a_number(samples):
    assert np.isnan(list(row(music(1)[:samples]).values())).all()


@pytest.mark.parametrize("samples", [640, 641, 1000, 16_000])
def test_what_is_long_enough_is_finite(samples):
    assert np.isfinite(list(row(music(1)[:samples]).values())).all()
    assert np.isfinite(list(row(np.zeros(samples)).values())).all()


def test_no_segments_and_segments_beyond_the_end():
    pytest.importorskip("opensmile")
    sound = Sound(music(2), RATE_HZ)
    assert Emobase()(sound, np.zeros((0, 2))).values.shape == (0, 988)
    within, beyond, behind = Emobase()(sound, np.array([[0.5, 2.0], [0.5, 9.0], [7.0, 9.0]])).values
    assert np.array_equal(within, beyond)
    assert np.isnan(behind).all()


def test_what_is_not_finite_is_silent():
    broken, silent = music(2), music(2)
    broken[[100, 5000]] = np.nan, np.inf
    silent[[100, 5000]] = 0
    assert row(broken) == row(silent)


def test_the_same_sound_gives_the_same_bits_in_every_thread():
    pytest.importorskip("opensmile")
    extractor = pickle.loads(pickle.dumps(Emobase()))
    sounds = [Sound(music(4, seed), RATE_HZ) for seed in range(4)]
    segments = np.array([[0.0, 4.0], [1.0, 3.0]])
    alone = [extractor(sound, segments).values for sound in sounds]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda sound: extractor(sound, segments).values, sounds * 3))
    for i, values in enumerate(together):
        assert np.array_equal(values, alone[i % 4])


def test_real_music_lies_in_the_range_of_music_videos(shared_data):
    """openSMILE by other hands, on one-second windows of other music (MuVi, Chua et al. 2022)."""
    pytest.importorskip("opensmile")
    with np.load(shared_data / "features/muvi_emobase_shared.npz") as reference:
        lengths = reference["window_len"]
        seen = np.concatenate([rows[:n] for rows, n in zip(reference["windows"], lengths, strict=True)])
    path = shared_data / "music/kevin_macleod/scheming_weasel.mp3"
    sound = Sound(read_audio(path, RATE_HZ, start_s=20, duration_s=20), RATE_HZ)
    seconds = np.arange(20.0)
    found = Emobase()(sound, np.stack([seconds, seconds + 1], axis=1)).values
    low, high = np.quantile(seen, [0.005, 0.995], axis=0)
    inside = ((found >= low) & (found <= high)).mean()
    assert inside > 0.85
    shuffled = np.random.default_rng(0).permutation(988)  # columns in another order would be far outside
    assert ((found[:, shuffled] >= low) & (found[:, shuffled] <= high)).mean() < inside - 0.2


def test_without_the_package_it_is_described_and_says_what_it_costs(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    extractor = Emobase()
    assert (extractor.name, extractor.version, extractor.rate_hz) == ("opensmile-emobase", 1, RATE_HZ)
    with pytest.raises(
        NotInstalled, match=r"pip install 'yuyin\[emobase\]'.*commercial use needs audEERING's licence"
    ):
        extractor(Sound(music(1), RATE_HZ), np.array([[0.0, 1.0]]))


def test_another_set_of_columns_is_refused(monkeypatch):
    opensmile = pytest.importorskip("opensmile")
    monkeypatch.setattr(opensmile, "FeatureSet", SimpleNamespace(emobase=opensmile.FeatureSet.eGeMAPSv02))
    with pytest.raises(Mismatch, match=r"opensmile>=2\.6,<3"):
        Emobase()(Sound(music(1), RATE_HZ), np.array([[0.0, 1.0]]))


def test_other_rates_and_stereo_are_refused():
    pytest.importorskip("opensmile")
    with pytest.raises(Mismatch, match="want 16000 Hz, got 22050 Hz"):
        Emobase()(Sound(music(1), 22_050), np.array([[0.0, 1.0]]))
    with pytest.raises(Mismatch, match="mono"):
        Emobase()(Sound(np.zeros((100, 2), np.float32), RATE_HZ), np.array([[0.0, 1.0]]))
