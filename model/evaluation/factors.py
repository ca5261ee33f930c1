"""A dataset in, what a person would say about each pair's picture and music out.

A rendered dataset knows the numbers that its adverts and tracks were made from. Of any other the features
of the `lite` profile are read back in a person's units. What neither tells is `UNKNOWN`, never a guess.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.card import RENDERED
from model.datasets.synth.repertoire import style_of
from model.datasets.synth.world import (
    CUTS_PER_S_AT_ZERO,
    TEMPO_BPM_AT_ZERO,
    TEMPO_PER_CUT_OCTAVE,
    World,
)
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.features.profiles import load_profile

UNKNOWN = "n/a"
MINUS = "\N{MINUS SIGN}"
PLAIN = 0.5  # deviations from the mean below which a mood is neither one nor the other
BEATS_PER_MIN_AT_ZERO = 120.0  # of column `tempo_oct`
MEASURED = "lite"


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that may agree or not; both sides have one text for each of the chosen pairs."""

    name: str
    picture: tuple[str, ...]
    music: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Factors:
    """All that are known of any of the pairs, and where they come from."""

    source: str  # ends the sentence "Factors are ..."
    items: tuple[Factor, ...]


def factors_of(dataset: Dataset, rows: NDArray[np.int64]) -> Factors:
    """Describe some pairs of a dataset."""
    if dataset.manifest.get("kind") == RENDERED:
        known = _rendered(dataset, rows)
        if known is not None:
            return Factors("known: the dataset was rendered from these numbers", known)
    found = tuple(each for each in _measured(dataset, rows) if set(each.picture + each.music) != {UNKNOWN})
    if not found:
        return Factors(
            f"left out: the data set has neither {MEASURED!r} features to read them from nor the numbers "
            "that it was rendered from",
            (),
        )
    source = f"measured: the {MEASURED!r} profile's features, averaged over the picture and over the clip"
    return Factors(source, found)


def _rendered(dataset: Dataset, rows: NDArray[np.int64]) -> tuple[Factor, ...] | None:
    """What the generator wrote beside the pairs; None if it is not there or speaks of others."""
    try:
        with np.load(dataset.folder / "factors.npz", allow_pickle=False) as file:
            latents = {name: file[name] for name in file.files if name.startswith("ads_")}
        tracks = json.loads((dataset.folder / "factors.json").read_text("utf-8"))
        world = World(**dataset.manifest["world"])
        ads = [_ad(latents, _number(pair_id), world) for pair_id in dataset.pairs["pair_id"][rows]]
        music = [_track(tracks[track_id]) for track_id in dataset.pairs["track_id"][rows]]
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    return tuple(
        Factor(name, tuple(ad[name] for ad in ads), tuple(track[name] for track in music))
        for name in ("pace", "mood", "energy", "style")
    )


def _number(pair_id: str) -> int:
    """Which row of the latents a rendered advert is: its id ends in it."""
    return int(pair_id.rpartition("-a")[2])


def _ad(latents: Mapping[str, NDArray[Any]], i: int, world: World) -> dict[str, str]:
    log2_cut_rate = float(latents["ads_log2_cut_rate"][i])
    wanted = world.rotations[int(latents["ads_category"][i])] @ latents["ads_style"][i]
    a, b, c, d, e, f = (float(x) for x in wanted)
    style = style_of((a, b, c, d, e, f))
    pace = f"{CUTS_PER_S_AT_ZERO * 2**log2_cut_rate:.2f} cuts/s"
    if world.pace == "tempo":
        bpm = TEMPO_BPM_AT_ZERO * 2 ** (TEMPO_PER_CUT_OCTAVE * log2_cut_rate)
        pace += f", asks for {bpm:.0f} bpm"
    return {
        "pace": pace,
        "mood": _pole(float(latents["ads_valence"][i]), ("dark", "neutral", "bright")),
        "energy": _pole(float(latents["ads_arousal"][i]), ("calm", "medium", "lively")),
        "style": f"asks for {style.name}",
    }


def _track(known: Mapping[str, Any]) -> dict[str, str]:
    return {
        "pace": f"{known['tempo_bpm']:.0f} bpm",
        "mood": _pole(known["valence"], ("dark", "neutral", "bright")),
        "energy": _pole(known["arousal"], ("calm", "medium", "lively")),
        "style": str(known["style"]),
    }


def _pole(value: float, words: tuple[str, str, str]) -> str:
    """Deviations from the mean, with the word for low, middling or high."""
    word = words[1] if abs(round(value, 1)) < PLAIN else words[2] if value > 0 else words[0]
    return f"{_signed(value, 1)} {word}"


def _signed(value: float, places: int) -> str:
    """With its sign, and no such thing as minus zero."""
    return f"{round(value, places) + 0.0:+.{places}f}".replace("-", MINUS)


def _measured(dataset: Dataset, rows: NDArray[np.int64]) -> tuple[Factor, ...]:
    length_s = dataset.pairs["length_s"]

    def each(source: str, column: str, say: Callable[[NDArray[np.float64], int], str]) -> tuple[str, ...]:
        return _said(dataset, rows, source, column, say)

    return (
        Factor(
            "pace",
            each("motion", "cut_count", lambda x, i: f"{(2**x - 1).sum() / length_s[i]:.2f} cuts/s"),
            each("emotion", "tempo_oct", lambda x, _: f"{BEATS_PER_MIN_AT_ZERO * 2 ** np.median(x):.0f} bpm"),
        ),
        Factor(
            "activity",
            each("motion", "motion_mean", lambda x, _: f"{(2**x - 1).mean():.1f} grey levels in 0.1 s"),
            each("emotion", "onset_rate_log2", lambda x, _: f"{(2**x - 1).mean():.1f} onsets/s"),
        ),
        Factor(
            "light and mode",
            each("frames", "luma_p50", lambda x, _: f"{100 * x.mean():.0f} % brightness"),
            each("emotion", "majorness", lambda x, _: _mode(float(x.mean()))),
        ),
        Factor(
            "loudness",
            (UNKNOWN,) * len(rows),
            each("emotion", "loudness_lufs", lambda x, _: f"{x.mean():.0f} LUFS".replace("-", MINUS)),
        ),
    )


def _mode(majorness: float) -> str:
    return f"{'major' if majorness > 0 else 'minor'} ({_signed(majorness, 2)})"


def _said(
    dataset: Dataset,
    rows: NDArray[np.int64],
    source: str,
    column: str,
    say: Callable[[NDArray[np.float64], int], str],
) -> tuple[str, ...]:
    """Put one column of each pair into words; `UNKNOWN` where the dataset has no such column."""
    profile = load_profile(MEASURED)
    names = (profile.video | profile.music)[source].features
    try:
        ragged = dataset.features(source, MEASURED)
    except BadDataset:
        return (UNKNOWN,) * len(rows)
    if ragged.values.shape[1] != len(names):
        return (UNKNOWN,) * len(rows)
    at = names.index(column)
    return tuple(_one(ragged.row(int(i)).values[:, at].astype(np.float64), int(i), say) for i in rows)


def _one(values: NDArray[np.float64], i: int, say: Callable[[NDArray[np.float64], int], str]) -> str:
    return say(values, i) if len(values) and np.isfinite(values).all() else UNKNOWN
