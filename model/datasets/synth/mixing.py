"""Buses of one track in, a middle and a side channel out: levels, ducking, drive, echo, room.

Left is middle + side, right is middle - side; so, before mastering, mono is the middle of stereo.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from model.datasets.synth.factors import Character
from model.datasets.synth.partials import Samples, white_noise

LEVEL_BLOCK = 4096
LEVEL_BLOCKS = 160  # enough for +-0.5 dB on the parts of a song, a tenth of the price of all of it
SIDE_LOW_HZ = 220.0  # below this everything stays in the middle
CABINET_HZ = 3600.0
ROOM_WIDTH = 0.7  # side over middle of the reverb: at 1, wet music would cancel in mono


@dataclass(frozen=True, slots=True)
class Strip:
    """How one bus sits in the mix."""

    level_db: float  # loudness of its loud passages before the master
    pan: float = 0.0  # -1 left .. 1 right
    width: float = 0.0  # share that is spread to the sides
    room: float = 0.0  # into the reverb
    echo: float = 0.0  # into the dotted-eighth delay
    duck: float = 0.0  # how far a kick pushes it down, times the style's own ducking


DESK: dict[str, Strip] = {
    "kick": Strip(-4.0, room=0.02),
    "snare": Strip(-4.5, width=0.10, room=0.20),
    "cymbals": Strip(-12.5, pan=0.15, width=0.40, room=0.10),
    "hands": Strip(-13.0, pan=-0.20, width=0.30, room=0.16),
    "bass": Strip(-6.0, duck=0.8),
    "chords": Strip(-7.0, pan=-0.07, width=0.45, room=0.26, duck=0.7),
    "pad": Strip(-12.0, width=0.60, room=0.42, duck=1.0),
    "arp": Strip(-11.5, pan=0.14, width=0.45, room=0.28, echo=0.22, duck=0.5),
    "lead": Strip(-5.5, pan=0.03, width=0.18, room=0.30, echo=0.20, duck=0.2),
}
DUCKING = {"house": 0.65, "synthwave": 0.4, "trap": 0.35, "pop": 0.25}  # by style, and
DUCKING_OF_SYNTHS = 0.25  # more where the genre is electronic
DRIVEN = {"drive_guitar": 3.2, "bass_808": 1.6, "slap_bass": 1.2, "organ": 1.3, "synth_bass": 1.4}


def loudness_db(samples: Samples, rate_hz: int) -> float:
    """Loudness of the loud passages of a bus, in dB with roughly the K-weighting of ITU-R BS.1770.

    The mean over blocks within 12 dB of the loudest, so that a part that rests most of the time is balanced
    by what is heard when it plays; -120 for silence.
    """
    if len(samples) < LEVEL_BLOCK:
        samples = np.pad(samples, (0, LEVEL_BLOCK - len(samples)))
    starts = np.linspace(0, len(samples) - LEVEL_BLOCK, LEVEL_BLOCKS).astype(int)
    blocks = np.stack([samples[s : s + LEVEL_BLOCK] for s in starts])
    f = fft.rfftfreq(LEVEL_BLOCK, 1 / rate_hz)
    weight = (f / 38) ** 4 / (1 + (f / 38) ** 4) * (1 + 1.5 / (1 + (1500 / np.maximum(f, 1)) ** 4))
    spectra = np.abs(fft.rfft(blocks, axis=1)) ** 2
    power = 2 * (spectra @ weight.astype(np.float32)) / LEVEL_BLOCK**2
    loud = power[power > power.max() / 16]
    return float(10 * np.log10(loud.mean())) if len(loud) else -120.0


def duck_gain(kicks_s: Iterable[float], depth: float, recover_s: float, n: int, rate_hz: int) -> Samples:
    """(n,) gain that dips by `depth` at each kick and recovers as a raised cosine in `recover_s`."""
    gain = np.ones(n, np.float32)
    length = int(recover_s * rate_hz)
    dip = (1 - depth * (0.5 + 0.5 * np.cos(np.linspace(0, np.pi, length)))).astype(np.float32)
    for kick_s in kicks_s:
        start = int(kick_s * rate_hz)
        window = gain[start : start + length]
        np.minimum(window, dip[: len(window)], out=window)
    return gain


def drive(samples: Samples, amount: float, rate_hz: int) -> Samples:
    """Soft clipping relative to the bus's own level, then a cabinet's low-pass: overtones without fizz."""
    level = np.sqrt(np.mean(samples[np.abs(samples) > 1e-4] ** 2)) if np.any(np.abs(samples) > 1e-4) else 1.0
    shaped: Samples = np.tanh(samples * np.float32(amount / (2 * level)))
    if amount < 2:
        return shaped
    cabinet = signal.butter(2, CABINET_HZ, fs=rate_hz, output="sos")
    return np.asarray(signal.sosfilt(cabinet.astype(np.float32), shaped), np.float32)


def room_response(rate_hz: int, decay_s: float, seed: int) -> Samples:
    """Impulse response of a room: noise whose treble dies twice as fast as its bass; unit energy."""
    n = int((0.02 + 1.1 * decay_s) * rate_hz)
    t = np.arange(n, dtype=np.float32) / np.float32(rate_hz)
    noise = white_noise(n, seed)
    dark = np.asarray(signal.lfilter([0.25], [1, -0.75], noise), np.float32)
    tail = dark * np.exp(t * np.float32(-6.9 / decay_s))
    tail += 0.3 * (noise - dark) * np.exp(t * np.float32(-15 / decay_s))
    tail *= np.minimum(1, t / np.float32(0.012 + 0.01 * decay_s))  # a soft onset: no slap
    low_cut = signal.butter(2, 180, "highpass", fs=rate_hz, output="sos")
    tail = np.asarray(signal.sosfilt(low_cut, tail), np.float32)
    return np.asarray(tail / np.sqrt(np.sum(tail**2)), np.float32)


def spread_response(rate_hz: int) -> Samples:
    """A short burst of noise without bass: it makes a signal's likeness that is out of phase with it.

    It is odd about its middle, so the likeness has no correlation at all with the signal (the autocorrelation
    of any signal is even): what it adds to the left in loudness it also adds to the right.
    """
    n = int(0.008 * rate_hz)
    half = white_noise(n, 31) * np.exp(-np.linspace(0, 5, n, dtype=np.float32))
    low_cut = signal.butter(2, SIDE_LOW_HZ, "highpass", fs=rate_hz, output="sos")
    burst = signal.sosfiltfilt(
        low_cut, np.concatenate([-half[::-1], np.zeros(1, np.float32), half]), padlen=0
    )
    burst = burst - burst[::-1]
    return np.asarray(burst / np.sqrt(np.sum(burst**2)), np.float32)


def _convolve(samples: Samples, response: Samples, *, centred: bool = False) -> Samples:
    skip = len(response) // 2 if centred else 0
    return np.asarray(signal.oaconvolve(samples, response)[skip : skip + len(samples)], np.float32)


def _echo(target: Samples, samples: Samples, delay: int, gain: float, *, flip: bool) -> None:
    """Add three fading repeats, in place; `flip` alternates their sign (sides)."""
    for k in (1, 2, 3):
        if k * delay < len(samples):
            g = gain * 0.45 ** (k - 1) * (-1 if flip and k % 2 else 1)
            target[k * delay :] += np.float32(g) * samples[: len(samples) - k * delay]


@dataclass(slots=True)
class Mix:
    """Sums buses into a middle and, where stereo is wanted, a side."""

    n: int
    rate_hz: int
    stereo: bool
    character: Character
    echo_s: float
    middle: Samples
    side: Samples
    spread: Samples
    room: Samples

    @classmethod
    def empty(cls, n: int, rate_hz: int, character: Character, echo_s: float, *, stereo: bool) -> "Mix":
        """Silence of n samples."""
        silence = [np.zeros(n if stereo or k in (0, 3) else 0, np.float32) for k in range(4)]
        return cls(n, rate_hz, stereo, character, echo_s, *silence)

    def add(self, bus: Samples, strip: Strip) -> None:
        """Send one bus, already at its level, to the dry sum, the room, the echo and the sides."""
        wet = strip.room * 2 ** (1.3 * self.character.space)
        echo = strip.echo * 2 ** (1.2 * self.character.space)
        delay = int(self.echo_s * self.rate_hz)
        self.middle += bus
        if wet:
            self.room += np.float32(wet) * bus
        if strip.echo:
            _echo(self.middle, bus, delay, echo, flip=False)
        if not self.stereo:
            return
        self.side -= np.float32(0.7 * strip.pan) * bus
        if strip.width:
            self.spread += np.float32(strip.width * 2 ** (0.4 * self.character.space)) * bus
        if strip.echo:
            _echo(self.side, bus, delay, 0.8 * echo, flip=True)

    def finish(self) -> list[Samples]:
        """The middle with its room, and the side if stereo."""
        decay_s = 1.5 * 2 ** (1.1 * self.character.space)
        self.middle += _convolve(self.room, room_response(self.rate_hz, decay_s, 21))
        if not self.stereo:
            return [self.middle]
        self.side += np.float32(ROOM_WIDTH) * _convolve(self.room, room_response(self.rate_hz, decay_s, 22))
        self.side += _convolve(self.spread, spread_response(self.rate_hz), centred=True)
        return [self.middle, self.side]


def ducking_of(style: str, character: Character) -> float:
    """How far a kick pushes the other buses down, 0..1."""
    return DUCKING.get(style, 0.0) + DUCKING_OF_SYNTHS * max(0.0, character.electronic)


def strip_of(
    role: str, character: Character, liveliness: float, style_levels_db: Mapping[str, float]
) -> Strip:
    """The desk's strip for a bus, moved by the style, the track's character and its liveliness."""
    drums = 2.5 * liveliness + 3.0 * character.percussive
    moves_db = {
        "kick": drums,
        "snare": drums,
        "cymbals": drums + 2.0 * character.bright,
        "hands": drums + 2.0 * character.bright + 3.0 * character.groove,
        "bass": 3.0 * character.bass,
        "arp": 3.5 * character.electronic,
        "pad": 3.5 * character.electronic - 2.0 * character.groove - 2.5 * liveliness,
    }
    move_db = moves_db.get(role, 0.0) + style_levels_db.get(role, 0.0)
    return replace(DESK[role], level_db=DESK[role].level_db + move_db)


def as_stereo(channels: list[Samples]) -> NDArray[np.float32]:
    """Middle and side as (n, 2) left and right; a lone middle as (n,)."""
    if len(channels) == 1:
        return channels[0]
    middle, side = channels
    return np.stack([middle + side, middle - side], axis=1)
