"""A world, a number of pairs and a seed in, a whole dataset folder out.

    OUT/probes.json               the probe card, and R@10 of the oracle and of the reference
        oracle.npz                their scores on the test split, see `oracle.oracle_scores`
        latents.npz               of all ads and tracks, and who chose what
        features/adsynth/         frames, flow; audio, emotion, rhythm; valence; the tags' vectors
        pairs.parquet, dataset.json   as in `model.datasets.table`

Pooled features are the means of the very rows that sequences have. The folder is made aside and renamed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import commit, is_free, new_file, new_folder, write_json
from model.datasets.adsynth import oracle
from model.datasets.adsynth.movement import flow, rhythm
from model.datasets.adsynth.observe import Clips, Senses, hear_audio, hear_emotion, see
from model.datasets.adsynth.pairs import BLOCK, Pairs, draw_pairs, split_sizes
from model.datasets.adsynth.probes import music_latents, parts_of, picture_latents, read
from model.datasets.adsynth.sequences import ROW_S, Clock, draw_counts
from model.datasets.adsynth.worlds import Dims, Knobs, dims_of, knobs_of
from model.datasets.layout import VALENCE, Layout, write_features
from model.datasets.synth.world import CATEGORIES, TAGS
from model.datasets.table import SCHEMA, Ragged, features_folder, write_dataset
from model.errors import BadDataset

GENERATOR = 1  # raised when the same arguments give other numbers
PROFILE = "adsynth"
LAYOUT = Layout(video=("frames", "flow"), music=("audio", "emotion", "rhythm"), tags=TAGS, valence=True)
MAPS, LENGTHS, CLIPS, WORDS = 100, 101, 102, 103  # streams of the seed; `pairs` has those from 0 on
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for."""

    world: str
    pairs: int
    seed: int
    dims: str
    sequences: bool  # a row a second, not one a clip


def generate(out: Path, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Make the dataset, unless it is there.

    Args:
        out: the folder; must not exist, be empty, or hold this very dataset.
        plan: what to make.
        progress: told (done, total): ads that have chosen, are observed, and, all at once, are judged.

    Returns:
        The card that lies in probes.json.

    Raises:
        BadOptions: if there is no such world or width, or too few pairs.
        BadDataset: if `out` holds something else.
    """
    knobs, dims = knobs_of(plan.world), dims_of(plan.dims)
    split_sizes(plan.pairs)
    manifest = {"kind": "adsynth", "generator": GENERATOR, **asdict(plan), "knobs": asdict(knobs)}
    if not is_free(out):
        return _made_before(out, manifest)
    with new_folder(out.parent) as aside:
        card = _fill(aside, plan, knobs, dims, manifest, progress)
        commit(aside, out)
    return card


def _made_before(out: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found = json.loads((out / "dataset.json").read_text("utf-8"))
        card: dict[str, Any] = json.loads((out / "probes.json").read_text("utf-8"))
    except (OSError, ValueError):
        found, card = None, {}
    if found != {**manifest, "schema": SCHEMA}:
        raise BadDataset(f"{out} holds something else than what is asked for: choose an empty folder")
    return card


def _fill(
    folder: Path, plan: Plan, knobs: Knobs, dims: Dims, manifest: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    n, seed = plan.pairs, plan.seed
    pairs = draw_pairs(knobs, n, seed, lambda done: progress(done, 3 * n))
    shown, played = (Clock(draw_counts(n, np.random.default_rng([seed, LENGTHS, side]))) for side in (0, 1))
    senses = Senses.draw(knobs, dims, np.random.default_rng([seed, MAPS]))
    columns = _columns(knobs, seed, pairs, shown)
    with new_folder(folder) as scratch:
        features = _outlines(scratch, dims, shown, played, sequences=plan.sequences)
        for number, rows in enumerate(np.split(np.arange(n), range(BLOCK, n, BLOCK))):
            heard = pairs.tracks.take(pairs.chosen[rows])
            clocks = Clock(shown.counts[rows]), Clock(played.counts[rows])
            clips = Clips(knobs, pairs.ads.take(rows), heard, *clocks, (seed, CLIPS, number))
            _observe(clips, senses, features, first=int(rows[0]), sequences=plan.sequences)
            progress(n + int(rows[-1]) + 1, 3 * n)
        features[VALENCE] = _one_row(pairs.ads.valence[:, None].astype(np.float32), shown)
        write_features(folder, columns["pair_id"], PROFILE, LAYOUT, features, senses.text, manifest)
    card = _judge(folder, pairs)
    _write_arrays(folder / "latents.npz", _latents(pairs))
    write_json(folder / "probes.json", card)
    write_dataset(folder, manifest, columns)
    progress(3 * n, 3 * n)
    return card


def _columns(knobs: Knobs, seed: int, pairs: Pairs, shown: Clock) -> dict[str, NDArray[Any]]:
    n = len(pairs.ads)
    pair_id = np.array([f"adsynth-{seed}-a{i:05d}" for i in range(n)])
    track_id = np.array([f"adsynth-{seed}-t{j:05d}" for j in pairs.chosen])
    tag = pairs.ads.tag
    if knobs.text == "shuffled":
        tag = np.random.default_rng([seed, WORDS]).permutation(tag)
    return {
        "pair_id": pair_id,
        "track_id": track_id,
        "category": np.array(CATEGORIES)[pairs.ads.category],
        "tag": np.array(TAGS)[tag],
        "split": pairs.split,
        "group": track_id if knobs.libraries == "own" else pair_id,  # what the split keeps whole
        "length_s": shown.counts * ROW_S,
        "start_s": np.zeros(n),
        "video_path": np.full(n, ""),
        "music_path": np.full(n, ""),
    }


def _outlines(
    scratch: Path, dims: Dims, shown: Clock, played: Clock, *, sequences: bool
) -> dict[str, Ragged]:
    """The features without their values yet, which lie in files: at the paper's size they are gigabytes."""
    widths = {"frames": dims.frames, "audio": dims.audio, "emotion": dims.emotion, "flow": 1, "rhythm": 3}
    outlines = {}
    for name, width in widths.items():
        clock = shown if name in LAYOUT.video else played
        shape = (int(clock.offsets[-1]) if sequences else len(clock.counts), width)
        values = np.lib.format.open_memmap(scratch / f"{name}.npy", "w+", np.float16, shape)
        in_time = Ragged(values, clock.times_s, clock.offsets)
        outlines[name] = in_time if sequences else _one_row(values, clock)
    return outlines


def _one_row(values: NDArray[np.float32], clock: Clock) -> Ragged:
    """A feature of one row a clip, in the middle of it."""
    return Ragged(values, clock.counts * ROW_S / 2, np.arange(len(values) + 1))


def _observe(
    clips: Clips, senses: Senses, features: Mapping[str, Ragged], *, first: int, sequences: bool
) -> None:
    """Put the values of a block of clips, of which the first has the row `first`, into the features."""
    rows = {
        "frames": see(clips, senses),
        "audio": hear_audio(clips, senses),
        "emotion": hear_emotion(clips, senses),
        "flow": flow(clips),
        "rhythm": rhythm(clips),
    }
    for name, values in rows.items():
        feature, clock = features[name], clips.shown if name in LAYOUT.video else clips.played
        begin, end = feature.offsets[[first, first + len(clips.ads)]]
        feature.values[begin:end] = values if sequences else clock.mean(values)


def _judge(folder: Path, pairs: Pairs) -> dict[str, Any]:
    """Probe the features as they were written, keep the oracles' scores beside them; the card."""
    parts = parts_of(pairs)
    latents = {
        "picture": picture_latents(pairs.ads.take(parts.rows)),
        "music": music_latents(pairs.tracks.take(pairs.chosen[parts.rows])),
    }
    probed = [("picture", (name,)) for name in LAYOUT.video] + [("music", (name,)) for name in LAYOUT.music]
    place = features_folder(folder, PROFILE)
    readings = {
        " + ".join(names): read([Ragged.read(place, name) for name in names], latents[side], parts)
        for side, names in [*probed, ("music", ("audio", "emotion"))]
    }
    known = oracle.known(pairs)
    told = oracle.reference(pairs, parts, readings["frames"].linear, readings["audio + emotion"].linear)
    scores = {"pmi": known.pmi, "posterior": known.posterior, "reference": told}
    _write_arrays(folder / oracle.FILE, {name: score.astype(np.float32) for name, score in scores.items()})
    track = pairs.chosen[pairs.rows("test")]
    hits = {name: oracle.recalls(score, track) for name, score in scores.items()}
    hits["posterior"]["catalog V->M"] = known.catalogue_hits
    return {"probes": {name: each.card for name, each in readings.items()}, "recall_at_10": hits}


def _latents(pairs: Pairs) -> dict[str, NDArray[Any]]:
    sides = (("ads", pairs.ads), ("tracks", pairs.tracks))
    numbers = {
        f"{side}_{f.name}": getattr(latents, f.name) for side, latents in sides for f in fields(latents)
    }
    return numbers | {"chosen": pairs.chosen}


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with new_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
