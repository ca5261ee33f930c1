"""A seed in, the demo's own music pool out: a folder of .flac files and their catalogue.csv."""

import csv
import io
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.artifact import ASIDE, content_id, write_file
from model.datasets.synth import titles
from model.datasets.synth.factors import TrackFactors, whole_phrases_s
from model.datasets.synth.music import render_track
from model.datasets.synth.repertoire import STYLES
from model.datasets.synth.styles import Genre, Style
from model.errors import BadOptions
from model.media.encode import write_audio

RATE_HZ = 44_100
STEPS_16_BIT = 32_768  # samples are rounded to 16 bits, which takes half the disk of 24
GENERATOR = "music@1"  # part of every file's name: a changed generator renders anew
COLUMNS = (
    *("path", "track_id", "external_id", "title", "artist"),
    *("genres", "moods", "bpm", "key", "vocals", "explicit"),
)
KEYS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SPREAD = (0.8191725134, 0.6710436067, 0.5497004779, 0.4503)  # R3 sequence (M. Roberts, 2018) and one more


@dataclass(frozen=True, slots=True)
class PoolTrack:
    """One track of the pool before it is rendered."""

    name: str  # the file, relative to the pool
    title: str
    factors: TrackFactors


def _place(style: Style, i: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Where a style's i-th track lies: valence, arousal, share of the tempo range, of the lengths."""
    offset = rng.random(4)
    u, v, w, x = (float((o + (i + 1) * s) % 1) for o, s in zip(offset, SPREAD, strict=True))
    return 3.0 * u - 1.5, 2.8 * v - 1.3, w, x


def _draw_track(style: Style, i: int, seed: int, taken: set[str], longest_s: float) -> PoolTrack:
    number = list(STYLES).index(style.name)
    fixed = np.random.default_rng(np.random.SeedSequence([seed, number]))  # where this style's spread begins
    rng = np.random.default_rng(np.random.SeedSequence([seed, number, i]))
    valence, arousal, tempo_share, length_share = _place(style, i, fixed)
    low, high = max(66.0, style.tempo_bpm[0]), min(180.0, style.tempo_bpm[1])
    tempo_bpm = round(low * (high * 0.97 / low) ** tempo_share, 1)
    shades = rng.normal(0, 0.35, 6)
    one, two, three, four, five, six = (float(p + s) for p, s in zip(style.prototype, shades, strict=True))
    genre: Genre = (one, two, three, four, five, six)
    wanted_s = 48.0 * (100.0 / 48.0) ** length_share
    factors = TrackFactors(
        style=style.name,
        tempo_bpm=tempo_bpm,
        key=int(rng.integers(12)),
        mode="major" if valence + 0.25 * rng.logistic() > 0 else "minor",
        valence=valence,
        arousal=arousal,
        genre=genre,
        duration_s=min(longest_s, whole_phrases_s(wanted_s, tempo_bpm)),
        seed=int(rng.integers(2**31)),
    )
    title = first = titles.title(style.name, valence, arousal, rng)
    again = 1
    while title in taken:
        again += 1
        title = f"{first} {again}"
    taken.add(title)
    name = f"{style.name}-{i + 1:02d}-{content_id({'generator': GENERATOR, **factors.as_dict()})[:8]}.flac"
    return PoolTrack(name, title, factors)


def draw_pool(tracks: int, seed: int, *, longest_s: float = 120.0) -> list[PoolTrack]:
    """What the pool will hold: styles in turn, emotions, tempi and lengths spread evenly within each style.

    The first tracks are the same however many there are.
    """
    taken: set[str] = set()
    styles = list(STYLES.values())
    return [
        _draw_track(styles[j % len(styles)], j // len(styles), seed, taken, longest_s) for j in range(tracks)
    ]


def _render_file(folder: Path, track: PoolTrack) -> None:
    samples = render_track(track.factors, RATE_HZ, stereo=True)
    rounded = (np.round(samples * STEPS_16_BIT) / STEPS_16_BIT).astype(np.float32)
    write_audio(folder / track.name, rounded, RATE_HZ, codec="flac")


def _catalogue(tracks: list[PoolTrack]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for track in tracks:
        factors, name = track.factors, Path(track.name).stem
        writer.writerow(
            {
                "path": track.name,
                "track_id": f"demo-{name}",
                "external_id": f"YYD-{name[-8:].upper()}",
                "title": track.title,
                "artist": titles.ARTIST_OF[factors.style],
                "genres": ";".join(STYLES[factors.style].genres),
                "moods": ";".join(titles.moods(factors.valence, factors.arousal)),
                "bpm": f"{factors.tempo_bpm:g}",
                "key": f"{KEYS[factors.key]} {factors.mode}",
                "vocals": "false",
                "explicit": "false",
            }
        )
    return text.getvalue().encode()


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half-written."""
    for left in folder.glob(f"{ASIDE}*"):
        left.unlink(missing_ok=True)


def _render_all(folder: Path, missing: list[PoolTrack], processes: int) -> Iterator[None]:
    """Render in child processes; yields once a finished file, and stops handing out work when left early."""
    if not missing:
        return
    spawn = multiprocessing.get_context("spawn")  # a fork would copy the locks of the caller's threads
    with ProcessPoolExecutor(min(processes, len(missing)), mp_context=spawn) as pool:
        try:
            for finished in as_completed([pool.submit(_render_file, folder, track) for track in missing]):
                yield finished.result()
        finally:
            pool.shutdown(cancel_futures=True)


def render_pool(
    folder: Path,
    *,
    tracks: int = 64,
    seed: int = 20_250,
    longest_s: float = 120.0,
    processes: int,
    progress: Callable[[int, int], None],
) -> None:
    """Render the demo pool; run it again after a kill and only what is missing is rendered.

    Args:
        folder: where the .flac files and, last of all, catalogue.csv go.
        tracks: how many, over all styles in turn.
        seed: of the whole pool.
        longest_s: tracks that would be longer are composed shorter.
        processes: how many render at once.
        progress: called with (files there, files wanted), first with what was there already.
    """
    if tracks < 1 or processes < 1:
        raise BadOptions(f"a pool wants at least 1 track and 1 process, not {tracks} and {processes}")
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    drawn = draw_pool(tracks, seed, longest_s=longest_s)
    missing = [track for track in drawn if not (folder / track.name).exists()]
    done = tracks - len(missing)
    progress(done, tracks)
    for _ in _render_all(folder, missing, processes):
        done += 1
        progress(done, tracks)
    write_file(folder / "catalogue.csv", _catalogue(drawn))
