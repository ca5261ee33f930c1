"""Track factors in, samples out: compose, play every note, mix, master."""

import numpy as np
from numpy.typing import NDArray

from model.datasets.synth.drums import BUS_OF, Kit, KitTone
from model.datasets.synth.factors import TrackFactors
from model.datasets.synth.harmony import nearest
from model.datasets.synth.instruments import Tone, hz_of, render_note
from model.datasets.synth.mastering import finish, tone
from model.datasets.synth.mixing import (
    DRIVEN,
    Mix,
    as_stereo,
    drive,
    duck_gain,
    ducking_of,
    loudness_db,
    strip_of,
)
from model.datasets.synth.partials import Samples
from model.datasets.synth.patches import PATCHES
from model.datasets.synth.repertoire import STYLES
from model.datasets.synth.score import Score, compose
from model.datasets.synth.writer import Hit, Note

__all__ = ["TrackFactors", "render_track"]

VELOCITY_LAYERS = 4  # timbres a note is rendered in; loudness within a layer is continuous
KICK_PITCH = 33  # drums are tuned to the tonic nearest to A1, 55 Hz
ECHO_STEPS = 3  # a dotted eighth


def _add(bus: Samples, sound: Samples, start: int, gain: float) -> None:
    """Add a sound in place; what reaches beyond the end of the bus is left out."""
    end = min(len(bus), start + len(sound))
    if start < end:
        bus[start:end] += np.float32(gain) * sound[: end - start]


def _play(notes: list[Note], patch_name: str, bend: Tone, n: int, rate_hz: int) -> Samples:
    """One part's bus: each distinct (pitch, length, velocity layer) is rendered once."""
    patch = PATCHES[patch_name]
    bus = np.zeros(n, np.float32)
    cache: dict[tuple[int, int, int], Samples] = {}
    for note in notes:
        layer = min(VELOCITY_LAYERS - 1, int(note.velocity * VELOCITY_LAYERS))
        key = (note.pitch, round(note.length_s * 1000), layer)
        if key not in cache:
            velocity = (layer + 0.5) / VELOCITY_LAYERS
            cache[key] = render_note(patch, note.pitch, note.length_s, velocity, bend, rate_hz)
        _add(bus, cache[key], int(note.start_s * rate_hz), note.velocity**1.4)
    return bus


def _strike(hits: list[Hit], kit: Kit, n: int, rate_hz: int) -> dict[str, Samples]:
    """The drum buses; a swell is laid so that it ends where it was written."""
    buses: dict[str, Samples] = {}
    shots: dict[str, Samples] = {}
    for hit in hits:
        if hit.voice not in shots:
            shots[hit.voice] = kit.shot(hit.voice)
        shot = shots[hit.voice]
        if BUS_OF[hit.voice] not in buses:
            buses[BUS_OF[hit.voice]] = np.zeros(n, np.float32)
        start = int(hit.start_s * rate_hz) - (len(shot) if hit.voice == "swell" else 0)
        if start >= 0:
            _add(buses[BUS_OF[hit.voice]], shot, start, hit.velocity**1.5)
    return buses


def _buses(factors: TrackFactors, score: Score, n: int, rate_hz: int) -> dict[str, Samples]:
    character = factors.character
    lift, live = factors.lift, factors.liveliness
    bend = Tone(
        bright=float(np.clip(character.bright + 0.3 * lift + 0.25 * live, -1.2, 1.2)),
        electronic=character.electronic,
        punch=0.6 * live + 0.4 * character.percussive,
    )
    kit_tone = KitTone(
        bright=0.7 * character.bright + 0.3 * live,
        electronic=character.electronic,
        length=0.7 * character.space - 0.3 * character.groove,
        tune_hz=hz_of(nearest(factors.key, KICK_PITCH)),
    )
    buses = _strike(score.hits, Kit(kit_tone, rate_hz), n, rate_hz)
    for role, notes in score.parts.items():
        name = score.patches[role]
        buses[role] = _play(notes, name, bend, n, rate_hz)
        if name in DRIVEN:
            buses[role] = drive(buses[role], DRIVEN[name] * 2 ** (0.5 * live), rate_hz)
    return buses


def render_track(factors: TrackFactors, rate_hz: int, *, stereo: bool) -> NDArray[np.float32]:
    """Compose and render a track at -16 LUFS.

    Args:
        factors: what to render; equal factors give equal samples.
        rate_hz: 8,000 or more.
        stereo: left and right instead of their mean.

    Returns:
        (n,) or (n, 2) float32 in -1..1, n = duration_s * rate_hz rounded, ending in silence.
    """
    n = round(factors.duration_s * rate_hz)
    style, character = STYLES[factors.style], factors.character
    score = compose(factors)
    step_s = score.bar_s / 16
    mix = Mix.empty(n, rate_hz, character, ECHO_STEPS * step_s, stereo=stereo)
    kicks_s = [hit.start_s for hit in score.hits if hit.voice == "kick"]
    depth = ducking_of(style.name, character)
    ducked = duck_gain(kicks_s, depth, min(0.35, 3.6 * step_s), n, rate_hz)
    for role, bus in _buses(factors, score, n, rate_hz).items():
        strip = strip_of(role, character, factors.liveliness, style.levels_db)
        bus *= np.float32(10 ** ((strip.level_db - loudness_db(bus, rate_hz)) / 20))
        if strip.duck and depth:
            bus *= 1 - np.float32(strip.duck) * (1 - ducked)
        mix.add(bus, strip)
    channels = [tone(channel, character, rate_hz) for channel in mix.finish()]
    tail_s = max(0.0, factors.duration_s - score.end_s)
    return finish(as_stereo(channels), rate_hz, warmth=0.5 + 0.4 * factors.liveliness, ring_s=tail_s)
