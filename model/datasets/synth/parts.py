"""A section and its chords in, what each role plays in it out: drums, bass, chords, pad, arpeggio, tune."""

from dataclasses import dataclass

import numpy as np

from model.datasets.synth import harmony, melody
from model.datasets.synth.form import Section
from model.datasets.synth.grooves import ARPS, BASS, COMPS, DRUMS, FILLS, LEADS, ROLLS
from model.datasets.synth.writer import BAR_STEPS, Writer

GHOSTS = ("hat", "shaker", "snare", "conga_hi")  # drums that fill gaps when the playing is lively
LIGHT_DRUMS_BELOW = -0.45  # liveliness: calmer tracks keep the light kit throughout,
NO_DRUMS_BELOW = -0.75  # still calmer ones have no drums in their verses
BUSY_IN_A_FILL = ("snare", "clap", "hat", "rim")


def _write_drums(writer: Writer, section: Section, *, full: bool) -> None:
    live = writer.factors.liveliness
    if not full and live < NO_DRUMS_BELOW and section.name != "intro":
        return
    full = full and live > LIGHT_DRUMS_BELOW
    fill = FILLS[writer.style.fill] if full else {}
    for bar in range(section.first_bar, section.end_bar):
        last = bar == section.end_bar - 1 or (bar - section.first_bar) % 4 == 3
        _write_beat(writer, bar, section.energy, full=full, filled=last and bool(fill))
        if last:
            for voice, pattern in fill.items():
                _strike_all(writer, voice, bar, pattern, 0.85 + 0.15 * live)


def _write_beat(writer: Writer, bar: int, energy: float, *, full: bool, filled: bool) -> None:
    """One bar of the groove; where a fill comes, the hands that play it leave their patterns at half time."""
    for voice, (light, rich) in DRUMS[writer.style.drums].items():
        pattern = rich if full else light
        steps = BAR_STEPS // 2 if filled and voice in BUSY_IN_A_FILL else BAR_STEPS
        for step in range(steps if pattern else 0):
            mark = pattern[(bar * BAR_STEPS + step) % len(pattern)]
            _strike_mark(writer, voice, bar * BAR_STEPS + step, mark, energy)


def _strike_all(writer: Writer, voice: str, bar: int, pattern: str, strength: float) -> None:
    for step, mark in enumerate(pattern):
        if mark != ".":
            writer.strike(voice, bar * BAR_STEPS + step, int(mark) / 9 * strength)


def _strike_mark(writer: Writer, voice: str, step: int, mark: str, energy: float) -> None:
    """One mark of a pattern: weak ones are dropped when calm, gaps get ghost notes when lively or groovy."""
    live, groove = writer.factors.liveliness, writer.character.groove
    if mark == ".":
        likely = 0.12 * max(0.0, live) + 0.20 * max(0.0, groove)
        if voice in GHOSTS and step % 2 and writer.rng.random() < likely:
            writer.strike(voice, step, 0.22)
        return
    weight = int(mark) / 9
    weak = step % 4 != 0 and weight < 0.7
    if weak and writer.rng.random() < 0.45 * max(0.0, -live):
        return
    writer.strike(voice, step, weight * energy * (0.86 + 0.14 * live))


def _write_bass(writer: Writer, section: Section) -> None:
    calm, busy = writer.style.bass
    lively = section.name in ("main", "final", "build") and writer.factors.liveliness > -0.5
    rhythm = BASS[busy if lively else calm]
    scale = harmony.ladder(writer.factors.key, writer.factors.mode, 24, 60)
    onsets = [i for i, letter in enumerate(rhythm) if letter != "."]
    for bar in range(section.first_bar, section.end_bar):
        chord, after = writer.chords[bar], writer.chords[bar + 1]
        root = harmony.nearest(chord.root, 34)
        for i, step in enumerate(onsets):
            end = onsets[i + 1] if i + 1 < len(onsets) else BAR_STEPS
            match rhythm[step]:
                case "5":
                    pitch = harmony.nearest(chord.tones[min(2, len(chord.tones) - 1)], root + 6)
                case "8":
                    pitch = root + 12
                case "3":
                    pitch = harmony.nearest(chord.tones[1], root + 4)
                case "a":
                    goal = harmony.nearest(after.root, 34)
                    pitch = max((p for p in scale if p < goal), default=goal)
                case _:
                    pitch = root
            gate = 0.92 - 0.25 * max(0.0, writer.character.groove) * (end - step < 4)
            accent = 1.0 if step % 8 == 0 else 0.85
            writer.play(
                "bass", bar * BAR_STEPS + step, (end - step) * gate, pitch, section.energy * accent * 0.85
            )


def _write_chords(writer: Writer, section: Section, voicings: list[harmony.Voicing]) -> None:
    calm, busy = writer.style.comp
    rhythm = COMPS[busy if section.energy > 0.7 and writer.factors.liveliness > -0.3 else calm]
    strum_s = 0.012 if "guitar" in writer.style.patches["chords"][0] else 0.003
    gate = float(np.clip(writer.style.gate * (1 - 0.35 * writer.character.groove), 0.3, 0.96))
    for bar in range(section.first_bar, section.end_bar):
        marks = [rhythm[(bar * BAR_STEPS + s) % len(rhythm)] for s in range(BAR_STEPS)]
        onsets = [i for i, mark in enumerate(marks) if mark != "."]
        for i, step in enumerate(onsets):
            end = onsets[i + 1] if i + 1 < len(onsets) else BAR_STEPS
            velocity = int(marks[step]) / 9 * section.energy
            for k, pitch in enumerate(voicings[bar]):
                steps = max(1, end - step) * gate
                writer.play("chords", bar * BAR_STEPS + step, steps, pitch, velocity, late_s=k * strum_s)


def _write_pad(writer: Writer, section: Section, voicings: list[harmony.Voicing]) -> None:
    bar = section.first_bar
    while bar < section.end_bar:
        held = 1
        while bar + held < section.end_bar and writer.chords[bar + held] == writer.chords[bar]:
            held += 1
        for pitch in harmony.open_up(voicings[bar]):
            writer.play("pad", bar * BAR_STEPS, held * BAR_STEPS * 0.98, pitch, 0.8 * section.energy)
        bar += held


def _write_arp(writer: Writer, section: Section, voicings: list[harmony.Voicing]) -> None:
    rhythm, order = ARPS[writer.style.arp]
    if writer.factors.liveliness > 0.5:  # every gap on an eighth is filled
        rhythm = "".join("4" if mark == "." and i % 2 == 0 else mark for i, mark in enumerate(rhythm))
    place = 0
    for bar in range(section.first_bar, section.end_bar):
        tones = [*voicings[bar], voicings[bar][0] + 12]
        for step, mark in enumerate(rhythm):
            if mark == "." or (step % 2 and writer.factors.liveliness < -0.6):
                continue
            pitch = tones[int(order[place % len(order)]) % len(tones)] + 12
            place += 1
            writer.play("arp", bar * BAR_STEPS + step, 2, pitch, int(mark) / 9 * section.energy)


@dataclass(frozen=True, slots=True)
class Tunes:
    """The two tunes of a track: one for verses and breaks, one for mains."""

    verse: tuple[melody.Motif, ...]
    main: tuple[melody.Motif, ...]


def draw_tunes(writer: Writer) -> Tunes:
    """Two contrasting motifs with answers for the mains, a sparse one for the verses."""
    bank = LEADS[writer.style.lead]
    a, b = (melody.draw_motif(bank, writer.factors.liveliness, writer.rng) for _ in range(2))
    calm = melody.draw_motif(LEADS["sparse"], writer.factors.liveliness, writer.rng)
    return Tunes(
        verse=(calm, melody.answer(calm, writer.rng)),
        main=(a, melody.answer(a, writer.rng), b, melody.answer(a, writer.rng)),
    )


def _write_lead(writer: Writer, section: Section, tunes: Tunes, roles: tuple[str, ...]) -> None:
    main = "lead" in roles
    centre = 71 + round(6 * writer.factors.lift + 2 * writer.factors.liveliness)
    rungs = harmony.ladder(writer.factors.key, writer.factors.mode, centre - 9, centre + 9)
    chords = writer.chords[section.first_bar : section.end_bar]
    tune = melody.compose_tune(tunes.main if main else tunes.verse, chords, rungs, writer.chords[-1])
    gate = 0.92 - 0.16 * writer.factors.lift - 0.12 * writer.character.groove  # happy is detached
    for tone in tune:
        at = section.first_bar * BAR_STEPS + tone.step
        writer.play("lead", at, tone.steps * gate, tone.pitch, tone.accent * section.energy)
    if "counter" in roles:
        for tone in melody.harmonise(tune, chords):
            at = section.first_bar * BAR_STEPS + tone.step
            writer.play("lead", at, tone.steps * gate, tone.pitch, 0.6 * tone.accent)


def _write_turns(writer: Writer, section: Section, roles: tuple[str, ...]) -> None:
    """What joins sections: crashes, snare rolls that tighten, a cymbal that swells into the next bar."""
    first = section.first_bar * BAR_STEPS
    if section.name in ("main", "final") and writer.style.final_hit:
        writer.strike("crash", first, 0.7)
        writer.strike("swell", first, 0.5)
    if "roll" in roles:
        for bar in range(section.bars):
            pattern = ROLLS[min(2, 3 * bar // section.bars)]
            for step, mark in enumerate(pattern):
                if mark != ".":
                    ramp = 0.35 + 0.6 * (bar + step / BAR_STEPS) / section.bars
                    writer.strike("snare", first + bar * BAR_STEPS + step, int(mark) / 9 * ramp)


def write_section(writer: Writer, section: Section, voicings: list[harmony.Voicing], tunes: Tunes) -> None:
    """Write everything that is played in one section."""
    roles = writer.style.roles(section.name)
    for role in roles:
        match role:
            case "light" | "full":
                _write_drums(writer, section, full=role == "full")
            case "bass":
                _write_bass(writer, section)
            case "chords":
                _write_chords(writer, section, voicings)
            case "pad":
                _write_pad(writer, section, voicings)
            case "arp":
                _write_arp(writer, section, voicings)
            case "lead" | "tune":
                _write_lead(writer, section, tunes, roles)
    _write_turns(writer, section, roles)
