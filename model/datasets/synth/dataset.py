"""A number of pairs and a seed in, a dataset folder of rendered adverts and music with known factors out.

    OUT/plan.json                    what was asked for; another request for the same folder is refused
        tracks/<track_id>.flac       22,050 Hz mono, only tracks that some ad chose
        adverts/<pair_id>.mp4
        factors.npz, factors.json    latents of all ads and tracks and the choices; factors of the tracks
        pairs.parquet, dataset.json  as in `model.datasets.table`; dataset.json last

Every item has a seed of its own, so the number of processes changes nothing; finished files are not
rendered again, so a run may be killed and started again.
"""

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import write_file, write_json
from model.datasets.splits import split_groups
from model.datasets.synth.advert import render_advert
from model.datasets.synth.draw import RENDERED, Draw, draw
from model.datasets.synth.factors import TrackFactors
from model.datasets.synth.music import render_track
from model.datasets.synth.world import CATEGORIES, TAGS, AdLatents
from model.datasets.table import write_dataset
from model.datasets.workers import as_ready
from model.errors import BadDataset
from model.media.audio import read_audio
from model.media.encode import write_audio

RENDERER = 1  # raised when the same seed gives other pictures or sounds
MUSIC_RATE_HZ = 22_050
SPLIT_STREAM, ADVERT_STREAM = 1, 2  # of the seed; 0 is the draw's


@dataclass(frozen=True, slots=True)
class TrackJob:
    """One track to render."""

    path: Path
    factors: TrackFactors


@dataclass(frozen=True, slots=True)
class AdvertJob:
    """One advert to render, after its track."""

    path: Path
    ad: AdLatents  # of length 1
    duration_s: float
    music_path: Path
    start_s: float
    seed: tuple[int, ...]


def render_dataset(
    out: Path,
    *,
    pairs: int,
    seed: int,
    processes: int,
    progress: Callable[[int, int], None],
    test_only: bool = False,
) -> None:
    """Render a dataset of `pairs` adverts, or finish one that was begun.

    Args:
        out: the folder.
        pairs: how many adverts; of the library they choose from, the chosen tracks are rendered.
        seed: another seed gives other ads, tracks and brands of the same world.
        processes: to render on.
        progress: told (files done, files in all).
        test_only: put every pair into the split "test", instead of 85 % "train", 15 % "evaluation".

    Raises:
        BadDataset: if the folder was begun with other arguments, or `pairs` is not positive.
    """
    if pairs < 1:
        raise BadDataset(f"cannot render {pairs} pairs: ask for at least 1")
    world = RENDERED
    plan = {
        "pairs": pairs,
        "seed": seed,
        "test_only": test_only,
        "world": asdict(world),
        "renderer": RENDERER,
    }
    _begin(out, plan)
    drawn = draw(world, pairs, seed)
    tracks, adverts = _jobs(out, drawn, seed)
    left = [track for track in tracks if not track.path.exists()]
    left_adverts = [advert for advert in adverts if not advert.path.exists()]
    total = len(tracks) + len(adverts)
    done = total - len(left) - len(left_adverts)
    progress(done, total)
    for _ in as_ready(_render_track, left, processes):
        done += 1
        progress(done, total)
    for _ in as_ready(_render_advert, left_adverts, processes):
        done += 1
        progress(done, total)
    _write_factors(out, drawn, seed)
    manifest = {"kind": "synth", **plan, "categories": list(CATEGORIES), "tags": list(TAGS)}
    write_dataset(out, manifest, _columns(drawn, seed, test_only=test_only))


def _jobs(out: Path, drawn: Draw, seed: int) -> tuple[list[TrackJob], list[AdvertJob]]:
    track_path = {j: out / "tracks" / f"{_track_id(seed, j)}.flac" for j in drawn.factors}
    tracks = [TrackJob(path, drawn.factors[j]) for j, path in track_path.items()]
    adverts = [
        AdvertJob(
            path=out / "adverts" / f"{_pair_id(seed, i)}.mp4",
            ad=drawn.ads.take([i]),
            duration_s=float(drawn.length_s[i]),
            music_path=track_path[int(drawn.chosen[i])],
            start_s=float(drawn.start_s[i]),
            seed=(seed, ADVERT_STREAM, i),
        )
        for i in range(len(drawn.ads))
    ]
    return tracks, adverts


def _track_id(seed: int, row: int) -> str:
    return f"synth-{seed}-t{row:05d}"


def _pair_id(seed: int, row: int) -> str:
    return f"synth-{seed}-a{row:05d}"


def _begin(out: Path, plan: dict[str, Any]) -> None:
    for folder in (out / "tracks", out / "adverts"):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        begun = json.loads((out / "plan.json").read_text("utf-8"))
    except FileNotFoundError:
        write_json(out / "plan.json", plan)
        return
    if begun != plan:
        raise BadDataset(f"{out} was begun as another dataset ({begun}): choose an empty folder")


def _render_track(job: TrackJob) -> None:
    samples = render_track(job.factors, MUSIC_RATE_HZ, stereo=False)
    write_audio(job.path, samples, MUSIC_RATE_HZ, codec="flac")


def _render_advert(job: AdvertJob) -> None:
    music = read_audio(job.music_path, MUSIC_RATE_HZ, start_s=job.start_s, duration_s=job.duration_s)
    render_advert(
        job.ad,
        0,
        job.path,
        duration_s=job.duration_s,
        music=music,
        rate_hz=MUSIC_RATE_HZ,
        rng=np.random.default_rng(np.random.SeedSequence(job.seed)),
    )


def _write_factors(out: Path, drawn: Draw, seed: int) -> None:
    arrays: dict[str, NDArray[Any]] = {"chosen": drawn.chosen}
    for side, latents in (("ads", drawn.ads), ("tracks", drawn.tracks)):
        arrays |= {f"{side}_{field.name}": getattr(latents, field.name) for field in fields(latents)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_file(out / "factors.npz", buffer.getvalue())
    write_json(out / "factors.json", {_track_id(seed, j): f.as_dict() for j, f in drawn.factors.items()})


def _columns(drawn: Draw, seed: int, *, test_only: bool) -> dict[str, NDArray[Any]]:
    pair_id = np.array([_pair_id(seed, i) for i in range(len(drawn.ads))])
    track_id = np.array([_track_id(seed, int(j)) for j in drawn.chosen])
    category = np.array(CATEGORIES)[drawn.ads.category]
    if test_only:
        split = np.full(len(pair_id), "test")
    else:
        rng = np.random.default_rng(np.random.SeedSequence([seed, SPLIT_STREAM]))
        split = split_groups(category, track_id, rng)
    return {
        "pair_id": pair_id,
        "track_id": track_id,
        "category": category,
        "tag": np.array(TAGS)[drawn.ads.tag],
        "split": split,
        "group": track_id,
        "length_s": drawn.length_s,
        "start_s": drawn.start_s,
        "video_path": np.array([f"adverts/{name}.mp4" for name in pair_id]),
        "music_path": np.array([f"tracks/{name}.flac" for name in track_id]),
    }
