"""A shop's own list of finished ads in, a dataset folder out; nothing is copied, only paths are kept."""

import csv
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.artifact import canonical_json, sha256_of
from model.datasets.splits import joined, split_groups
from model.datasets.table import SPLITS, write_dataset
from model.errors import BadDataset, MediaError
from model.media.audio import read_audio
from model.media.container import open_container, open_source, video_stream
from model.media.packets import read_packets
from model.media.streams import VideoLimits

NEEDED = ("video", "music", "start_s", "category")
OPTIONAL = ("tag", "split", "group")
SPLIT_SEED = 0  # one list, one split, whenever it is prepared
PROBE_RATE_HZ, PROBE_S = 8_000, 0.2  # enough sound to know that the clip's start lies inside the music


class BadRow(NamedTuple):
    """A row that was left out."""

    line: int  # in the file, the header is line 1
    reason: str


@dataclass(frozen=True, slots=True)
class PrepareReport:
    """What became of a list of pairs."""

    kept: int  # pairs
    tracks: int
    dropped: tuple[BadRow, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Pair:
    video: Path
    music: Path
    music_sha256: str
    start_s: float
    length_s: float
    category: str
    tag: str
    split: str
    group: str


def prepare_pairs(pairs_csv: Path, out: Path) -> PrepareReport:
    """Check every row of a list `video,music,start_s,category[,tag,split,group]` and write a dataset.

    Paths are relative to the list. A row that cannot be used is left out and reported. Without a split
    column the split is drawn: by category in proportion, and no track and no group in two splits.

    Raises:
        BadDataset: if the list cannot be read, its columns are wrong, or no row is left.
    """
    rows = _read_rows(pairs_csv)
    digests: dict[Path, str] = {}
    good: dict[str, _Pair] = {}  # by pair_id
    dropped: list[BadRow] = []
    for line, row in rows:
        checked = _check_row(row, pairs_csv.parent, digests)
        if isinstance(checked, str):
            dropped.append(BadRow(line, checked))
        elif (pair_id := _pair_id(checked)) in good:
            dropped.append(BadRow(line, "the same video, music and start_s stand above"))
        else:
            good[pair_id] = checked
    if not good:
        first = f"line {dropped[0].line}: {dropped[0].reason}" if dropped else "the list has no rows"
        raise BadDataset(f"no row of {pairs_csv} can be used ({first}): correct the list")
    columns = _columns(good, out, given_split="split" in rows[0][1])
    out.mkdir(parents=True, exist_ok=True)
    manifest = {
        "kind": "pairs",
        "list_sha256": sha256_of(pairs_csv),
        "categories": sorted(set(columns["category"].tolist())),
        "tags": sorted(set(columns["tag"].tolist())),
    }
    write_dataset(out, manifest, columns)
    tracks = len(set(columns["track_id"].tolist()))
    return PrepareReport(len(good), tracks, tuple(dropped), split_warnings(columns))


def _read_rows(pairs_csv: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        with pairs_csv.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", restval="")
            header = [name.strip() for name in reader.fieldnames or []]
            _check_header(header, pairs_csv)
            reader.fieldnames = header
            return [(reader.line_num, _stripped(row)) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadDataset(f"{pairs_csv} cannot be read as UTF-8 CSV ({error}): export it again") from error


def _stripped(row: dict[str, Any]) -> dict[str, str]:
    # What stands beyond the last column comes as a list under "": kept, so that the row is refused.
    return {
        name: (value.strip() if isinstance(value, str) else ",".join(value)) for name, value in row.items()
    }


def _check_header(header: Sequence[str], pairs_csv: Path) -> None:
    missing = [name for name in NEEDED if name not in header]
    unknown = [name for name in header if name not in NEEDED + OPTIONAL]
    if missing or unknown or len(set(header)) != len(header):
        wrong = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown) or 'a column twice'}"
        raise BadDataset(
            f"the header of {pairs_csv} is wrong ({wrong}): write {','.join(NEEDED)}[,{','.join(OPTIONAL)}]"
        )


def _check_row(row: dict[str, str], base: Path, digests: dict[Path, str]) -> _Pair | str:
    """The pair of a row, or the reason why it cannot be used."""
    wrong = _wrong_text(row)
    if wrong:
        return wrong
    video, music, start_s = base / row["video"], base / row["music"], float(row["start_s"])
    for path in (video, music):
        if not path.is_file():
            return f"there is no file {path}"
    try:
        length_s = picture_length_s(video)
        clip = read_audio(music, PROBE_RATE_HZ, start_s=start_s, duration_s=PROBE_S)
    except (MediaError, OSError) as error:
        return f"{video.name} with {music.name}: {error}"
    if len(clip) == 0:
        return f"start_s {start_s:g} lies behind the end of {music.name}"
    if music not in digests:
        digests[music] = sha256_of(music)
    return _Pair(
        video=video,
        music=music,
        music_sha256=digests[music],
        start_s=start_s,
        length_s=length_s,
        category=row["category"],
        tag=row.get("tag", "") or row["category"],
        split=row.get("split", ""),
        group=row.get("group", ""),
    )


def _wrong_text(row: dict[str, str]) -> str | None:
    if "" in row:
        return f"more cells than columns ({row['']}): quote values that hold a comma"
    empty = [name for name in NEEDED if not row[name]]
    if empty:
        return f"{', '.join(empty)} is empty"
    try:
        start_s = float(row["start_s"])
    except ValueError:
        return f"start_s is {row['start_s']!r}, not a number of seconds"
    if not 0 <= start_s < float("inf"):
        return f"start_s is {row['start_s']}, not a time in the music"
    if "split" in row and row["split"] not in SPLITS:
        return f"split is {row['split']!r}, not one of {', '.join(SPLITS)}"
    return None


def picture_length_s(video: Path) -> float:
    """Length by the packets' times; also shows that the header can be read."""
    limits = VideoLimits()
    with open_source(video, limits) as file, open_container(file, "video") as container:
        return read_packets(container, video_stream(container, limits), limits).shown.table().duration_s


def _columns(good: dict[str, _Pair], out: Path, *, given_split: bool) -> dict[str, NDArray[Any]]:
    pairs = list(good.values())
    track_id = np.array([pair.music_sha256[:16] for pair in pairs])
    category = np.array([pair.category for pair in pairs])
    group = np.array([pair.group or pair.music_sha256[:16] for pair in pairs])
    if given_split:
        split = np.array([pair.split for pair in pairs])
    else:
        split = split_groups(category, joined(track_id, group), np.random.default_rng(SPLIT_SEED))
    return {
        "pair_id": np.array(list(good)),
        "track_id": track_id,
        "category": category,
        "tag": np.array([pair.tag for pair in pairs]),
        "split": split,
        "group": group,
        "length_s": np.array([pair.length_s for pair in pairs]),
        "start_s": np.array([pair.start_s for pair in pairs]),
        "video_path": np.array([seen_from(out, pair.video) for pair in pairs]),
        "music_path": np.array([seen_from(out, pair.music) for pair in pairs]),
    }


def _pair_id(pair: _Pair) -> str:
    """Follows from what the pair is, not from its line: features of another list never pass for its own."""
    what = [str(pair.video.resolve()), pair.video.stat().st_size, pair.music_sha256, pair.start_s]
    return hashlib.sha256(canonical_json(what).encode()).hexdigest()[:16]


def seen_from(folder: Path, path: Path) -> str:
    """How a path is written in a dataset folder: relative to it."""
    return os.path.relpath(path.resolve(), folder.resolve())


def split_warnings(columns: dict[str, NDArray[Any]]) -> tuple[str, ...]:
    """What is odd about the splits of a dataset's columns."""
    splits = set(columns["split"].tolist())
    warnings = [f"the split {name!r} is empty" for name in ("train", "evaluation") if name not in splits]
    if splits == {"test"}:
        warnings = []
    torn = {
        track
        for track in set(columns["track_id"].tolist())
        if len(set(columns["split"][columns["track_id"] == track].tolist())) > 1
    }
    if torn:
        warnings.append(f"{len(torn)} tracks are in more than one split: figures will flatter the model")
    return tuple(warnings)
