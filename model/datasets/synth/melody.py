"""Chords and a rhythm bank in, a tune out: motifs that return (a a' b a''), chord tones where it rests.

Every note that is no chord tone is left by step into one (passing notes and neighbours), so nothing grates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.datasets.synth.harmony import Chord, nearest

CELL_STEPS = 32  # a motif is two bars of sixteenths
WHOLE_TONE = 2


@dataclass(frozen=True, slots=True)
class Tone:
    """A note of a tune: when it starts and how long it lasts in sixteenths, MIDI pitch, accent 0..1."""

    step: int
    steps: int
    pitch: int
    accent: float


@dataclass(frozen=True, slots=True)
class Motif:
    """A rhythm and a contour in scale steps about the tune's centre."""

    onsets: tuple[tuple[int, int], ...]  # (step, steps)
    contour: tuple[int, ...]


def _onsets(rhythm: str) -> tuple[tuple[int, int], ...]:
    starts = [i for i, letter in enumerate(rhythm) if letter == "x"]
    return tuple(
        (start, len(rhythm[start + 1 :]) - len(rhythm[start + 1 :].lstrip("-")) + 1) for start in starts
    )


def draw_motif(rhythms: Sequence[str], liveliness: float, rng: np.random.Generator) -> Motif:
    """A motif: mostly steps, a leap now and then that turns back; livelier ones leap more."""
    onsets = _onsets(rhythms[int(rng.integers(len(rhythms)))])
    height, moves = int(rng.integers(-1, 3)), []
    last = 0
    for _ in onsets:
        moves.append(height)
        if abs(last) > 2:
            step = -int(np.sign(last))  # a leap is followed by a step back
        elif rng.random() < 0.16 + 0.08 * liveliness:
            step = int(rng.choice([-4, -3, 3, 4]))
        else:
            step = int(rng.choice([-1, 1, -1, 1, 0, -2, 2]))
        if abs(height + step) > 5:
            step = -step
        last, height = step, height + step
    return Motif(onsets, tuple(moves))


def answer(motif: Motif, rng: np.random.Generator) -> Motif:
    """The same motif with another ending."""
    keep = max(1, len(motif.contour) - 3)
    tail = [int(c + rng.integers(-2, 3)) for c in motif.contour[keep:]]
    return Motif(motif.onsets, (*motif.contour[:keep], *tail))


def _at_home(pitch: int, harmony: Chord) -> bool:
    return pitch % 12 in harmony.tones[:4]


def _to_chord(pitch: int, harmony: Chord, avoid: int | None = None) -> int:
    choices = [p for tone in harmony.tones[:4] if (p := nearest(tone, pitch)) != avoid]
    return min(choices, key=lambda p: (abs(p - pitch), p))


def _resolve(tones: list[Tone], chords: Sequence[Chord]) -> list[Tone]:
    """Move notes outside their chord onto it unless they pass by step to a chord tone."""
    settled: list[Tone] = []
    following: Tone | None = None
    for tone in reversed(tones):
        harmony = chords[tone.step // 16]
        pitch = tone.pitch
        if not _at_home(pitch, harmony):
            passing = following is not None and 0 < abs(following.pitch - pitch) <= WHOLE_TONE
            leads_home = following is not None and _at_home(following.pitch, chords[following.step // 16])
            if tone.steps > 3 or tone.step % 8 == 0 or not (passing and leads_home):
                pitch = _to_chord(pitch, harmony)
        following = Tone(tone.step, tone.steps, pitch, tone.accent)
        settled.append(following)
    return settled[::-1]


def compose_tune(
    motifs: Sequence[Motif], chords: Sequence[Chord], rungs: Sequence[int], home: Chord
) -> list[Tone]:
    """Lay motifs over chords, two bars each.

    Args:
        motifs: one per two bars, in order; read modulo their number.
        chords: one per bar.
        rungs: the scale in the tune's register, MIDI pitches ascending.
        home: the tonic chord, on which every fourth cell comes to rest.
    """
    centre = len(rungs) // 2
    tones: list[Tone] = []
    for cell in range(-(-len(chords) // 2)):
        motif = motifs[cell % len(motifs)]
        for (step, steps), height in zip(motif.onsets, motif.contour, strict=True):
            at = cell * CELL_STEPS + step
            if at < 16 * len(chords):
                rung = min(max(centre + height, 0), len(rungs) - 1)
                accent = 0.9 if step % 8 == 0 else 0.75 if step % 4 == 0 else 0.65
                tones.append(Tone(at, min(steps, 16 * len(chords) - at), rungs[rung], accent))
        if cell % 4 == 3 and tones:
            last = tones[-1]
            bar_chord = chords[last.step // 16]
            root = home.root if home.root in bar_chord.tones else bar_chord.root
            tones[-1] = Tone(last.step, last.steps, nearest(root, last.pitch), last.accent)
    return _resolve(tones, chords)


def harmonise(tones: Sequence[Tone], chords: Sequence[Chord]) -> list[Tone]:
    """A second voice on chord tones, a third to a sixth below the first, on its longer notes."""
    return [
        Tone(t.step, t.steps, _to_chord(t.pitch - 5, chords[t.step // 16], avoid=t.pitch), 0.8 * t.accent)
        for t in tones
        if t.steps >= 2
    ]
