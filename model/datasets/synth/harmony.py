"""A key, a mode and numerals in; chords as pitch classes, voicings and scale ladders (MIDI pitches) out."""

from collections.abc import Sequence
from dataclasses import dataclass

Voicing = tuple[int, ...]  # MIDI pitches, ascending

SCALES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
}
DOMINANT = "V"  # numeral of the major dominant of a minor key: the one chord here with a raised seventh
MAJOR_NINTH = 14
LOWEST_THIRD = 52  # below E3 thirds turn to mud (the "low interval limit" of arrangers)


@dataclass(frozen=True, slots=True)
class Chord:
    """Pitch classes, root first, then third, fifth and what is stacked above."""

    tones: tuple[int, ...]

    @property
    def root(self) -> int:
        """Pitch class of the root."""
        return self.tones[0]


def chord(key: int, mode: str, numeral: str, richness: int) -> Chord:
    """The diatonic chord on a degree.

    Args:
        key: pitch class of the tonic, 0 = C.
        mode: "major" or "minor".
        numeral: "1".."7", or "V" for the dominant with its leading tone in minor.
        richness: how many thirds are stacked: 2 bare fifth, 3 triad, 4 seventh, 5 ninth (one that
            would lie a semitone above the root's octave is left out).
    """
    scale = SCALES[mode]
    degree = 4 if numeral == DOMINANT else int(numeral) - 1
    steps = (0, 4) if richness == 2 else tuple(2 * i for i in range(richness))
    heights = [12 * ((degree + s) // 7) + scale[(degree + s) % 7] for s in steps]
    if len(heights) == 5 and heights[4] - heights[0] != MAJOR_NINTH:
        heights.pop()
    if numeral == DOMINANT and mode == "minor" and richness > 2:
        heights[1] += 1
    return Chord(tuple((key + h) % 12 for h in heights))


def _stack(tones: Sequence[int], bottom: int) -> Voicing:
    """Pitches with the given classes, each the next one above the last, from the first class >= bottom."""
    pitch = bottom + (tones[0] - bottom) % 12
    pitches = [pitch]
    for tone in tones[1:]:
        pitch += (tone - pitch) % 12 or 12
        pitches.append(pitch)
    return tuple(pitches)


def _cost(voicing: Voicing, previous: Voicing | None, centre: float) -> float:
    mean = sum(voicing) / len(voicing)
    cost = 0.35 * abs(mean - centre) + 0.2 * max(0, voicing[-1] - voicing[0] - 14)
    if len(voicing) > 1 and voicing[0] < LOWEST_THIRD and voicing[1] - voicing[0] < 7:
        cost += 6.0
    if previous is not None:
        pairs = zip(voicing[::-1], previous[::-1], strict=False)  # sevenths and triads meet at the top voice
        cost += sum(abs(a - b) for a, b in pairs) / min(len(voicing), len(previous))
    return cost


def voice(harmony: Chord, centre: float, previous: Voicing | None = None) -> Voicing:
    """The closest inversion near `centre` that moves the voices least from `previous`."""
    tones = harmony.tones[1:] if len(harmony.tones) > 4 else harmony.tones  # the bass has the root
    if len(tones) == 2:
        tones = (*tones, tones[0])  # a power chord doubles its root
        return min(
            (_stack(tones, round(centre) - d) for d in range(4, 16)), key=lambda v: _cost(v, None, centre)
        )
    candidates = [
        _stack(tones[turn:] + tones[:turn], round(centre) - drop)
        for turn in range(len(tones))
        for drop in (2, 6, 10)
    ]
    return min(candidates, key=lambda v: (_cost(v, previous, centre), v))


def open_up(voicing: Voicing) -> Voicing:
    """Drop-2: the second voice from the top goes down an octave, for wide pads and strings."""
    if len(voicing) < 3 or voicing[-2] - 12 < LOWEST_THIRD - 4:
        return voicing
    return tuple(sorted((*voicing[:-2], voicing[-2] - 12, voicing[-1])))


def nearest(pitch_class: int, to: float) -> int:
    """The MIDI pitch of a class that lies closest to `to`."""
    low = round(to) - 6
    return low + (pitch_class - low) % 12


def voice_all(chords: Sequence[Chord], centre: float) -> list[Voicing]:
    """Voicings of a progression, each led from the one before."""
    voicings: list[Voicing] = []
    for harmony in chords:
        voicings.append(voice(harmony, centre, voicings[-1] if voicings else None))
    return voicings


def ladder(key: int, mode: str, low: int, high: int) -> list[int]:
    """All MIDI pitches of the scale in [low, high], ascending."""
    classes = {(key + step) % 12 for step in SCALES[mode]}
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in classes]
