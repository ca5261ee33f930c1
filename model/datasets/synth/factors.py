"""A row of track latents in, the factors that a track is composed and rendered from out."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from model.datasets.synth.repertoire import style_of
from model.datasets.synth.styles import Genre

if TYPE_CHECKING:
    from model.datasets.synth.world import TrackLatents

TEMPO_CENTRE_BPM = 110.0
LOWEST_BPM, HIGHEST_BPM = 66.0, 180.0
SHORTEST_S, LONGEST_S = 45.0, 120.0
TAIL_S = 3.2  # what the last chord needs at least to ring out
COMPOSITION, MIX = 0, 1  # streams of a track's seed


def fold_tempo(tempo_bpm: float, low_bpm: float, high_bpm: float) -> float:
    """Move a tempo by octaves into [low, high), which must span an octave or more."""
    while tempo_bpm < low_bpm:
        tempo_bpm *= 2
    while tempo_bpm >= high_bpm:
        tempo_bpm /= 2
    return tempo_bpm


def whole_phrases_s(wanted_s: float, tempo_bpm: float) -> float:
    """The length near `wanted_s`, in 45..120 s, that holds whole four-bar phrases and a last chord."""
    phrase_s = 16 * 60 / tempo_bpm
    phrases = max(1, round((wanted_s - TAIL_S) / phrase_s))
    while phrases * phrase_s + TAIL_S > LONGEST_S:
        phrases -= 1
    while phrases * phrase_s + TAIL_S < SHORTEST_S:
        phrases += 1
    return float(min(LONGEST_S, phrases * phrase_s + TAIL_S + 0.6))


@dataclass(frozen=True, slots=True)
class Character:
    """The six genre numbers squashed to -1..1, named by what each does to the sound."""

    electronic: float
    bright: float
    space: float
    percussive: float
    bass: float
    groove: float


@dataclass(frozen=True, slots=True)
class TrackFactors:
    """Everything that a rendered track depends on; equal factors give equal samples."""

    style: str
    tempo_bpm: float
    key: int  # pitch class of the tonic, 0 = C
    mode: str  # "major" or "minor"
    valence: float  # about unit variance
    arousal: float  # about unit variance
    genre: Genre  # along styles.AXES, about unit variance
    duration_s: float
    seed: int
    vocals: bool = False

    @property
    def character(self) -> Character:
        """What the genre vector does to any style's sound, smoothly."""
        return Character(*(float(np.tanh(x / 1.5)) for x in self.genre))

    @property
    def lift(self) -> float:
        """Valence squashed to -1..1: how high, how bright, how plain the chords."""
        return float(np.tanh(self.valence / 1.2))

    @property
    def liveliness(self) -> float:
        """Arousal squashed to -1..1: how densely, how hard, how loud the drums."""
        return float(np.tanh(self.arousal / 1.2))

    @classmethod
    def from_latents(cls, tracks: "TrackLatents", i: int, seed: int) -> Self:
        """The factors of track `i`.

        The genre vector names the style and shades its sound; valence leans towards major (a logistic choice,
        so the modes mix near zero); tempo is 110 bpm moved by `log2_tempo` octaves, folded into [66, 180).

        Args:
            tracks: the latents, struct of arrays.
            i: the row.
            seed: of the dataset; key, mode, length and melody follow from (seed, i).
        """
        rng = np.random.default_rng(np.random.SeedSequence([seed, i]))
        first, second, third, fourth, fifth, sixth = (float(x) for x in tracks.genre[i])
        genre: Genre = (first, second, third, fourth, fifth, sixth)
        valence, arousal = float(tracks.valence[i]), float(tracks.arousal[i])
        tempo_bpm = fold_tempo(TEMPO_CENTRE_BPM * 2 ** float(tracks.log2_tempo[i]), LOWEST_BPM, HIGHEST_BPM)
        wanted_s = SHORTEST_S * (LONGEST_S / SHORTEST_S) ** rng.random()
        return cls(
            style=style_of(genre).name,
            tempo_bpm=tempo_bpm,
            key=int(rng.integers(12)),
            mode="major" if valence + 0.28 * rng.logistic() > 0 else "minor",
            valence=valence,
            arousal=arousal,
            genre=genre,
            duration_s=whole_phrases_s(wanted_s, tempo_bpm),
            seed=int(rng.integers(2**31)),
        )

    def as_dict(self) -> dict[str, Any]:
        """The factors as JSON values."""
        return {**asdict(self), "genre": list(self.genre)}
