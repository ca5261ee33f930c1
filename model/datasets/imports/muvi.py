"""The music videos of MuVi-Sync (Kang et al. 2023, arXiv:2311.00968) as features in, pairs out.

Their length alone tells 41 % of these pairs apart. So every sequence becomes statistics that do not
tell how many seconds they are of: means, deviations, quantiles and shares, no sums, no counts, no extremes
(the longest of many is longer), and seconds since the last cut count up to `SCENE_CAP_S` (an uncut
video would tell its length by them). What was measured in the picture (CLIP, motion, scene_offset, the
six emotions) is on the side of the picture, what was measured in the music on the other.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import sha256_of
from model.datasets.imports.imported import (
    INTEGERS,
    NUMBERS,
    TEXTS,
    Imported,
    check_lengths,
    pooled,
    read_arrays,
)
from model.datasets.layout import Layout
from model.errors import BadDataset

CLIPS = {
    "id": (TEXTS, 1),
    "artist_key": (TEXTS, 1),
    "key": (TEXTS, 1),
    "clip_mean": (NUMBERS, 2),
    "clip_std": (NUMBERS, 2),
}
SECONDS = {
    "loudness": (NUMBERS, 1),
    "note_density": (NUMBERS, 1),
    "motion": (NUMBERS, 1),
    "scene_offset": (NUMBERS, 1),
    "emotion6": (NUMBERS, 2),
    "chord": (INTEGERS, 1),
}
OTHERS = {"offset": (INTEGERS, 1), "chord_names": (TEXTS, 1)}
EMOBASE = {"muvi_sync_id": (TEXTS, 1), "emobase_mean": (NUMBERS, 2), "emobase_std": (NUMBERS, 2)}
SCENE_CAP_S = 20.0
QUANTILES = (0.1, 0.5, 0.9)
TEST_SHARE = 150 / 598  # 150 pairs by artists that training does not know
EVALUATION_SHARE = 0.12  # of the rest

Array = NDArray[Any]


def read_muvi(path: Path, seed: int, emobase: Path | None = None) -> Imported:
    """Read a `muvi_sync` .npz file.

    Args:
        path: of the file.
        seed: of the split, which is by artist.
        emobase: a `muvi_emobase` .npz file: adds `emotion`, and leaves only the pairs that it has.

    Raises:
        BadDataset: if it is no such file, or its arrays do not fit together.
    """
    arrays = read_arrays(path, CLIPS | SECONDS | OTHERS)
    offset, chords = arrays.pop("offset").astype(np.int64), len(arrays.pop("chord_names"))
    _check(path, arrays, offset, chords)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused when it is written
        features = _features(arrays, offset, chords)
    made_by = {"import": "muvi", "file_sha256": sha256_of(path), "seed": seed}
    rows = np.arange(len(arrays["id"]))
    if emobase is not None:
        rows, features["emotion"] = _emotion(emobase, arrays["id"])
        made_by["emobase_sha256"] = sha256_of(emobase)
    chosen = {
        name: pooled(values if name == "emotion" else values[rows]) for name, values in features.items()
    }
    pair_id = arrays["id"][rows].astype(np.str_)
    artist = arrays["artist_key"][rows].astype(np.str_)
    nothing = np.full(len(rows), "")
    return Imported(
        kind="muvi",
        pair_id=pair_id,
        track_id=pair_id,
        category=nothing,
        tag=nothing,
        split=_split(artist, seed),
        group=artist,
        layout=Layout(
            video=("clip", "motion", "scene_offset", "emotion6"),
            music=("audio",) if emobase is None else ("audio", "emotion"),
        ),
        features=chosen,
        tag_vectors=None,
        made_by=made_by,
    )


def statistics(seconds: Array, offset: NDArray[np.integer]) -> NDArray[np.float32]:
    """(sum t,) numbers of n videos to (n, 6): mean, deviation, mean step, and three quantiles of each.

    Video i's are seconds[offset[i]:offset[i + 1]], at least one.
    """
    made = []
    for first, end in pairwise(offset.tolist()):
        x = seconds[first:end].astype(np.float64)
        step = np.abs(np.diff(x)).mean() if len(x) > 1 else 0.0
        made.append([x.mean(), x.std(), step, *np.quantile(x, QUANTILES)])
    return np.asarray(made, np.float32)


def shares(codes: Array, offset: NDArray[np.integer], count: int) -> NDArray[np.float32]:
    """(sum t,) codes below `count` to (n, count): the share of each video's seconds that has each."""
    parts = pairwise(offset.tolist())
    return np.asarray([np.bincount(codes[a:b], minlength=count) / (b - a) for a, b in parts], np.float32)


def _split(artist: NDArray[np.str_], seed: int) -> NDArray[np.str_]:
    """(n,) by artist, at random; exactly as many as wanted where there are artists of one video."""
    rng = np.random.default_rng(seed)
    names, which, counts = np.unique(artist, return_inverse=True, return_counts=True)
    test = round(TEST_SHARE * len(artist))
    missing = {"test": test, "evaluation": round(EVALUATION_SHARE * (len(artist) - test))}
    split = np.full(len(names), "train", "<U10")
    for i in rng.permutation(len(names)):
        for name, still in missing.items():
            if counts[i] <= still:
                split[i], missing[name] = name, still - int(counts[i])
                break
    return np.asarray(split[which], np.str_)


def _features(arrays: Mapping[str, Array], offset: Array, chords: int) -> dict[str, Array]:
    scene_s = np.minimum(arrays["scene_offset"], SCENE_CAP_S)
    emotions = [statistics(column, offset)[:, :2] for column in arrays["emotion6"].T]
    keys = np.unique(arrays["key"])
    heard = [
        statistics(arrays["loudness"], offset),
        statistics(arrays["note_density"], offset),
        shares(arrays["chord"], offset, chords),
        (arrays["key"][:, None] == keys).astype(np.float32),
    ]
    return {
        "clip": np.hstack([arrays["clip_mean"], arrays["clip_std"]]).astype(np.float32),
        "motion": statistics(arrays["motion"], offset),
        "scene_offset": statistics(scene_s, offset),
        "emotion6": np.hstack(emotions),
        "audio": np.hstack(heard),
    }


def _emotion(path: Path, ids: Array) -> tuple[NDArray[np.int64], Array]:
    """Which pairs have emobase functionals, and their means and deviations over the windows."""
    arrays = read_arrays(path, EMOBASE)
    check_lengths(path, arrays, len(arrays["muvi_sync_id"]))
    place = {each: row for row, each in enumerate(ids.tolist())}
    linked = [i for i, each in enumerate(arrays["muvi_sync_id"].tolist()) if each in place]
    if not linked:
        raise BadDataset(
            f"no video of {path} is linked to one of the pairs: give the file that goes with them"
        )
    rows = np.array([place[each] for each in arrays["muvi_sync_id"][linked].tolist()], np.int64)
    values = np.hstack([arrays["emobase_mean"][linked], arrays["emobase_std"][linked]])
    order = np.argsort(rows)
    return rows[order], values[order]


def _check(path: Path, arrays: Mapping[str, Array], offset: Array, chords: int) -> None:
    count = len(arrays["id"])
    check_lengths(path, {name: arrays[name] for name in CLIPS}, count)
    check_lengths(path, {"offset": offset}, count + 1)
    if offset[0] != 0 or (np.diff(offset) < 1).any():
        raise BadDataset(f"'offset' of {path} leaves a video without a second: export it again")
    check_lengths(path, {name: arrays[name] for name in SECONDS}, int(offset[-1]))
    if not (arrays["chord"].min() >= 0 and arrays["chord"].max() < chords):
        raise BadDataset(f"'chord' of {path} goes beyond its {chords} names: export it again")
