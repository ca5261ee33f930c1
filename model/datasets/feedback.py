"""What editors did with recommended tracks in, a dataset of what they used out; what could not be, and why.

Of one track under one video the last word counts: who rejected it and then exported it has used it. A track
that is exported or kept is a pair, and one that is only marked as a favourite if that is wanted; one that is
rejected is no pair, but listed, for systems that learn from those.

    OUT/pairs.csv       the pairs, as `model.datasets.prepare` takes them, which makes the dataset of them
        negatives.csv   the rejected ones in the same form; start_s may be empty
        left_out.csv    the others: video, track, what was said last, and why it is none of both
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from model.artifact import sha256_of
from model.datasets.ads import SUFFIXES
from model.datasets.labels import read_labels
from model.datasets.prepare import NEEDED, SPLIT_SEED, PrepareReport, prepare_pairs, seen_from
from model.datasets.splits import split_groups
from model.errors import BadDataset

USED = ("exported", "kept")
STRENGTH = {"played": 0, "favourited": 1, "exported": 2, "kept": 3}


class Event(Protocol):
    """One thing that somebody did; `at` is ISO 8601 in UTC, always as long."""

    @property
    def track_id(self) -> str: ...  # noqa: D102
    @property
    def event(self) -> str: ...  # noqa: D102
    @property
    def at(self) -> str: ...  # noqa: D102
    @property
    def video_sha256(self) -> str | None: ...  # noqa: D102
    @property
    def start_s(self) -> float | None: ...  # noqa: D102
    @property
    def snapshot(self) -> str | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last word on a track under a video."""

    video_sha256: str
    track_id: str
    said: str
    start_s: float | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Music:
    """A file that a track was."""

    path: Path
    sha256: str


# (track_id, snapshot of the answer) -> its file, wherever it should be; None for a track that nobody knows.
FindMusic = Callable[[str, str | None], Sequence[Music]]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What became no pair."""

    verdict: Verdict
    reason: str
    lost: bool  # it was meant to be one


@dataclass(frozen=True, slots=True)
class FeedbackReport:
    """What became of the events of a store."""

    events: int
    unnamed: int  # events without a video, which nobody can make a pair of
    prepared: PrepareReport
    negatives: int
    left_out: tuple[LeftOut, ...]

    def reasons(self) -> list[tuple[str, int]]:
        """Why how many were left out, most first."""
        return Counter(one.reason for one in self.left_out).most_common()

    @property
    def lost(self) -> int:
        """How many should have been pairs and are not."""
        return sum(one.lost for one in self.left_out)


def verdicts(events: Iterable[Event]) -> list[Verdict]:
    """The last word on each track under each video, in the order of video and track."""
    said: dict[tuple[str, str], Verdict] = {}
    for event in sorted(events, key=lambda one: one.at):  # of equal times the later line
        if event.video_sha256 is None:
            continue
        key = event.video_sha256, event.track_id
        said[key] = _after(said.get(key) or Verdict(*key, "played"), event)
    return [said[key] for key in sorted(said)]


def _after(before: Verdict, event: Event) -> Verdict:
    snapshot = event.snapshot or before.snapshot
    if event.event == "played":
        return replace(before, snapshot=snapshot)
    if event.event == "rejected" or before.said == "rejected":  # what was said before does not count
        return replace(before, said=event.event, start_s=event.start_s, snapshot=snapshot)
    if STRENGTH[event.event] < STRENGTH[before.said]:
        return replace(before, start_s=event.start_s if before.start_s is None else before.start_s)
    start_s = before.start_s if event.start_s is None else event.start_s
    return replace(before, said=event.event, start_s=start_s, snapshot=snapshot)


def dataset_from_feedback(
    events: Sequence[Event],
    out: Path,
    *,
    videos: Path,
    find: FindMusic,
    mapping: Path | None,
    favourited: bool,
    track_disjoint: bool,
    progress: Callable[[int, int], None],
) -> FeedbackReport:
    """Make a dataset of the tracks that were used.

    Args:
        events: each once.
        out: the dataset folder.
        videos: where the shop keeps its cuts, searched recursively by content; the sub-folder that one lies
            in is its tag, as with a folder of ads.
        find: the files that a track may be.
        mapping: of tags to categories, as `read_labels` takes it.
        favourited: whether a favourite is a pair, too.
        track_disjoint: no track in two splits; else only no video in two, since a pool is small and its best
            tracks are under many videos.
        progress: told (files hashed, files in all).

    Raises:
        BadDataset: if nothing is left, or the mapping does not fit.
    """
    found = verdicts(events)
    wanted = {one.video_sha256 for one in found if one.said != "played"}
    maker = _Maker(_videos(videos, wanted, progress), find, (*USED, "favourited") if favourited else USED)
    rows: dict[str, list[_Row]] = {"pairs": [], "negatives": []}
    left_out: list[LeftOut] = []
    for verdict in found:
        made = maker.row(verdict)
        if isinstance(made, LeftOut):
            left_out.append(made)
        else:
            rows["negatives" if verdict.said == "rejected" else "pairs"].append(made)
    if not rows["pairs"]:
        raise BadDataset(_nothing(events, found, left_out))
    out.mkdir(parents=True, exist_ok=True)
    labels = _labels(mapping, videos, [*rows["pairs"], *rows["negatives"]])
    _write(out / "negatives.csv", NEEDED, (_cells(row, out, labels) for row in rows["negatives"]))
    prepared = _prepare(rows["pairs"], out, labels, track_disjoint)
    left_out += [LeftOut(rows["pairs"][line - 2].verdict, reason, True) for line, reason in prepared.dropped]
    _write(
        out / "left_out.csv",
        ("video_sha256", "track_id", "said", "reason"),
        ((one.verdict.video_sha256, one.verdict.track_id, one.verdict.said, one.reason) for one in left_out),
    )
    unnamed = sum(one.video_sha256 is None for one in events)
    return FeedbackReport(len(events), unnamed, prepared, len(rows["negatives"]), tuple(left_out))


@dataclass(frozen=True, slots=True)
class _Row:
    verdict: Verdict
    video: Path
    music: Path


@dataclass(frozen=True, slots=True)
class _Maker:
    videos: dict[str, Path]  # by sha256
    find: FindMusic
    pairs_of: tuple[str, ...]
    digests: dict[Path, str] = field(default_factory=dict)  # of music

    def row(self, verdict: Verdict) -> "_Row | LeftOut":
        """The files of a verdict, or why there are none."""
        rejected = verdict.said == "rejected"
        if not rejected and verdict.said not in self.pairs_of:
            return LeftOut(verdict, f"only {verdict.said}", False)
        if not rejected and verdict.start_s is None:
            return LeftOut(verdict, "no start_s: nobody said where in the track the music began", True)
        video = self.videos.get(verdict.video_sha256)
        if video is None:
            return LeftOut(verdict, "the folder of videos has no file with these bytes", not rejected)
        music = self._music(verdict)
        if isinstance(music, str):
            return LeftOut(verdict, music, not rejected)
        return _Row(verdict, video, music)

    def _music(self, verdict: Verdict) -> Path | str:
        places = self.find(verdict.track_id, verdict.snapshot)
        if not places:
            return "no snapshot of the store has this track any more"
        there = [place for place in places if _listable(place.path) and place.path.is_file()]
        if not there:
            return "the track's file is in none of the pools"
        same = [place.path for place in there if self._sha256_of(place.path) == place.sha256]
        return same[0] if same else "the track's file is another one now than was recommended"

    def _sha256_of(self, path: Path) -> str:
        if path not in self.digests:  # the best tracks lie under many videos
            self.digests[path] = sha256_of(path)
        return self.digests[path]


def _videos(folder: Path, wanted: set[str], progress: Callable[[int, int], None]) -> dict[str, Path]:
    """The first file by name with each content that is wanted."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and _listable(path) and path.is_file()
    )
    found: dict[str, Path] = {}
    for done, path in enumerate(files, start=1):
        if wanted <= found.keys():
            break
        digest = sha256_of(path)
        if digest in wanted:
            found.setdefault(digest, path)
        progress(done, len(files))
    return found


def _listable(path: Path) -> bool:
    """Whether it can stand in a list, one line each; hidden files are not looked at."""
    return not path.name.startswith(".") and "\n" not in str(path) and "\r" not in str(path)


def _labels(mapping: Path | None, videos: Path, rows: Sequence[_Row]) -> dict[Path, tuple[str, str]]:
    """Tag and category of each video."""
    files = sorted({row.video for row in rows})
    names = [file.relative_to(videos).as_posix() for file in files]
    return dict(zip(files, read_labels(mapping).of(videos, names), strict=True))


def _cells(row: _Row, out: Path, labels: dict[Path, tuple[str, str]]) -> tuple[object, ...]:
    """As `NEEDED`."""
    start_s = "" if row.verdict.start_s is None else row.verdict.start_s
    return seen_from(out, row.video), seen_from(out, row.music), start_s, labels[row.video][1]


def _prepare(
    rows: Sequence[_Row], out: Path, labels: dict[Path, tuple[str, str]], track_disjoint: bool
) -> PrepareReport:
    """The list of pairs and, as for any shop's own list, the dataset."""
    names: tuple[str, ...] = (*NEEDED, "tag", "group")
    cells = [(*_cells(row, out, labels), labels[row.video][0], row.verdict.video_sha256[:16]) for row in rows]
    if not track_disjoint:
        category, group = (np.array([each[at] for each in cells]) for at in (3, 5))
        numbered = np.unique(group, return_inverse=True)[1]
        split = split_groups(category, numbered, np.random.default_rng(SPLIT_SEED))
        names = (*names, "split")
        cells = [(*each, one) for each, one in zip(cells, split.tolist(), strict=True)]
    _write(out / "pairs.csv", names, cells)
    return prepare_pairs(out / "pairs.csv", out)


def _write(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)


def _nothing(events: Sequence[Event], found: Sequence[Verdict], left_out: Sequence[LeftOut]) -> str:
    if not events:
        return "the store has no feedback yet: let the editors' tool send POST /v1/feedback"
    if not found:
        return "no event says which video it is of: send video_sha256 with POST /v1/feedback"
    reasons = Counter(one.reason for one in left_out if one.lost).most_common(1)
    why = f"{reasons[0][1]} x {reasons[0][0]}" if reasons else "none was exported or kept"
    return f"no pair can be made of {len(events)} events ({why})"
