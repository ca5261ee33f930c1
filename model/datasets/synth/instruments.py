"""A patch, a pitch, a length and a velocity in, one note's samples out: the pitched instruments.

All are additive: harmonics with a roll-off, each with its own decay, so that a note darkens as it rings,
and brightness follows velocity. Sources of the shapes: struck and plucked strings (Fletcher & Rossing, The
Physics of Musical Instruments, 2nd ed., sections 2.8, 12.3), stretched piano partials
f_k = k f sqrt(1 + B k^2) (Fletcher 1964), marimba bars tuned 1 : 4 : 10 (same book, section 19.2).
"""

from dataclasses import dataclass

import numpy as np

from model.datasets.synth.partials import Numbers, Samples, close_end, sum_of_partials, white_noise
from model.datasets.synth.patches import Patch

A4_HZ = 440.0
HIGHEST_HZ = 12_000.0  # partials above this only cost time: they are masked by cymbals


@dataclass(frozen=True, slots=True)
class Tone:
    """How a track bends all its patches; every number is about -1..1."""

    bright: float = 0.0
    electronic: float = 0.0  # more unison detune, weaker even partials, longer sustain
    punch: float = 0.0  # shorter attacks and more noise in them


def hz_of(pitch: float) -> float:
    """Frequency of a MIDI pitch in equal temperament."""
    return float(A4_HZ * 2 ** ((pitch - 69) / 12))


def _spectrum(patch: Patch, f0_hz: float, velocity: float, tone: Tone, rate_hz: int) -> tuple[Numbers, ...]:
    """Frequencies, amplitudes and decays of one string: three (k,) arrays."""
    k = np.arange(1, patch.partials + 1, dtype=np.float64)
    frequencies = f0_hz * k * np.sqrt((1 + patch.stretch * k**2) / (1 + patch.stretch))
    amplitudes = k ** -(patch.rolloff - 0.3 * tone.bright - 0.5 * (velocity - 0.7))
    amplitudes[1::2] *= patch.even * (1 - 0.5 * max(-0.3, tone.electronic))
    if patch.pluck:
        amplitudes *= np.abs(np.sin(np.pi * k * patch.pluck)) / np.sin(np.pi * patch.pluck)
    decays = patch.decay * (f0_hz / 220) ** 0.4 * (1 + patch.damping * (k - 1))
    if patch.extra:
        ratio, gain, decay = np.array(patch.extra, np.float64).T
        frequencies = np.append(frequencies, f0_hz * ratio)
        amplitudes = np.append(amplitudes, gain * velocity * 1.3)
        decays = np.append(decays, decay)
    cutoff_hz = patch.cutoff_hz * 2 ** (0.8 * tone.bright + 0.8 * (velocity - 0.7))
    amplitudes = amplitudes / np.sqrt(1 + (frequencies / cutoff_hz) ** 4)
    heard = frequencies < min(0.45 * rate_hz, HIGHEST_HZ)
    return frequencies[heard], amplitudes[heard], decays[heard]


def _strings(patch: Patch, spectrum: tuple[Numbers, ...], tone: Tone) -> tuple[Numbers, ...]:
    """The unison strings and, for each, the decaying and the held share: four (k,) arrays with phases."""
    frequencies, amplitudes, decays = spectrum
    cents = patch.detune_cents * (1 + 0.7 * tone.electronic)
    spread = np.linspace(-1, 1, patch.voices) if patch.voices > 1 else np.zeros(1)
    bend = np.repeat(2 ** (spread * cents / 1200), len(frequencies))
    phases = np.random.default_rng(len(frequencies)).uniform(0, 2 * np.pi, len(bend)) * (patch.voices > 1)
    frequencies = np.tile(frequencies, patch.voices) * bend
    amplitudes = np.tile(amplitudes, patch.voices) / np.sqrt(patch.voices)
    decays = np.tile(decays, patch.voices)
    held = float(np.clip(patch.sustain * (1 + 0.25 * tone.electronic), 0.0, 1.0))
    if held in (0.0, 1.0):
        return frequencies, amplitudes, decays * (1 - held), phases
    return (
        np.tile(frequencies, 2),
        np.concatenate([amplitudes * (1 - held), amplitudes * held]),
        np.concatenate([decays, decays * 0.02]),
        np.tile(phases, 2),
    )


def _vibrato(samples: Samples, cents: float, rate_hz: int) -> Samples:
    """Read the note along a gently waving clock, 5.3 Hz, setting in after a third of a second."""
    t = np.arange(len(samples), dtype=np.float64)
    turn = 2 * np.pi * 5.3 / rate_hz
    depth = (2 ** (cents / 1200) - 1) / turn * np.clip(t / (0.35 * rate_hz) - 0.6, 0, 1)
    return np.asarray(np.interp(t + depth * (np.sin(turn * t) - 1), t, samples), np.float32)


def render_note(
    patch: Patch, pitch: float, length_s: float, velocity: float, tone: Tone, rate_hz: int
) -> Samples:
    """One note of peak about `velocity`-independent 1: loudness is given when it is added to its bus.

    Args:
        patch: the instrument.
        pitch: MIDI.
        length_s: from key down to key up; the release comes after it.
        velocity: 0..1; here it sets the timbre only.
        tone: the track's own bend of all patches.
        rate_hz: of the result.

    Returns:
        (n,) float32 with its release, ending in zero.
    """
    n = max(64, int((length_s + patch.release_s) * rate_hz))
    spectrum = _spectrum(patch, hz_of(pitch), velocity, tone, rate_hz)
    frequencies, amplitudes, decays, phases = _strings(patch, spectrum, tone)
    note = sum_of_partials(frequencies, amplitudes, decays, phases, n, rate_hz)
    note /= np.float32(np.sqrt(np.sum(spectrum[1] ** 2)) * 1.6)
    if patch.vibrato_cents:
        note = _vibrato(note, patch.vibrato_cents, rate_hz)
    if patch.noise:
        t = np.arange(n, dtype=np.float32) / np.float32(rate_hz)
        breath = white_noise(2 * rate_hz, 11)[: 2 * rate_hz]
        breath = np.resize(breath, n) * np.exp(t * np.float32(-patch.noise_decay))
        note += breath * np.float32(patch.noise * (1 + 0.5 * tone.punch) * (0.4 + velocity))
    rise = min(n, max(8, int(patch.attack_s * rate_hz * 2 ** (-0.7 * tone.punch))))
    note[:rise] *= (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, rise))).astype(np.float32)
    fall = n - min(n, int(length_s * rate_hz))
    note[n - fall :] *= np.exp(np.linspace(0, -5, fall, dtype=np.float32))
    return close_end(note, max(8, fall // 3))
