"""What is written before anything sounds: keys, chords, tunes, forms, factors; against slow definitions."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from model.datasets.synth import harmony, melody
from model.datasets.synth.factors import TrackFactors, fold_tempo
from model.datasets.synth.form import lay_out
from model.datasets.synth.grooves import ARPS, BASS, COMPS, DRUMS, FILLS, LEADS
from model.datasets.synth.patches import PATCHES
from model.datasets.synth.repertoire import STYLES, style_of
from model.datasets.synth.score import compose

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
MAJOR, MINOR = {0, 2, 4, 5, 7, 9, 11}, {0, 2, 3, 5, 7, 8, 10}


@pytest.mark.parametrize(
    ("key", "mode", "numeral", "richness", "names"),
    [
        (0, "major", "1", 3, "C E G"),
        (0, "major", "5", 4, "G B D F"),
        (9, "minor", "1", 4, "A C E G"),
        (9, "minor", "V", 3, "E G# B"),
        (9, "minor", "7", 3, "G B D"),
        (7, "major", "2", 5, "A C E G B"),
        (0, "major", "3", 5, "E G B D"),  # F, a flat ninth, is left out
        (2, "minor", "6", 2, "Bb F"),
    ],
)
def test_chords_are_those_of_the_textbook(
    key: int, mode: str, numeral: str, richness: int, names: str
) -> None:
    classes = dict(zip(NAMES, range(12), strict=True))
    assert harmony.chord(key, mode, numeral, richness).tones == tuple(classes[n] for n in names.split())


def test_voicings_hold_the_chord_and_move_little() -> None:
    chords = [harmony.chord(0, "major", n, 3) for n in "164514251"]
    voicings = harmony.voice_all(chords, 60)
    for chord, voicing in zip(chords, voicings, strict=True):
        assert {p % 12 for p in voicing} == set(chord.tones)
        assert list(voicing) == sorted(voicing)
        assert voicing[0] >= 48
        assert voicing[-1] <= 76
    moves = [max(abs(a - b) for a, b in zip(v, w, strict=True)) for v, w in pairwise(voicings)]
    assert max(moves) <= 5


@pytest.mark.parametrize("seed", range(6))
def test_tunes_are_in_the_scale_and_leave_chords_by_step_only(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bank = LEADS[list(LEADS)[seed % len(LEADS)]]
    chords = [harmony.chord(2, "major", n, 3) for n in "15641564"]
    rungs = harmony.ladder(2, "major", 62, 81)
    first = melody.draw_motif(bank, 0.5, rng)
    tune = melody.compose_tune((first, melody.answer(first, rng)), chords, rungs, chords[0])
    assert tune
    for tone, after in zip(tune, [*tune[1:], None], strict=True):
        assert (tone.pitch - 2) % 12 in MAJOR
        if tone.pitch % 12 not in chords[tone.step // 16].tones:
            assert after is not None
            assert abs(after.pitch - tone.pitch) <= 2
            assert after.pitch % 12 in chords[after.step // 16].tones
    second = melody.harmonise(tune, chords)
    assert all(tone.pitch % 12 in chords[tone.step // 16].tones for tone in second)


@pytest.mark.parametrize("bars", range(1, 100))
def test_sections_tile_the_song(bars: int) -> None:
    sections = lay_out(bars)
    assert sections[0].first_bar == 0
    assert sections[-1].end_bar == bars
    assert all(a.end_bar == b.first_bar for a, b in pairwise(sections))
    assert all(section.bars > 0 for section in sections)
    if bars >= 24:
        assert {"intro", "build", "break", "final"} <= {section.name for section in sections}


@pytest.mark.parametrize("style", list(STYLES))
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_every_note_is_in_key_in_time_and_in_a_playable_register(style: str, mode: str) -> None:
    factors = TrackFactors(style, 100.0, 4, mode, -0.2, 1.0, STYLES[style].prototype, 60.0, 11)
    score = compose(factors)
    scale = (MAJOR if mode == "major" else MINOR) | ({11} if mode == "minor" else set())  # the dominant's own
    for role, notes in score.parts.items():
        for note in notes:
            assert (note.pitch - 4) % 12 in scale
            assert (23 <= note.pitch <= 60) if role == "bass" else (43 <= note.pitch <= 96), role
            assert 0 <= note.start_s < note.start_s + note.length_s < factors.duration_s
            assert 0 < note.velocity <= 1
    assert {"bass", "chords", "lead"} <= set(score.parts)
    assert score.hits
    foreign = sum(
        (n.pitch - 4) % 12 not in (MAJOR if mode == "major" else MINOR)
        for p in score.parts.values()
        for n in p
    )
    assert foreign < 0.12 * sum(map(len, score.parts.values()))


def test_every_style_names_what_there_is() -> None:
    assert len(STYLES) >= 8
    for style in STYLES.values():
        assert style.drums in DRUMS
        assert style.fill in FILLS
        assert set(style.bass) <= set(BASS)
        assert set(style.comp) <= set(COMPS)
        assert style.arp in ARPS
        assert style.lead in LEADS
        assert {name for names in style.patches.values() for name in names} <= set(PATCHES)
        assert style.tempo_bpm[1] >= 2 * style.tempo_bpm[0]
        assert style_of(style.prototype) is style


def test_styles_share_genre_space_evenly() -> None:
    genres = np.random.default_rng(0).standard_normal((4000, 6))
    names = [style_of(tuple(row)).name for row in genres]  # type: ignore[arg-type]  # six floats
    shares = np.array([names.count(style) for style in STYLES]) / len(names)
    assert shares.min() > 0.6 / len(STYLES)
    assert shares.max() < 1.5 / len(STYLES)


@pytest.mark.parametrize("tempo_bpm", [10.0, 65.9, 66.0, 110.0, 179.9, 180.0, 1000.0])
def test_folding_moves_by_octaves(tempo_bpm: float) -> None:
    folded = fold_tempo(tempo_bpm, 66, 180)
    assert 66 <= folded < 180
    octaves = np.log2(folded / tempo_bpm)
    assert octaves == pytest.approx(round(octaves), abs=1e-9)


def latents(m: int, **columns: float) -> SimpleNamespace:
    rng = np.random.default_rng(3)
    values = {name: rng.standard_normal(m) for name in ("valence", "arousal", "log2_tempo", "log_popularity")}
    values |= {name: np.full(m, value) for name, value in columns.items()}
    return SimpleNamespace(genre=rng.standard_normal((m, 6)), **values)


def drawn(tracks: SimpleNamespace, seed: int = 5) -> list[TrackFactors]:
    return [TrackFactors.from_latents(tracks, i, seed) for i in range(len(tracks.valence))]  # type: ignore[arg-type]


def test_latents_become_factors() -> None:
    tracks = latents(300)
    factors = drawn(tracks)
    assert factors == drawn(tracks)
    assert [f.seed for f in factors] != [f.seed for f in drawn(tracks, 6)]
    assert all(45 <= f.duration_s <= 120 and 66 <= f.tempo_bpm < 180 for f in factors)
    assert np.std([f.duration_s for f in factors]) > 15
    octaves = np.log2([f.tempo_bpm for f in factors]) - np.log2(110) - tracks.log2_tempo
    np.testing.assert_allclose(octaves, np.round(octaves), atol=1e-9)
    assert {f.key for f in factors} == set(range(12))
    assert all(f.genre == tuple(row) for f, row in zip(factors, tracks.genre, strict=True))


def test_happier_is_more_often_major() -> None:
    share = [np.mean([f.mode == "major" for f in drawn(latents(300, valence=v))]) for v in (-1.5, 0.0, 1.5)]
    assert share[0] < 0.1
    assert 0.35 < share[1] < 0.65
    assert share[2] > 0.9


def test_valence_lifts_the_register() -> None:
    base = TrackFactors("pop", 110.0, 0, "major", -1.5, 0.0, STYLES["pop"].prototype, 60.0, 4)
    low, high = (
        np.mean([n.pitch for n in compose(f).parts["lead"]]) for f in (base, replace(base, valence=1.5))
    )
    assert high > low + 3
