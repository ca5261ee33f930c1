"""A track's factors and its clock in; notes and drum hits in seconds out, played as people play."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from model.datasets.synth import harmony
from model.datasets.synth.factors import Character, TrackFactors
from model.datasets.synth.styles import Style

BAR_STEPS = 16
LEAD_IN_S = 0.04  # the first attack is not cut into


class Note(NamedTuple):
    """One note of a part."""

    start_s: float
    length_s: float
    pitch: int
    velocity: float  # 0..1


class Hit(NamedTuple):
    """One stroke of a drum."""

    start_s: float
    voice: str
    velocity: float


@dataclass(slots=True)
class Writer:
    """Writes bars into a score; holds what all roles of one track share."""

    factors: TrackFactors
    style: Style
    character: Character
    rng: np.random.Generator
    step_s: float
    swing: float
    chords: list[harmony.Chord] = field(default_factory=list)  # one per bar, the final tonic last
    parts: dict[str, list[Note]] = field(default_factory=lambda: defaultdict(list))
    hits: list[Hit] = field(default_factory=list)

    def at(self, step: float) -> float:
        """Seconds of a step, swung: the first half of each pair of units is stretched, the second shrunk."""
        pair = 2 * self.style.swing_steps
        whole, x = divmod(step / pair, 1.0)
        swung = x * (1 + self.swing) if x < 0.5 else 0.5 * (1 + self.swing) + (x - 0.5) * (1 - self.swing)
        return LEAD_IN_S + (whole + swung) * pair * self.step_s

    def human_s(self) -> float:
        """How far a player misses the grid this time."""
        return float(np.clip(self.rng.normal(), -2, 2)) * self.style.loose_ms / 1000

    def play(
        self, role: str, step: float, steps: float, pitch: int, velocity: float, late_s: float = 0.0
    ) -> None:
        """Add a note; lengths are whole steps times the gate, so that equal notes are rendered once."""
        start_s = max(0.0, self.at(step) + self.human_s() + late_s)
        hard = velocity * (0.88 + 0.12 * self.factors.liveliness)
        strength = float(np.clip(hard * (1 + 0.06 * self.rng.normal()), 0.05, 1.0))
        self.parts[role].append(Note(start_s, steps * self.step_s, pitch, strength))

    def strike(self, voice: str, step: float, velocity: float) -> None:
        """Add a drum hit."""
        start_s = max(0.0, self.at(step) + 0.5 * self.human_s())
        strength = float(np.clip(velocity * (1 + 0.07 * self.rng.normal()), 0.05, 1.0))
        self.hits.append(Hit(start_s, voice, strength))
