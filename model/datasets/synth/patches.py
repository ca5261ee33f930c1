"""The instruments as numbers: a few properties each of a string, a bar, a reed or an oscillator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patch:
    """What an instrument is; frequencies in Hz, times in s, decays in nepers per s."""

    partials: int = 16
    rolloff: float = 1.2  # amplitude of partial k ~ k ** -rolloff
    even: float = 1.0  # gain of the even partials: 0 is a clarinet or a square wave
    pluck: float = 0.0  # where the string is plucked, 0..0.5; 0: it is not
    stretch: float = 0.0  # inharmonicity B
    extra: tuple[tuple[float, float, float], ...] = ()  # (ratio, gain, decay): tines, bars, bells
    decay: float = 0.0  # of the fundamental at A3; higher notes decay faster
    damping: float = 0.3  # how much faster each next partial decays
    sustain: float = 0.0  # share of the sound that does not decay while held
    attack_s: float = 0.005
    release_s: float = 0.15
    voices: int = 1
    detune_cents: float = 0.0
    vibrato_cents: float = 0.0
    noise: float = 0.0  # hammer, pick, bow or breath
    noise_decay: float = 60.0
    cutoff_hz: float = 8_000.0  # second-order low-pass on the partials


# fmt: off
PATCHES: dict[str, Patch] = {
    "piano": Patch(22, 1.35, pluck=0.12, stretch=0.0004, decay=1.5, damping=0.22, release_s=0.25,
        voices=2, detune_cents=1.2, noise=0.02, noise_decay=90, cutoff_hz=5000),
    "soft_piano": Patch(14, 1.6, pluck=0.12, stretch=0.0004, decay=1.3, damping=0.35, attack_s=0.012,
        release_s=0.4, voices=2, detune_cents=1.5, cutoff_hz=2800),
    "electric_piano": Patch(8, 1.6, extra=((7.0, 0.1, 14.0), (14.0, 0.03, 25.0)), decay=1.1,
        damping=0.5, sustain=0.12, attack_s=0.006, release_s=0.22, voices=2, detune_cents=3,
        cutoff_hz=3200),
    "nylon_guitar": Patch(18, 1.15, pluck=0.22, decay=2.0, damping=0.45, release_s=0.2, noise=0.03,
        noise_decay=150, cutoff_hz=3600),
    "steel_guitar": Patch(24, 0.95, pluck=0.16, stretch=6e-05, decay=1.5, damping=0.26, release_s=0.22,
        noise=0.04, noise_decay=180, cutoff_hz=6000),
    "muted_guitar": Patch(16, 1.05, pluck=0.14, decay=9.0, release_s=0.05, noise=0.05, noise_decay=160,
        cutoff_hz=4200),
    "clean_guitar": Patch(18, 1.05, pluck=0.18, decay=2.4, damping=0.24, sustain=0.05, release_s=0.08,
        voices=2, detune_cents=4, noise=0.04, noise_decay=170, cutoff_hz=4600),
    "drive_guitar": Patch(14, 0.9, pluck=0.2, decay=0.7, damping=0.1, sustain=0.45, release_s=0.07,
        voices=2, detune_cents=5, noise=0.03, noise_decay=120, cutoff_hz=3000),
    "harp": Patch(14, 1.5, pluck=0.3, decay=1.6, damping=0.5, release_s=0.5, cutoff_hz=4500),
    "pizzicato": Patch(12, 1.2, pluck=0.2, decay=7.5, damping=0.4, release_s=0.1, noise=0.03,
        noise_decay=120, cutoff_hz=3000),
    "strings": Patch(20, 1.05, sustain=1.0, attack_s=0.14, release_s=0.45, voices=3, detune_cents=9,
        noise=0.006, noise_decay=2, cutoff_hz=4200),
    "spiccato": Patch(18, 1.1, decay=6.0, damping=0.12, sustain=0.12, attack_s=0.018, release_s=0.12,
        voices=3, detune_cents=8, noise=0.03, cutoff_hz=3200),
    "horns": Patch(14, 1.25, decay=2.0, damping=0.5, sustain=0.85, attack_s=0.06, release_s=0.25,
        voices=2, detune_cents=6, cutoff_hz=1900),
    "brass_stab": Patch(18, 0.95, decay=4.0, damping=0.25, sustain=0.4, attack_s=0.022, release_s=0.09,
        voices=2, detune_cents=7, cutoff_hz=3400),
    "warm_pad": Patch(16, 1.3, sustain=1.0, attack_s=0.45, release_s=0.9, voices=3, detune_cents=8,
        cutoff_hz=2300),
    "saw_pad": Patch(22, 1.05, decay=0.9, damping=0.5, sustain=0.65, attack_s=0.2, release_s=0.6,
        voices=3, detune_cents=11, cutoff_hz=3000),
    "choir_pad": Patch(12, 1.2, even=0.6, sustain=1.0, attack_s=0.5, release_s=1.0, voices=3,
        detune_cents=7, noise=0.008, noise_decay=1, cutoff_hz=2000),
    "glass_pad": Patch(8, 1.3, extra=((4.0, 0.15, 1.2), (6.0, 0.05, 2.0)), decay=0.8, sustain=0.8,
        attack_s=0.3, release_s=1.0, voices=2, detune_cents=6, cutoff_hz=4000),
    "organ": Patch(8, 0.9, even=0.9, sustain=1.0, attack_s=0.008, release_s=0.06, voices=2,
        detune_cents=3, cutoff_hz=2600),
    "house_stab": Patch(20, 1.0, decay=4.5, sustain=0.15, attack_s=0.004, release_s=0.1, voices=3,
        detune_cents=10, cutoff_hz=4000),
    "saw_lead": Patch(24, 1.0, decay=2.0, sustain=0.6, attack_s=0.012, release_s=0.16, voices=3,
        detune_cents=9, vibrato_cents=9, cutoff_hz=4800),
    "square_lead": Patch(20, 1.1, even=0.08, decay=1.5, damping=0.2, sustain=0.6, attack_s=0.01,
        release_s=0.14, voices=2, detune_cents=6, vibrato_cents=10, cutoff_hz=3800),
    "saw_pluck": Patch(22, 1.0, decay=6.0, damping=0.35, sustain=0.05, attack_s=0.003, release_s=0.12,
        voices=2, detune_cents=8, cutoff_hz=5000),
    "soft_pluck": Patch(10, 1.5, even=0.5, decay=5.0, damping=0.4, attack_s=0.004, release_s=0.2,
        voices=2, detune_cents=5, cutoff_hz=3200),
    "flute": Patch(7, 1.7, even=0.7, decay=3.0, sustain=0.95, attack_s=0.055, release_s=0.12,
        vibrato_cents=12, noise=0.02, noise_decay=3, cutoff_hz=3000),
    "whistle": Patch(3, 2.2, sustain=1.0, attack_s=0.05, release_s=0.1, vibrato_cents=14, noise=0.012,
        noise_decay=3, cutoff_hz=4000),
    "sax": Patch(14, 1.0, even=0.85, decay=3.0, damping=0.4, sustain=0.8, attack_s=0.035, release_s=0.1,
        vibrato_cents=13, noise=0.02, noise_decay=5, cutoff_hz=2400),
    "trumpet": Patch(16, 0.85, decay=4.0, sustain=0.85, attack_s=0.03, release_s=0.09, vibrato_cents=8,
        cutoff_hz=3200),
    "violin": Patch(20, 1.0, sustain=1.0, attack_s=0.08, release_s=0.2, voices=2, detune_cents=5,
        vibrato_cents=14, noise=0.008, noise_decay=4, cutoff_hz=3600),
    "vibes": Patch(1, 1.2, extra=((4.0, 0.28, 7.0), (10.0, 0.05, 22.0)), decay=1.3, release_s=0.35,
        noise=0.006, noise_decay=200, cutoff_hz=7000),
    "marimba": Patch(1, 1.2, extra=((4.0, 0.22, 22.0), (10.0, 0.06, 45.0)), decay=5.0, release_s=0.2,
        noise=0.02, noise_decay=200),
    "bells": Patch(4, 1.3, extra=((5.4, 0.1, 6.0), (8.0, 0.08, 8.0)), decay=2.0, damping=0.5,
        release_s=0.6, cutoff_hz=7000),
    "finger_bass": Patch(10, 1.35, pluck=0.25, decay=1.4, damping=0.6, sustain=0.15, attack_s=0.006,
        release_s=0.07, noise=0.02, noise_decay=120, cutoff_hz=1300),
    "upright_bass": Patch(12, 1.25, pluck=0.3, decay=2.6, damping=0.6, attack_s=0.012, release_s=0.1,
        noise=0.03, noise_decay=90, cutoff_hz=1200),
    "slap_bass": Patch(16, 1.0, pluck=0.15, decay=3.0, sustain=0.1, attack_s=0.003, release_s=0.05,
        noise=0.06, noise_decay=140, cutoff_hz=2600),
    "pick_bass": Patch(14, 1.05, pluck=0.18, decay=1.4, damping=0.4, sustain=0.25, attack_s=0.004,
        release_s=0.06, noise=0.03, noise_decay=120, cutoff_hz=1800),
    "synth_bass": Patch(14, 1.05, decay=5.0, sustain=0.45, attack_s=0.004, release_s=0.05, voices=2,
        detune_cents=4, cutoff_hz=1500),
    "sub_bass": Patch(5, 1.9, even=0.6, decay=1.5, sustain=0.8, attack_s=0.008, release_s=0.08,
        cutoff_hz=700),
    "bass_808": Patch(5, 1.8, decay=0.9, damping=0.8, sustain=0.1, attack_s=0.004, release_s=0.2,
        cutoff_hz=700),
    "low_strings": Patch(16, 1.15, sustain=1.0, attack_s=0.09, release_s=0.35, voices=3, detune_cents=6,
        noise=0.008, noise_decay=3, cutoff_hz=1500),
}
# fmt: on
