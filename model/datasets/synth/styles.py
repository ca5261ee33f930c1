"""What a style is: where it lies in genre space, and what it plays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Genre = tuple[float, float, float, float, float, float]
Roles = tuple[str, ...]

AXES = ("electronic", "bright", "space", "percussive", "bass", "groove")  # what the six genre numbers mean

FORM: dict[str, Roles] = {  # who plays in which section, unless a style says otherwise
    "intro": ("chords", "pad"),
    "verse": ("light", "bass", "chords", "tune"),
    "build": ("light", "bass", "chords", "arp", "roll"),
    "main": ("full", "bass", "chords", "pad", "arp", "lead"),
    "break": ("pad", "chords", "tune"),
    "final": ("full", "bass", "chords", "pad", "arp", "lead", "counter"),
    "outro": ("chords", "pad", "bass"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What makes a style. Progressions are numerals, one a bar; but for `harmony.DOMINANT` all diatonic."""

    name: str
    prototype: Genre  # along AXES; the nearest prototype names the style
    handicap: float  # added to the squared distance, so that each style gets its share of N(0, I)
    genres: tuple[str, ...]  # for the catalogue
    tempo_bpm: tuple[float, float]  # at least an octave wide: other tempi are felt in half or double time
    major: tuple[str, ...]
    minor: tuple[str, ...]
    richness: int = 3  # thirds stacked in a chord, see harmony.chord
    swing_steps: int = 1  # 1: sixteenths swing, 2: eighths do
    swing: float = 0.0  # 0 straight, 1/3 triplets
    loose_ms: float = 5.0
    drums: str = ""
    fill: str = "snare"
    bass: tuple[str, str] = ("halves", "eighths")  # calm, busy
    comp: tuple[str, str] = ("halves", "eighths")
    arp: str = "rise"
    lead: str = "lyrical"
    gate: float = 0.9  # how much of a comp rhythm's length sounds
    patches: Mapping[str, tuple[str, ...]]  # role -> instruments, one of which a track takes
    levels_db: Mapping[str, float] = field(default_factory=dict)  # beside the desk's own
    form: Mapping[str, Roles] = field(default_factory=dict)  # beside FORM
    final_hit: bool = True  # ends on a struck chord with cymbal; else the chord is let ring

    def roles(self, section: str) -> Roles:
        """Who plays in a section."""
        return self.form.get(section, FORM[section])
