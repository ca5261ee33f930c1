"""The tone of a kit in, one-shot samples of every drum out: kick, snare, hats, cymbals, toms, hand drums."""

from dataclasses import dataclass

import numpy as np

from model.datasets.synth.partials import Samples, band, hit_envelope, sum_of_partials, white_noise

BUS_OF: dict[str, str] = {  # which bus of the desk each voice is played into
    "kick": "kick", "taiko": "kick",
    "snare": "snare", "clap": "snare", "rim": "snare", "snap": "snare", "brush": "snare",
    "tom_hi": "snare", "tom_mid": "snare", "tom_lo": "snare",
    "hat": "cymbals", "open": "cymbals", "ride": "cymbals", "crash": "cymbals", "swell": "cymbals",
    "shaker": "hands", "tamb": "hands", "conga_hi": "hands", "conga_lo": "hands", "cowbell": "hands",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KitTone:
    """How a kit sounds; numbers about -1..1 but the tuning."""

    bright: float = 0.0
    electronic: float = 0.0
    length: float = 0.0  # longer decays
    tune_hz: float = 50.0  # where the kick settles: the track's tonic


class Kit:
    """Draws the one-shots of a kit at one rate; each voice is a method, `shot` picks by name."""

    def __init__(self, tone: KitTone, rate_hz: int) -> None:
        self.tone = tone
        self.rate_hz = rate_hz
        self._stretch = 2 ** (0.5 * tone.length)

    def shot(self, voice: str) -> Samples:
        """(n,) float32 of peak 1."""
        match voice:
            case "kick" | "taiko":
                sound = self._kick(voice == "taiko")
            case "snare" | "brush" | "clap" | "snap":
                sound = self._noisy(voice)
            case "hat" | "open" | "shaker" | "tamb":
                sound = self._hat(voice)
            case "ride" | "crash" | "swell":
                sound = self._cymbal(voice)
            case _:
                sound = self._skin(voice)
        return sound / np.float32(np.max(np.abs(sound)) + 1e-9)

    def _noise(self, length_s: float, seed: int) -> Samples:
        return white_noise(4 * self.rate_hz, seed)[: int(length_s * self.rate_hz)]

    def _sweep(self, length_s: float, from_hz: float, to_hz: float, fall_s: float, decay_s: float) -> Samples:
        """A sine that falls from one pitch to another: phase is the integral of the frequency."""
        n = int(length_s * self.rate_hz)
        t = np.arange(n, dtype=np.float64) / self.rate_hz
        cycles = to_hz * t + (from_hz - to_hz) * fall_s * (1 - np.exp(-t / fall_s))
        wave: Samples = np.sin(2 * np.pi * cycles).astype(np.float32)
        return wave * hit_envelope(n, self.rate_hz, 0.001, decay_s)

    def _kick(self, taiko: bool) -> Samples:
        tone, length_s = self.tone, (1.1 if taiko else 0.42 + 0.12 * self.tone.electronic) * self._stretch
        low_hz = tone.tune_hz * (1.25 if taiko else 1.0)
        if taiko:
            body = self._sweep(length_s, 1.6 * low_hz, low_hz, 0.05, length_s * 0.95)
            body += 0.4 * self._sweep(length_s, 3.2 * low_hz, 1.6 * low_hz, 0.03, 0.3)
        else:
            body = self._sweep(length_s, low_hz * (4.0 + tone.electronic), low_hz, 0.022, length_s * 0.95)
        click = band(self._noise(0.05, 1), self.rate_hz, 900, 3500 * 2**tone.bright)
        click = click * hit_envelope(len(click), self.rate_hz, 0.0005, 0.02)
        body[: len(click)] += np.float32(0.22 * 2 ** (0.8 * tone.bright)) * click
        return np.asarray(np.tanh(body * np.float32(1.4)), np.float32)

    def _noisy(self, voice: str) -> Samples:
        tone = self.tone
        low_hz, high_hz, decay_s, body = {
            "snare": (900, 7000, 0.24, 0.75),
            "brush": (1800, 6000, 0.20, 0.05),
            "clap": (900, 4200, 0.26, 0.0),
            "snap": (1400, 4500, 0.12, 0.0),
        }[voice]
        decay_s *= self._stretch
        noise = band(
            self._noise(decay_s * 1.2, 2),
            self.rate_hz,
            low_hz * 2 ** (0.4 * tone.bright),
            high_hz * 2 ** (0.6 * tone.bright),
        )
        n = len(noise)
        envelope = hit_envelope(n, self.rate_hz, 0.03 if voice == "brush" else 0.001, decay_s)
        if voice in ("clap", "snap"):  # several hands, none quite together
            for late_s in (0.011, 0.023) if voice == "clap" else (0.006,):
                late = int(late_s * self.rate_hz)
                envelope[late:] = np.maximum(
                    envelope[late:] * 0.6, hit_envelope(n - late, self.rate_hz, 0.001, decay_s)
                )
                envelope[:late] *= hit_envelope(late, self.rate_hz, 0.0005, 0.03) if late else 1
        sound = noise * envelope * np.float32(0.8)
        if body:
            shell = self._sweep(0.2, 260, 4 * tone.tune_hz, 0.02, 0.14)[:n]
            sound[: len(shell)] += np.float32(body * (1 - 0.3 * tone.electronic)) * shell
        return sound

    def _hat(self, voice: str) -> Samples:
        low_hz, high_hz, attack_s, decay_s = {
            "hat": (6500.0, 14000.0, 0.0008, 0.07),
            "open": (6000.0, 13000.0, 0.001, 0.38),
            "shaker": (4500.0, 9500.0, 0.016, 0.10),
            "tamb": (6500.0, 12000.0, 0.002, 0.20),
        }[voice]
        decay_s *= self._stretch
        low_hz = min(low_hz * 2 ** (0.3 * self.tone.bright), 0.36 * self.rate_hz)
        noise = band(
            self._noise(decay_s * 1.15, 3), self.rate_hz, low_hz, high_hz * 2 ** (0.4 * self.tone.bright)
        )
        n = len(noise)
        if voice != "shaker":
            noise = noise / np.float32(np.std(noise)) + np.float32(
                0.5 + 0.4 * self.tone.electronic
            ) * self._metal(n, 5)
        return noise * hit_envelope(n, self.rate_hz, attack_s, decay_s)

    def _metal(self, n: int, seed: int) -> Samples:
        """A dense cluster of inharmonic partials, unit variance."""
        rng = np.random.default_rng(seed)
        f = np.exp(rng.uniform(np.log(3200), np.log(min(10_000, 0.46 * self.rate_hz)), 28))
        cluster = sum_of_partials(
            f, np.ones(28), rng.uniform(0, 4, 28), rng.uniform(0, 6.28, 28), n, self.rate_hz
        )
        return cluster / np.float32(np.std(cluster) + 1e-9)

    def _cymbal(self, voice: str) -> Samples:
        low_hz, attack_s, decay_s, metal = {
            "ride": (5000, 0.001, 0.9, 1.2),
            "crash": (3500, 0.002, 2.0, 0.5),
            "swell": (3500, 0.002, 2.2, 0.5),
        }[voice]
        noise = band(self._noise(decay_s, 4), self.rate_hz, low_hz * 2 ** (0.3 * self.tone.bright), 12_000)
        n = len(noise)
        sound = noise / np.float32(np.std(noise)) + np.float32(metal) * self._metal(n, 6)
        sound = sound * hit_envelope(n, self.rate_hz, attack_s, decay_s)
        if voice == "ride":
            ping = hit_envelope(n, self.rate_hz, 0.0005, 0.09)
            sound = sound * (np.float32(0.35) + ping)
        return sound[::-1] if voice == "swell" else sound

    def _skin(self, voice: str) -> Samples:
        """Toms, congas and wood: a short pitch fall, a tap of noise."""
        base = self.tone.tune_hz
        pitch_hz, fall, decay_s, tap = {
            "tom_hi": (4.0 * base, 1.35, 0.35, 0.15),
            "tom_mid": (3.0 * base, 1.35, 0.42, 0.15),
            "tom_lo": (2.0 * base, 1.35, 0.55, 0.15),
            "conga_hi": (6.0 * base, 1.12, 0.20, 0.20),
            "conga_lo": (4.0 * base, 1.12, 0.28, 0.12),
            "rim": (36.0 * base, 1.05, 0.05, 0.30),
            "cowbell": (12.0 * base, 1.0, 0.22, 0.05),
        }[voice]
        decay_s *= self._stretch
        sound = self._sweep(decay_s * 1.1, pitch_hz * fall, pitch_hz, 0.03, decay_s)
        if voice == "cowbell":
            sound += 0.6 * self._sweep(decay_s * 1.1, pitch_hz * 1.5, pitch_hz * 1.5, 0.03, decay_s)
        noise = band(self._noise(0.04, 7), self.rate_hz, 800, 5000 * 2**self.tone.bright)
        n = min(len(noise), len(sound))
        sound[:n] += np.float32(tap) * noise[:n] * hit_envelope(n, self.rate_hz, 0.0005, 0.03)
        return sound
