"""A folder of finished ads in, a dataset folder out: picture and sound apart, and only ads with music.

What the paper did with 115,000 ads (docs/models.md 1.6): take the sound for the music, drop what has music in
less than half of its time, merge tags to categories, split. Nothing is copied: an ad's own file serves as
picture and as music, since either is read from it without the other.

    OUT/measured/      what was measured of each file; kept, so that another mapping or share costs nothing
        ads.json       every file with its shares of music and voice, what became of it, and why
        pairs.parquet, dataset.json  as in `model.datasets.table`; dataset.json last
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import sha256_of, write_json
from model.datasets.copies import same_music
from model.datasets.labels import read_labels
from model.datasets.measured import Measured, measure_ads
from model.datasets.prepare import SPLIT_SEED, seen_from, split_warnings
from model.datasets.splits import split_three_ways
from model.datasets.table import SPLITS, write_dataset
from model.errors import BadDataset
from model.features.voice import VoiceDetector

SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
        *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".webm", ".wmv"),
    }
)
ID_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Ad:
    """One file of the folder, and what became of it."""

    file: str  # relative to the folder, with slashes
    tag: str
    category: str
    length_s: float  # of the picture; 0 where nothing could be measured
    music_share: float  # of the picture's time, 0..1
    voice_share: float
    left_out: str  # why; "" for an ad that was kept
    track_id: str  # ads of one track hold the same recording; "" for those left out
    split: str


@dataclass(frozen=True, slots=True)
class AdsReport:
    """What became of a folder of ads."""

    kept: int
    tracks: int
    splits: dict[str, int]
    dropped: tuple[Ad, ...]
    ignored: int  # files that are no videos by their names
    warnings: tuple[str, ...]


def prepare_ads(
    ads_dir: Path,
    out: Path,
    *,
    mapping: Path | None,
    min_music: float,
    track_disjoint: bool,
    detector: VoiceDetector,
    processes: int,
    progress: Callable[[int, int], None],
) -> AdsReport:
    """Make a dataset of the usable ads in a folder; a killed run goes on where it was.

    Args:
        ads_dir: searched recursively; hidden files are not looked at.
        out: the dataset folder.
        mapping: as `read_labels` takes it.
        min_music: least share of the time in which there is music; the paper's is 0.5.
        track_disjoint: no recording in two splits; else ads are split one by one, as the paper does.
        detector: hears voices.
        processes: to run on.
        progress: told (files measured, files in all).

    Raises:
        BadDataset: if the folder holds no videos, the mapping does not fit them, or none can be used.
    """
    files, ignored = _find(ads_dir, out)
    names = [file.relative_to(ads_dir).as_posix() for file in files]
    labels = read_labels(mapping).of(ads_dir, names)
    measured = measure_ads(files, out / "measured", detector, processes, progress)
    faults = _faults(names, measured, min_music)
    kept = [i for i, fault in enumerate(faults) if not fault]
    if not kept:
        raise BadDataset(f"no ad of {ads_dir} can be used ({names[0]}: {faults[0]})")
    columns = _columns([measured[i] for i in kept], [labels[i] for i in kept], [files[i] for i in kept], out)
    tracks, category, tag = columns["track_id"], columns["category"], columns["tag"]
    together = tracks if track_disjoint else np.arange(len(tracks))
    columns["split"] = split_three_ways(category, tag, together, np.random.default_rng(SPLIT_SEED))
    placed = dict(zip(kept, zip(tracks.tolist(), columns["split"].tolist(), strict=True), strict=True))
    ads = _ads(names, labels, measured, faults, [placed.get(i, ("", "")) for i in range(len(files))])
    write_json(out / "ads.json", [asdict(ad) for ad in ads])
    manifest = {
        "kind": "ads",
        "min_music": min_music,
        "voice": f"{detector.name}@{detector.version}",
        "mapping_sha256": "" if mapping is None else sha256_of(mapping),
        "track_disjoint": track_disjoint,
        "categories": np.unique(category).tolist(),
        "tags": np.unique(tag).tolist(),
    }
    write_dataset(out, manifest, columns)
    splits = {name: int((columns["split"] == name).sum()) for name in SPLITS}
    dropped = tuple(ad for ad in ads if ad.left_out)
    warnings = _warnings(columns, mapping, track_disjoint)
    return AdsReport(len(kept), len(np.unique(tracks)), splits, dropped, ignored, warnings)


def _find(ads_dir: Path, out: Path) -> tuple[list[Path], int]:
    """Videos by their names, in the order of these, and how many other files there are."""
    if not ads_dir.is_dir():
        raise BadDataset(f"{ads_dir} is no folder: name the folder that the ads lie in")
    own = out.resolve()
    seen = [
        path
        for path in ads_dir.rglob("*")
        if path.is_file() and not _hidden(path.relative_to(ads_dir)) and own not in path.resolve().parents
    ]
    files = sorted(path for path in seen if path.suffix.lower() in SUFFIXES)
    if not files:
        raise BadDataset(f"{ads_dir} holds no videos ({', '.join(sorted(SUFFIXES))}): name another folder")
    return files, len(seen) - len(files)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _faults(names: Sequence[str], measured: Sequence[Measured], min_music: float) -> list[str]:
    """Why each ad cannot be used; "" for those that can."""
    first: dict[str, str] = {}
    faults = []
    for name, ad in zip(names, measured, strict=True):
        same = first.setdefault(ad.sha256, name)
        if ad.fault:
            faults.append(ad.fault)
        elif same != name:
            faults.append(f"the same file as {same}")
        elif ad.music_share < min_music:
            faults.append(
                f"music in {ad.music_share:.0%} of the time, less than {min_music:.0%} "
                f"(a voice in {ad.voice_share:.0%})"
            )
        else:
            faults.append("")
    return faults


def _columns(
    ads: Sequence[Measured], labels: Sequence[tuple[str, str]], files: Sequence[Path], out: Path
) -> dict[str, NDArray[Any]]:
    """Columns of pairs.parquet, all but the split; a track is named by its first ad's contents."""
    group = same_music([ad.landmarks for ad in ads])
    digest = np.array([ad.sha256[:ID_DIGITS] for ad in ads])
    path = np.array([seen_from(out, file) for file in files])
    return {
        "pair_id": digest,
        "track_id": digest[group],
        "group": digest[group],
        "category": np.array([category for _, category in labels]),
        "tag": np.array([tag for tag, _ in labels]),
        "length_s": np.array([ad.length_s for ad in ads]),
        "start_s": np.zeros(len(ads)),
        "video_path": path,
        "music_path": path,
    }


def _ads(
    names: Sequence[str],
    labels: Sequence[tuple[str, str]],
    measured: Sequence[Measured],
    faults: Sequence[str],
    kept: Sequence[tuple[str, str]],
) -> list[Ad]:
    return [
        Ad(
            file=name,
            tag=tag,
            category=category,
            length_s=round(found.length_s, 3),
            music_share=round(found.music_share, 3),
            voice_share=round(found.voice_share, 3),
            left_out=fault,
            track_id=track_id,
            split=split,
        )
        for name, (tag, category), found, fault, (track_id, split) in zip(
            names, labels, measured, faults, kept, strict=True
        )
    ]


def _warnings(
    columns: dict[str, NDArray[Any]], mapping: Path | None, track_disjoint: bool
) -> tuple[str, ...]:
    warnings = [*split_warnings(columns)]
    if any("more than one split" in warning for warning in warnings) and not track_disjoint:
        warnings.append("--track-disjoint keeps every track in one split")
    if mapping is None and len(np.unique(columns["category"])) == 1:
        warnings.append("all ads have one category: sort them into sub-folders, or give a --mapping")
    return tuple(warnings)
