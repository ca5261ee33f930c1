"""Track factors in, a score out: every note and drum hit with its time in seconds."""

from dataclasses import dataclass

import numpy as np

from model.datasets.synth import harmony
from model.datasets.synth.factors import COMPOSITION, TAIL_S, TrackFactors, fold_tempo
from model.datasets.synth.form import Section, lay_out
from model.datasets.synth.parts import draw_tunes, write_section
from model.datasets.synth.repertoire import STYLES
from model.datasets.synth.writer import BAR_STEPS, LEAD_IN_S, Hit, Note, Writer

SWING_MOST = 0.36
BARE_FIFTHS = 2  # the richness of power chords, which no mood changes


@dataclass(frozen=True, slots=True)
class Score:
    """All that is played."""

    parts: dict[str, list[Note]]  # role -> notes
    hits: list[Hit]
    patches: dict[str, str]  # role -> instrument
    sections: list[Section]
    bar_s: float
    end_s: float  # when the last chord is struck


def _numerals(writer: Writer, sections: list[Section]) -> list[str]:
    """One chord a bar: a progression for the verses, one for the mains, a cadence into the last chord."""
    factors, style = writer.factors, writer.style
    bank = style.major if factors.mode == "major" else style.minor
    first, second = writer.rng.permutation(len(bank))[:2]
    calm, bold = bank[first].split(), bank[second].split()
    numerals = []
    for section in sections:
        pattern = bold if section.name in ("main", "final", "outro") else calm
        numerals += [pattern[bar % len(pattern)] for bar in range(section.bars)]
    if len(numerals) > 1:
        numerals[-1] = "5" if factors.mode == "major" else "7"
    return [*numerals, "1"]


def _richness(writer: Writer) -> int:
    """How many thirds are stacked: dark moods thicken a style's chords, bright ones thin them."""
    usual, lift = writer.style.richness, writer.factors.lift
    if usual == BARE_FIFTHS:
        return usual
    return int(np.clip(usual + (lift < -0.45) - (lift > 0.6), 3, 5))


def _write_ending(writer: Writer, voicing: harmony.Voicing, step: int, tail_s: float) -> None:
    """The last chord, struck together and let ring for most of what is left."""
    steps = 0.95 * tail_s / writer.step_s
    root = harmony.nearest(writer.chords[-1].root, 34)
    rolled_s = 0.02 if writer.style.final_hit else 0.07
    for k, pitch in enumerate(voicing):
        writer.play("chords", step, steps, pitch, 0.8, late_s=k * rolled_s)
        writer.play("pad", step, steps, pitch, 0.7)
    writer.play("bass", step, steps, root, 0.85)
    top = harmony.nearest(writer.chords[-1].root, voicing[-1] + 7)
    writer.play("lead", step, steps, top, 0.7, late_s=rolled_s)
    if writer.style.final_hit:
        writer.strike("crash", step, 0.7)
        writer.strike("taiko" if writer.style.drums == "cinematic" else "kick", step, 0.9)


def compose(factors: TrackFactors) -> Score:
    """Write the whole piece; the same factors give the same score."""
    style = STYLES[factors.style]
    character = factors.character
    rng = np.random.default_rng(np.random.SeedSequence([factors.seed, COMPOSITION]))
    step_s = 15 / fold_tempo(factors.tempo_bpm, *style.tempo_bpm)
    swing = float(np.clip(style.swing + 0.12 * character.groove, 0.0, SWING_MOST))
    writer = Writer(factors, style, character, rng, step_s, swing)
    room_s = factors.duration_s - LEAD_IN_S - min(TAIL_S, factors.duration_s / 3)
    bars = max(1, int(room_s / (BAR_STEPS * step_s)))
    sections = lay_out(bars)
    numerals, richness = _numerals(writer, sections), _richness(writer)
    writer.chords = [harmony.chord(factors.key, factors.mode, n, max(3, richness)) for n in numerals]
    played = [harmony.chord(factors.key, factors.mode, n, richness) for n in numerals]
    voicings = harmony.voice_all(played, 60 + round(4 * factors.lift))
    tunes = draw_tunes(writer)
    for section in sections:
        write_section(writer, section, voicings, tunes)
    end_step = bars * BAR_STEPS
    _write_ending(writer, voicings[-1], end_step, max(0.1, factors.duration_s - writer.at(end_step)))
    patches = {role: names[int(rng.integers(len(names)))] for role, names in style.patches.items()}
    return Score(dict(writer.parts), writer.hits, patches, sections, BAR_STEPS * step_s, writer.at(end_step))
