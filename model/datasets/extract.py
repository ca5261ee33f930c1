"""A dataset folder with media in, the features of its pictures and of the clips under them out."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import write_json
from model.datasets.table import (
    NUMBER_COLUMNS,
    TEXT_COLUMNS,
    Dataset,
    Ragged,
    features_folder,
    pairs_digest,
    write_array,
    write_pairs,
)
from model.datasets.tracks import Arrays, TrackJob, keep, kept, track_jobs, work_off, write_result
from model.errors import BadDataset, MediaError
from model.features.extractors import Profile, TextExtractor, identity
from model.features.segments import is_functional
from model.features.sequence import Sequence
from model.features.sound import Sound
from model.grid import Grid
from model.media.audio import read_audio
from model.media.streams import VideoLimits
from model.media.video import read_video

GRID = Grid()
SEGMENTS = "segments"  # stored beside the features: start_s, end_s of each segment of a pair's clip


@dataclass(frozen=True, slots=True)
class Dropped:
    """A pair whose media could not be used."""

    pair_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExtractReport:
    """What became of a dataset's pairs."""

    pairs: int
    dropped: tuple[Dropped, ...]


def extract_features(
    dataset_folder: Path, profile: Profile, *, processes: int, progress: Callable[[int, int], None]
) -> ExtractReport:
    """Extract a profile's features for every pair; a killed run goes on where it was.

    A pair whose picture or music cannot be decoded is dropped from pairs.parquet and reported; the
    lengths seen in decoding are written there. Of the music only what lies under the picture is kept:
    the rows of sequence extractors between the clip's first and last segment, the rows of functionals
    for its segments, which begin at the clip's own start (`Grid.span_starts`).

    Args:
        dataset_folder: what `Dataset.open` takes.
        profile: whose extractors to run.
        processes: to run on.
        progress: told (pairs done, pairs in all).

    Raises:
        BadDataset: if the dataset has no media, or no pair can be used.
    """
    dataset = Dataset.open(dataset_folder)
    folder = features_folder(dataset_folder, profile.name)
    recipe = _recipe(profile)
    if _finished(folder, dataset, recipe):
        progress(len(dataset), len(dataset))
        return ExtractReport(len(dataset), ())
    jobs = track_jobs(dataset, folder / "unfinished", recipe)
    work_off(partial(_extract_track, profile), jobs, processes, progress)
    report = _assemble(dataset, jobs, folder, profile, recipe)
    shutil.rmtree(folder / "unfinished")
    return report


def _recipe(profile: Profile) -> dict[str, Any]:
    """Everything that the numbers depend on besides the media."""
    extractors = profile.video | profile.music
    recipe = {
        "profile": profile.name,
        "video": asdict(profile.recipe),
        "grid": GRID.name,
        "extractors": {key: identity(extractor) for key, extractor in extractors.items()},
    }
    if profile.precision is not None:
        recipe |= {"precision": profile.precision, "text": identity(profile.text)}
    return recipe


def _finished(folder: Path, dataset: Dataset, recipe: dict[str, Any]) -> bool:
    try:
        found = json.loads((folder / "features.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return bool(
        found.get("recipe") == recipe and found.get("pairs") == pairs_digest(dataset.pairs["pair_id"])
    )


def _extract_track(profile: Profile, job: TrackJob) -> None:
    arrays: Arrays = {}
    reasons = [""] * len(job.rows)
    lengths_s = np.zeros(len(job.rows))
    for i, path in enumerate(job.videos):
        try:
            lengths_s[i], found = _picture(path, profile)
        except (MediaError, OSError) as error:
            reasons[i] = f"{path.name}: {error}"
            continue
        for key, sequence in found.items():
            keep(arrays, f"{i}.{key}", sequence)
    usable = [i for i, reason in enumerate(reasons) if not reason]
    try:
        clips = _music(profile, job, usable, lengths_s)
    except (MediaError, OSError) as error:
        clips = {}
        reasons = [reason or f"{job.music.name}: {error}" for reason in reasons]
    for i in usable:
        if i in clips:
            for key, sequence in clips[i].items():
                keep(arrays, f"{i}.{key}", sequence)
        else:
            reasons[i] = reasons[i] or f"{job.music.name} ends before {job.starts_s[i]:g} s"
    arrays["reasons"], arrays["lengths_s"] = np.array(reasons, np.str_), lengths_s
    write_result(job.result, arrays)


def _picture(path: Path, profile: Profile) -> tuple[float, dict[str, Sequence]]:
    video = read_video(path, profile.recipe, VideoLimits(decoder_threads=1))
    return video.info.duration_s, {key: extractor(video) for key, extractor in profile.video.items()}


def _music(
    profile: Profile, job: TrackJob, usable: list[int], lengths_s: NDArray[np.float64]
) -> dict[int, dict[str, Sequence]]:
    """For each usable pair whose clip begins inside the track: its segments and features."""
    sounds = {
        rate_hz: Sound(read_audio(job.music, rate_hz), rate_hz)
        for rate_hz in {extractor.rate_hz for extractor in profile.music.values()}
    }
    duration_s = min(sound.duration_s for sound in sounds.values())
    spans = {
        i: clip_segments(job.starts_s[i], float(lengths_s[i]), duration_s)
        for i in usable
        if job.starts_s[i] < duration_s
    }
    if not spans:
        return {}
    segments = np.concatenate(list(spans.values()))
    ends = np.cumsum([len(span) for span in spans.values()])
    clips = {i: {SEGMENTS: Sequence(span.astype(np.float32), span.mean(axis=1))} for i, span in spans.items()}
    for key, extractor in profile.music.items():
        whole = extractor(sounds[extractor.rate_hz], segments)
        functional = is_functional(whole.times_s, segments)
        for (i, span), end in zip(spans.items(), ends, strict=True):
            own = slice(end - len(span), end)
            clips[i][key] = (
                Sequence(whole.values[own], whole.times_s[own])
                if functional
                else whole.between(float(span[0, 0]), float(span[-1, 1]))
            )
    return clips


def clip_segments(start_s: float, length_s: float, duration_s: float) -> NDArray[np.float64]:
    """(n, 2) starts and ends of the segments of the clip under a picture, in the track's own time."""
    starts = GRID.span_starts(start_s, length_s, duration_s)
    return np.stack([starts, np.minimum(starts + GRID.segment_s, duration_s)], axis=1)


def _assemble(
    dataset: Dataset, jobs: list[TrackJob], folder: Path, profile: Profile, recipe: dict[str, Any]
) -> ExtractReport:
    """Put the tracks' results together in the pairs' order; features.json is written last."""
    keys = (*profile.video, *profile.music, SEGMENTS)
    found: dict[int, dict[str, Sequence]] = {}
    dropped: dict[int, str] = {}
    length_s = dataset.pairs["length_s"].copy()
    for job in jobs:
        with np.load(job.result, allow_pickle=False) as arrays:
            for i, row in enumerate(job.rows):
                if str(arrays["reasons"][i]):
                    dropped[row] = str(arrays["reasons"][i])
                    continue
                length_s[row] = arrays["lengths_s"][i]
                found[row] = {key: kept(arrays, f"{i}.{key}") for key in keys}
    if not found:
        raise BadDataset(f"no pair of {dataset.folder} can be used ({next(iter(dropped.values()))})")
    rows = sorted(found)
    for key in keys:
        Ragged.stack([found[row][key] for row in rows]).write(folder, key)
    pairs = {**dataset.pairs, "length_s": length_s}
    left = {name: pairs[name][rows] for name in TEXT_COLUMNS + NUMBER_COLUMNS}
    report = ExtractReport(
        len(rows),
        tuple(Dropped(str(dataset.pairs["pair_id"][row]), dropped[row]) for row in sorted(dropped)),
    )
    write_pairs(dataset.folder, left)
    lost = [asdict(drop) for drop in report.dropped]
    made = {"recipe": recipe, "pairs": pairs_digest(left["pair_id"]), "dropped": lost}
    if profile.precision is not None:  # training needs no pretrained network then
        made["tags"] = _write_tags(folder, profile.text, Dataset.open(dataset.folder))
    write_json(folder / "features.json", made)
    return report


def _write_tags(folder: Path, text: TextExtractor, dataset: Dataset) -> list[str]:
    """Put the vector of each of the few distinct tags into tags.npy; returns them in its order."""
    tags: list[str] = np.unique(dataset.tags).tolist()
    write_array(folder / "tags.npy", np.stack([text(tag) for tag in tags]))
    return tags
