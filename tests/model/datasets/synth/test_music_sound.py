"""The arithmetic of sound against naive sums, SciPy's own responses and invariants."""

import numpy as np
import pytest
from scipy import signal

from model.datasets.synth.drums import BUS_OF, Kit, KitTone
from model.datasets.synth.factors import Character
from model.datasets.synth.instruments import Tone, hz_of, render_note
from model.datasets.synth.mastering import finish, limit, tone
from model.datasets.synth.mixing import Mix, Strip, duck_gain, loudness_db
from model.datasets.synth.partials import close_end, sum_of_partials
from model.datasets.synth.patches import PATCHES

RATE_HZ = 22_050
PLAIN = Character(0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("n", [1, 2, 257, 5000, 60_000])
@pytest.mark.parametrize("k", [0, 1, 37])
def test_partials_sum_as_defined(n: int, k: int) -> None:
    rng = np.random.default_rng(k)
    f, a, d, phase = (
        rng.uniform(40, 9000, k),
        rng.uniform(0, 1, k),
        rng.uniform(0, 30, k),
        rng.uniform(0, 6, k),
    )
    t = np.arange(n) / RATE_HZ
    slow = sum(
        (a[i] * np.exp(-d[i] * t) * np.sin(2 * np.pi * f[i] * t + phase[i]) for i in range(k)), np.zeros(n)
    )
    np.testing.assert_allclose(sum_of_partials(f, a, d, phase, n, RATE_HZ), slow, atol=2e-4)


@pytest.mark.parametrize("name", list(PATCHES))
def test_notes_have_the_pitch_that_was_asked_for(name: str) -> None:
    pitch = 40 if "bass" in name or name == "low_strings" else 64
    note = render_note(PATCHES[name], pitch, 1.0, 0.7, Tone(), RATE_HZ)
    assert np.isfinite(note).all()
    assert 0.1 < np.abs(note).max() < 4
    assert note[0] == pytest.approx(0, abs=1e-3)
    assert note[-1] == pytest.approx(0, abs=1e-6)
    f0 = hz_of(pitch)
    power = np.abs(np.fft.rfft(note, 8 * RATE_HZ)) ** 2
    f = np.arange(len(power)) / 8
    near = (f > 0.97 * f0) & (f < 1.03 * f0)
    assert f[near][power[near].argmax()] == pytest.approx(
        f0, rel=0.0085
    )  # within 15 cents: unisons are detuned
    assert power[near].sum() > 10 * power[(f > 1.08 * f0) & (f < 1.85 * f0)].sum()


def test_louder_notes_are_brighter() -> None:
    def centroid(velocity: float) -> float:
        power = np.abs(np.fft.rfft(render_note(PATCHES["piano"], 60, 0.5, velocity, Tone(), RATE_HZ))) ** 2
        return float((power * np.arange(len(power))).sum() / power.sum())

    assert centroid(0.9) > 1.1 * centroid(0.3)


@pytest.mark.parametrize("voice", list(BUS_OF))
def test_drum_shots_peak_at_one_and_end_in_silence(voice: str) -> None:
    for kit_tone in (KitTone(), KitTone(1.0, 1.0, 1.0, 40.0), KitTone(-1.0, -1.0, -1.0, 70.0)):
        shot = Kit(kit_tone, RATE_HZ).shot(voice)
        assert shot.dtype == np.float32
        assert np.abs(shot).max() == pytest.approx(1, abs=1e-4)
        quiet = shot[:64] if voice == "swell" else shot[-64:]
        assert np.abs(quiet).max() < 0.05


@pytest.mark.parametrize("shape", [(0,), (1,), (31,), (50_001,), (7777, 2)])
def test_limiter_never_exceeds_its_ceiling(shape: tuple[int, ...]) -> None:
    samples = (np.random.default_rng(1).standard_normal(shape) ** 3).astype(np.float32)
    limited = limit(samples, 0.5)
    assert limited.shape == shape
    assert not limited.size or np.abs(limited).max() <= 0.5 + 1e-6
    gentle = samples * np.float32(1e-3)
    np.testing.assert_array_equal(limit(gentle, 0.5), gentle)


def test_limiter_turns_channels_down_together() -> None:
    samples = np.random.default_rng(2).standard_normal((4000, 2)).astype(np.float32)
    limited = limit(samples, 0.5)
    np.testing.assert_allclose(limited[:, 0] * samples[:, 1], limited[:, 1] * samples[:, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("bright", "bass", "hz", "gain_db"), [(1, 0, 9000, 4), (-1, 0, 9000, -4), (0, 1, 45, 3), (0, 0, 500, 0)]
)
def test_shelves_have_the_gain_they_promise(bright: float, bass: float, hz: float, gain_db: float) -> None:
    t = np.arange(RATE_HZ) / RATE_HZ
    sine = np.sin(2 * np.pi * hz * t).astype(np.float32)
    character = Character(0, bright, 0, 0, bass, 0)
    made, plain = tone(sine, character, RATE_HZ), tone(sine, PLAIN, RATE_HZ)
    steady = slice(RATE_HZ // 2, None)
    assert 20 * np.log10(made[steady].std() / plain[steady].std()) == pytest.approx(gain_db, abs=0.6)


def test_loudness_of_a_loud_passage_ignores_the_rests() -> None:
    burst = np.random.default_rng(0).standard_normal(RATE_HZ * 4).astype(np.float32)
    rests = np.concatenate([burst, np.zeros(RATE_HZ * 12, np.float32)])
    assert loudness_db(rests, RATE_HZ) == pytest.approx(loudness_db(burst, RATE_HZ), abs=1)
    assert loudness_db(2 * burst, RATE_HZ) - loudness_db(burst, RATE_HZ) == pytest.approx(6.02, abs=0.01)
    assert loudness_db(np.zeros(10, np.float32), RATE_HZ) == -120


def test_ducking_dips_at_each_kick_and_recovers() -> None:
    gain = duck_gain([0.1, 0.9], 0.6, 0.3, RATE_HZ, RATE_HZ)
    at = [gain[int(s * RATE_HZ)] for s in (0.05, 0.1, 0.25, 0.45, 0.9)]
    assert at == pytest.approx([1, 0.4, 0.7, 1, 0.4], abs=0.01)


def test_middle_of_a_stereo_mix_is_the_mono_mix() -> None:
    bus = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    strip = Strip(0, pan=0.3, width=0.5, room=0.3, echo=0.2)
    mixes = []
    for stereo in (False, True):
        mix = Mix.empty(len(bus), RATE_HZ, PLAIN, 0.3, stereo=stereo)
        mix.add(bus, strip)
        mixes.append(mix.finish())
    np.testing.assert_array_equal(mixes[0][0], mixes[1][0])
    assert len(mixes[0]) == 1
    low = signal.butter(4, 100, fs=RATE_HZ, output="sos")
    middle, side = (signal.sosfilt(low, channel) for channel in mixes[1])
    assert side.std() < 0.5 * middle.std()  # the bass stays in the middle but for the pan


@pytest.mark.parametrize("hz", [300.0, 1234.5, 5000.0])
def test_width_leaves_left_and_right_equally_loud(hz: float) -> None:
    bus = np.sin(2 * np.pi * hz / RATE_HZ * np.arange(RATE_HZ)).astype(np.float32)
    mix = Mix.empty(len(bus), RATE_HZ, PLAIN, 0.3, stereo=True)
    mix.add(bus, Strip(0, width=0.5))
    middle, side = mix.finish()
    assert side.std() > 0.02
    assert (middle + side).std() == pytest.approx((middle - side).std(), rel=0.01)


@pytest.mark.parametrize("n", [0, 1, 100])
def test_too_short_to_measure_is_left_alone(n: int) -> None:
    assert finish(np.zeros(n, np.float32), RATE_HZ, warmth=0.5, ring_s=0.0).shape == (n,)
    assert len(close_end(np.ones(n, np.float32), 10)) == n
