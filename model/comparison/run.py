"""One system, one recipe, one seed on one data set in; what it finds for every query out, in two files.

OUT/rows/<id>.json   everything that the run depends on, what it came to, how long it took; written last
OUT/rows/<id>.npz    where the right answer of each query stands, by protocol and direction
OUT/rows/<id>.looks.npz   of rows that are looked into: densities, flat maps and gates

The id is a hash of what the run depends on: tables are made from these files alone, at any time, and a
comparison that was killed goes on with the runs that it lacks.
"""

import io
import json
import multiprocessing
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.artifact import content_id, write_file, write_json
from model.comparison.bench import open_bench
from model.comparison.looks import look
from model.datasets.table import Dataset
from model.evaluation.metrics import Ranking, hits, rank
from model.evaluation.pool import Case, Catalogue, Pool, absent, best_by_track, cases
from model.evaluation.protocol import score_clips
from model.systems.catalogue import load_system
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import System, embed_all
from model.training.loop import Diverged, Progress, fit, score_pairs
from model.training.run import torch_state, training_device, why_stopped
from model.training.sampler import Table

SCHEMA = 1
DIVERGED = {  # the course of a run whose weights became infinite
    "evaluation_r10": -1.0,
    "epochs": 0,
    "epochs_asked": 0,
    "best_epoch": 0,
    "train_s": 0.0,
    "stopped": "training diverged",
}
QUERIES_AT_ONCE = 128  # of a catalogue: bounds memory only


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the outcome of a run depends on, but the machine."""

    data: str  # id of the data set, its split and its features
    profile: str
    system: str
    preset: Preset  # with seed and time limit
    grid: bool = False  # of a closed form: try its grid first

    @property
    def id(self) -> str:
        """The name of its files."""
        return content_id({"schema": SCHEMA, **asdict(self)})


@dataclass(frozen=True, slots=True)
class Job:
    """A run to be made, by a process of its own perhaps."""

    recipe: Recipe
    folder: Path  # of the data set
    out: Path  # where rows/ lies
    looks: bool = False  # draw what the page shows of YuYin's inside
    threads: int = 1  # of torch
    device: str = "auto"

    @property
    def finished(self) -> bool:
        """Is there nothing to do; what cannot be read back is made again."""
        try:
            schema = read_found(self.out, self.recipe.id).record["schema"]
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile):
            return False
        seen = not self.looks or (self.out / "rows" / f"{self.recipe.id}.looks.npz").exists()
        return bool(schema == SCHEMA) and seen


@dataclass(frozen=True, slots=True)
class Found:
    """A finished run, read back."""

    record: Mapping[str, Any]
    cases: tuple[Case, ...]
    looks: Mapping[str, NDArray[Any]]  # {} of rows that were not looked into


def execute(job: Job) -> str:
    """Train, evaluate and write; the recipe's id."""
    _end_with_parent()
    began_s = time.perf_counter()
    recipe, preset = job.recipe, job.recipe.preset
    kind, device = load_system(recipe.system), training_device(job.device)
    bench = open_bench(job.folder, recipe.profile, device)
    dims = bench.pairs.dims
    with torch_state(preset.training.seed, job.threads):
        system = kind.build(dims, preset.system)
        table = bench.look(system)
        if recipe.grid:
            preset = replace(preset, system=_best_of_grid(preset.system, table))
            system = kind.build(dims, preset.system)
            bench.look(system)
        done = _fitted(system.to(device), table, preset.training)
        found = _tested(system, table, bench.dataset, looks=job.looks) if done else Tested((), {}, {})
    place = job.out / "rows"
    if job.looks:
        write_file(place / f"{recipe.id}.looks.npz", _packed(found.looks))
    write_file(place / f"{recipe.id}.npz", _packed(arrays_of(found.cases)))
    record = {
        "schema": SCHEMA,
        **asdict(recipe),
        "used": preset.as_dict(),
        "parameters": sum(each.numel() for each in system.parameters()),
        **(_course(done, why_stopped(done, preset) if system.learns else "") if done else DIVERGED),
        "absent": found.absent,
        "wall_s": round(time.perf_counter() - began_s, 2),
    }
    write_json(place / f"{recipe.id}.json", record)
    return recipe.id


@cache
def _end_with_parent() -> None:
    """A worker of a comparison that was killed must not stay behind, waiting for jobs with its gigabytes."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    if parent is not None:
        Thread(target=wait, daemon=True).start()


def _fitted(system: System, table: Table, training: TrainConfig) -> Progress | None:
    """Train; None if what it gives are no numbers any more, as a learning rate that is too high may do."""
    try:
        return fit(system, table, training, _nothing)
    except Diverged:
        return None


@dataclass(frozen=True, slots=True)
class Tested:
    """What a trained system finds."""

    cases: tuple[Case, ...]
    looks: Mapping[str, NDArray[Any]]
    absent: Mapping[str, str]  # why a protocol is not among them


@torch.no_grad()
def _tested(system: System, table: Table, dataset: Dataset, *, looks: bool) -> Tested:
    system.eval()
    scores = score_pairs(system, table, table.pairs.rows("test"))
    pool = _pool(system, table, dataset, scores)
    why: dict[str, str] = {each.protocol: each.reason for each in absent(pool)}
    return Tested(tuple(cases(pool)), look(system, table, scores, dataset) if looks else {}, why)


def read_found(out: Path, recipe_id: str) -> Found:
    """Read a finished run back."""
    place = out / "rows"
    record = json.loads((place / f"{recipe_id}.json").read_text("utf-8"))
    found = cases_of(_unpacked(place / f"{recipe_id}.npz"))
    looks: dict[str, NDArray[Any]] = {}
    path = place / f"{recipe_id}.looks.npz"
    if path.exists():
        looks = _unpacked(path)
    return Found(record, found, looks)


def _unpacked(path: Path) -> dict[str, NDArray[Any]]:
    with (
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):  # np.load leaves a bad one open
        return {name: arrays[name] for name in arrays.files}


def _nothing(_: Progress) -> None:
    """A run is short: it is made again rather than continued."""


def _best_of_grid(config: Any, table: Table) -> Any:
    """CCA's best setting by R@10 on the evaluation part."""
    from model.systems.cca import tune_cca

    rows = table.pairs.rows("evaluation")
    segments = torch.from_numpy(table.pairs.all_segments(rows)).to(table.labels["tag"].device)
    offsets = np.cumsum([0, *np.diff(table.pairs.offsets)[rows]], dtype=np.int64)
    own = np.eye(len(rows), dtype=np.bool_)

    def r10(videos: Tensor, clips: Tensor) -> float:
        scores = score_clips(videos.cpu().numpy(), clips.cpu().numpy(), offsets)
        return float(np.mean([hits(rank(matrix, own), 10).mean() for matrix in (scores, scores.T)]))

    music = {name: x.index_select(0, segments) for name, x in table.music.items()}
    asked = table.queries(rows, with_text=False)
    training = table.all_pairs(table.pairs.rows("train"))
    return tune_cca(config, training, asked, music, r10, lambda done, of: None)


def _pool(system: System, table: Table, dataset: Dataset, scores: NDArray[np.float64]) -> Pool:
    tracks, rows = dataset.pairs["track_id"], table.pairs.rows("test")
    trained = tracks[table.pairs.rows("train")]
    catalogue = _catalogue(system, table, tracks, rows) if system.indexable else None
    return Pool(scores, tracks[rows], trained, catalogue)


def _catalogue(system: System, table: Table, tracks: NDArray[np.str_], rows: NDArray[np.int64]) -> Catalogue:
    """Every track of all splits by its best clip; only where clips are embedded once for all queries."""
    asked = table.queries(rows, with_text=system.reads_query_text)
    videos, music = (
        embed_all(system, side, inputs).float().cpu().numpy()
        for side, inputs in (("video", asked), ("music", table.music))
    )
    parts = [
        best_by_track(
            score_clips(videos[first : first + QUERIES_AT_ONCE], music, table.pairs.offsets), tracks
        )
        for first in range(0, len(rows), QUERIES_AT_ONCE)
    ]
    return Catalogue(np.concatenate([scores for scores, _ in parts]), parts[0][1])


def _course(done: Progress, stopped: str) -> dict[str, Any]:
    """How training went; a closed form is never stopped."""
    kept = done.kept
    return {
        "evaluation_r10": (kept.r10_video_to_music + kept.r10_music_to_video) / 2,
        "epochs": len(done.history),
        "epochs_asked": kept.of,
        "best_epoch": kept.number,
        "train_s": round(done.train_s, 2),
        "stopped": stopped,
    }


def arrays_of(found: tuple[Case, ...]) -> dict[str, NDArray[Any]]:
    """By "protocol direction part"."""
    return {
        f"{case.protocol} {case.direction} {part}": array.astype(np.int32)
        for case in found
        for part, array in (
            ("queries", case.queries),
            ("better", case.found.better),
            ("tied", case.found.tied),
            ("relevant", case.found.relevant),
            ("candidates", case.blind.tied),
            ("right", case.blind.relevant),
        )
    }


def cases_of(arrays: Mapping[str, NDArray[Any]]) -> tuple[Case, ...]:
    """What `arrays_of` was given."""
    names = list(dict.fromkeys(tuple(name.split(" ")[:2]) for name in arrays))
    found = []
    for protocol, direction in names:
        part = {
            each: arrays[f"{protocol} {direction} {each}"].astype(np.int64)
            for each in ("queries", "better", "tied", "relevant", "candidates", "right")
        }
        blind = Ranking(np.zeros_like(part["candidates"]), part["candidates"], part["right"])
        placed = Ranking(part["better"], part["tied"], part["relevant"])
        found.append(Case(protocol, direction, part["queries"], placed, blind))  # type: ignore[arg-type]
    return tuple(found)


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, allow_pickle=False, **arrays)
    return sink.getvalue()
