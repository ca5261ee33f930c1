"""A dataset with media in, the work on it track by track out: on many processes, and never done twice.

Each track's results lie in a file of their own until all are there; a killed run leaves them behind, and the
next one with the same recipe and the same media goes on from them.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import canonical_json, write_file
from model.datasets.table import Dataset
from model.datasets.workers import as_ready
from model.errors import BadDataset
from model.features.sequence import Sequence

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class TrackJob:
    """All pairs of one track: its music is decoded once."""

    music: Path
    videos: tuple[Path, ...]
    starts_s: tuple[float, ...]
    lengths_s: tuple[float, ...]  # of the pictures, where they are known
    rows: tuple[int, ...]  # of the pairs
    result: Path  # .npz to leave behind


def track_jobs(dataset: Dataset, unfinished: Path, recipe: Mapping[str, Any]) -> list[TrackJob]:
    """The dataset's tracks, those with most pairs first: no process waits for a late one.

    Args:
        dataset: the pairs.
        unfinished: the folder of the results.
        recipe: everything that they depend on besides the media.

    Raises:
        BadDataset: if a pair has no media.
    """
    music_paths = dataset.pairs["music_path"]
    if "" in music_paths or "" in dataset.pairs["video_path"]:
        raise BadDataset(f"{dataset.folder} has pairs without media: its features must come with it")
    jobs = []
    for music_path in np.unique(music_paths):
        rows = np.flatnonzero(music_paths == music_path)
        music = dataset.folder / str(music_path)
        videos = tuple(dataset.folder / str(path) for path in dataset.pairs["video_path"][rows])
        starts_s = tuple(dataset.pairs["start_s"][rows].tolist())
        result = unfinished / f"{result_key(recipe, (music, *videos), starts_s)}.npz"
        lengths_s = tuple(dataset.pairs["length_s"][rows].tolist())
        jobs.append(TrackJob(music, videos, starts_s, lengths_s, tuple(rows.tolist()), result))
    return sorted(jobs, key=lambda job: -len(job.rows))


def result_key(recipe: Mapping[str, Any], media: Several[Path], *rest: object) -> str:
    """Name of a result: another one as soon as the recipe or a file is another."""
    what = [dict(recipe), [_stamp(path) for path in media], *rest]
    return hashlib.sha256(canonical_json(what).encode()).hexdigest()[:24]


def work_off(
    function: Callable[[TrackJob], None],
    jobs: Several[TrackJob],
    processes: int,
    progress: Callable[[int, int], None],
) -> None:
    """Run `function` for every job that has no result yet; `progress` is told (pairs done, pairs in all)."""
    left = [job for job in jobs if not job.result.exists()]
    total = sum(len(job.rows) for job in jobs)
    done = total - sum(len(job.rows) for job in left)
    progress(done, total)
    for number, _ in as_ready(function, left, processes):
        done += len(left[number].rows)
        progress(done, total)


def keep(arrays: Arrays, name: str, sequence: Sequence) -> None:
    """Put a sequence among the arrays of a result."""
    arrays[name] = sequence.values.astype(np.float32)
    arrays[f"{name}.times"] = sequence.times_s.astype(np.float64)


def kept(arrays: Mapping[str, NDArray[Any]], name: str) -> Sequence:
    """Take it out again."""
    return Sequence(arrays[name], arrays[f"{name}.times"])


def write_result(path: Path, arrays: Arrays) -> None:
    """Leave a result behind, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_file(path, buffer.getvalue())


def _stamp(path: Path) -> list[Any]:
    """What tells a changed file from the one that a kept result was made of."""
    try:
        stat = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), stat.st_size, stat.st_mtime_ns]
