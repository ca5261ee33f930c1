"""A pairs.csv whose columns name `.npy` rows in, pairs and their features out.

    pair_id,track_id,category,tag,split,group,valence,video.frames,music.audio,music.emotion,text
    ad1,song9,shoes,boots,train,brand4,.3,clips.npy:0,songs.npy:17,moods.npy:17,words.npy:2
    ad2,song9,shoes,boots,test,brand7,.1,frames/ad2.npy,songs.npy:40:52,moods.npy:17,words.npy:2

Needed are `pair_id`, at least one `video.NAME`, and `music.audio`; every other column may be left out. A
cell names rows of a file, relative to the list: `FILE.npy` all of them, `FILE.npy:17` one, which may itself
be a sequence (n, t, d), `FILE.npy:40:52` those from 40 to 51. One row is a pooled feature, several are a
sequence. `text` is the vector of the row's tag, `valence` a number. Without `split` one is drawn; a track
is the pair's own unless `track_id` says that pairs share it, and a group is its track.
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.artifact import sha256_of
from model.datasets.imports.imported import Imported, as_float32, draw_split, pooled
from model.datasets.layout import MUSIC_ROLES, VALENCE, Layout
from model.datasets.splits import joined
from model.datasets.table import SPLITS, Ragged, first_twice, map_array
from model.errors import BadDataset

LABELS = ("pair_id", "track_id", "category", "tag", "split", "group")
ROLES = "|".join(MUSIC_ROLES)
TAKEN = f"{ROLES}|{VALENCE}|segments|tags"  # names of files that mean something else
FEATURE = re.compile(rf"video\.(?!({TAKEN})$)[a-z][a-z0-9_]*|music\.({ROLES})")
CELL = re.compile(r"(?P<file>.+\.npy)(:(?P<first>\d+)(:(?P<end>\d+))?)?")
HEADER = "pair_id,video.NAME,music.audio[,music.emotion,text,track_id,category,tag,split,group]"
TEST_SHARE, EVALUATION_SHARE = 0.15, 0.12
LARGEST = float(np.finfo(np.float32).max)


class Cell(NamedTuple):
    """Rows of a file."""

    file: str
    first: int | None  # None: all
    end: int | None  # None: the one row `first`
    text: str  # as it stands in the list
    line: int  # where


@dataclass(frozen=True, slots=True)
class Table:
    """A list; n pairs."""

    columns: dict[str, list[str]]  # n cells each
    lines: list[int]  # (n,) of the file, from 1 on


def read_features(pairs_csv: Path, seed: int) -> Imported:
    """Read a list and every row that it names.

    Args:
        pairs_csv: as the module's docstring has it.
        seed: of the split, if the list has none.

    Raises:
        BadDataset: for a list, a cell or a file that cannot be used; the sentence names the line.
    """
    found = _read_table(pairs_csv)
    table, lines = found.columns, found.lines
    columns = {name: np.array(table[name]) for name in LABELS if name in table}
    count = len(columns["pair_id"])
    track = columns.get("track_id", columns["pair_id"])
    group = columns.get("group", track)
    category = columns.get("category", np.full(count, ""))
    named = sorted(name for name in table if FEATURE.fullmatch(name))
    vectors, files = {}, set()
    for name in (*named, *(["text"] if "text" in table else [])):
        cells = [_cell(text, name, line) for line, text in zip(lines, table[name], strict=True)]
        vectors[name] = read_cells(pairs_csv.parent, name, cells)
        files |= {cell.file for cell in cells}
    tag = columns.get("tag", np.full(count, ""))
    tags, tag_vectors = _texts(vectors.pop("text", None), np.where(tag == "", category, tag), lines)
    features = {name.partition(".")[2]: ragged for name, ragged in vectors.items()}
    if VALENCE in table:
        features[VALENCE] = pooled(_numbers(table[VALENCE], lines))
    return Imported(
        kind="features",
        pair_id=columns["pair_id"],
        track_id=track,
        category=category,
        tag=tag,
        split=columns["split"] if "split" in columns else _drawn(category, joined(track, group), seed),
        group=group,
        layout=_layout(named, tags, valence=VALENCE in table),
        features=features,
        tag_vectors=tag_vectors,
        made_by={
            "import": "features",
            "list_sha256": sha256_of(pairs_csv),
            "files_sha256": {file: sha256_of(pairs_csv.parent / file) for file in sorted(files)},
            **({} if "split" in columns else {"seed": seed}),
        },
    )


def read_cells(folder: Path, name: str, cells: Sequence[Cell]) -> Ragged:
    """The rows that each cell names, (t_i, d) float32 each; a file is opened once.

    Raises:
        BadDataset: if a file is missing or no array of numbers, a row is beyond its end, or widths differ.
    """
    by_file: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        by_file.setdefault(cell.file, []).append(i)
    blocks: list[NDArray[np.float32]] = [np.zeros((0, 0), np.float32)] * len(cells)
    for file, rows in by_file.items():
        array = _open(folder / file, cells[rows[0]])
        for i in rows:
            blocks[i] = _taken(array, cells[i])
    for cell, block in zip(cells, blocks, strict=True):
        if block.shape[1] != blocks[0].shape[1]:
            raise BadDataset(
                f"line {cell.line}: {name} has {block.shape[1]} numbers a row, line {cells[0].line} has "
                f"{blocks[0].shape[1]}: one feature has one width"
            )
    lengths = [len(block) for block in blocks]
    times_s = np.concatenate([np.arange(length, dtype=np.float64) for length in lengths])
    return Ragged(np.concatenate(blocks), times_s, np.cumsum([0, *lengths], dtype=np.int64))


def _taken(array: NDArray[Any], cell: Cell) -> NDArray[np.float32]:
    if cell.first is None:
        block = array
    else:
        end = cell.first + 1 if cell.end is None else cell.end
        if not cell.first < end <= len(array):
            last = len(array) - 1
            raise BadDataset(
                f"{cell.file} has rows 0 to {last}: correct the cell {cell.text!r} in line {cell.line}"
            )
        block = array[cell.first] if cell.end is None else array[cell.first : end]
    block = np.atleast_2d(as_float32(block))
    if block.ndim != 2:
        raise BadDataset(
            f"line {cell.line}: {cell.text} gives an array of shape {block.shape}, not rows (t, d): "
            "name rows of it, or export it again"
        )
    return block


def _open(path: Path, cell: Cell) -> NDArray[Any]:
    try:
        array = map_array(path)
    except FileNotFoundError as error:
        raise BadDataset(
            f"line {cell.line}: there is no file {path}: correct the cell {cell.text!r}"
        ) from error
    except (OSError, ValueError) as error:
        raise BadDataset(
            f"line {cell.line}: {cell.file} cannot be read as a .npy file ({error}): export it again"
        ) from error
    if array.dtype.kind not in "fiu" or array.size == 0 or array.ndim == 0:
        raise BadDataset(
            f"line {cell.line}: {cell.file} holds {array.dtype} of shape {array.shape}, not rows of numbers: "
            "export it again"
        )
    return array


def _read_table(pairs_csv: Path) -> Table:
    try:
        with pairs_csv.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadDataset(f"{pairs_csv} cannot be read as UTF-8 CSV ({error}): export it again") from error
    header = numbered[0][1] if numbered else []
    _check_header(header, pairs_csv)
    if len(numbered) < 2:
        raise BadDataset(f"{pairs_csv} has no rows: give each pair one")
    lines, rows = [line for line, _ in numbered[1:]], [row for _, row in numbered[1:]]
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            raise BadDataset(
                f"line {line} of {pairs_csv} has {len(row)} cells, the header has {len(header)}: "
                "give it as many"
            )
    table = Table({name: [row[column] for row in rows] for column, name in enumerate(header)}, lines)
    _check_labels(table, pairs_csv)
    return table


def _check_header(header: Sequence[str], pairs_csv: Path) -> None:
    unknown = [
        name for name in header if name not in (*LABELS, "text", VALENCE) and not FEATURE.fullmatch(name)
    ]
    missing = [name for name in ("pair_id", "music.audio") if name not in header]
    if not any(name.startswith("video.") for name in header):
        missing.append("video.NAME")
    if unknown or missing or len(set(header)) != len(header):
        wrong = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown) or 'a column twice'}"
        raise BadDataset(f"the header of {pairs_csv} is wrong ({wrong}): write {HEADER}")


def _check_labels(table: Table, pairs_csv: Path) -> None:
    columns, lines = table.columns, table.lines
    for name in ("pair_id", "track_id", "group"):
        if "" in columns.get(name, ()):
            line = lines[columns[name].index("")]
            raise BadDataset(f"line {line} of {pairs_csv} has no {name}: give each pair one, or no column")
    twice = first_twice(columns["pair_id"])
    if twice is not None:
        one, two, *_ = (line for line, each in zip(lines, columns["pair_id"], strict=True) if each == twice)
        raise BadDataset(
            f"lines {one} and {two} of {pairs_csv} have the same pair_id, {twice!r}: give each pair its own"
        )
    for line, split in zip(lines, columns.get("split", ()), strict=False):  # there may be no such column
        if split not in SPLITS:
            raise BadDataset(
                f"line {line} of {pairs_csv}: split is {split!r}, not one of {', '.join(SPLITS)}"
            )


def _cell(text: str, name: str, line: int) -> Cell:
    found = CELL.fullmatch(text)
    if found is None:
        raise BadDataset(
            f"line {line}: {name} is {text!r}: write FILE.npy, FILE.npy:ROW or FILE.npy:FIRST:END"
        )
    first, end = found["first"], found["end"]
    rows = (None if first is None else int(first), None if end is None else int(end))
    return Cell(found["file"], *rows, text, line)


def _numbers(texts: Sequence[str], lines: Sequence[int]) -> NDArray[np.float32]:
    """(n, 1)."""
    values = []
    for line, text in zip(lines, texts, strict=True):
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not abs(value) <= LARGEST:
            raise BadDataset(f"line {line}: valence is {text!r}, not a number: correct the cell")
        values.append(value)
    return np.array(values, np.float32)[:, None]


def _texts(
    ragged: Ragged | None, tags: NDArray[np.str_], lines: Sequence[int]
) -> tuple[tuple[str, ...], NDArray[np.float32] | None]:
    """The tags and one vector for each."""
    if ragged is None:
        return (), None
    several = np.flatnonzero(np.diff(ragged.offsets) != 1)
    if len(several):
        raise BadDataset(f"line {lines[several[0]]}: text names several rows: a tag has one vector")
    values = ragged.values
    odd = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(odd):
        raise BadDataset(
            f"line {lines[odd[0]]}: the text vector holds NaN, infinite or too large values: make it again"
        )
    names, first, which = np.unique(tags, return_index=True, return_inverse=True)
    other = np.flatnonzero((values != values[first][which]).any(axis=1))
    if len(other):
        one, two, tag = lines[first[which[other[0]]]], lines[other[0]], str(tags[other[0]])
        raise BadDataset(f"lines {one} and {two} give the tag {tag!r} different vectors: a tag has one")
    return tuple(names.tolist()), values[first]


def _layout(named: Sequence[str], tags: tuple[str, ...], *, valence: bool) -> Layout:
    sides: dict[str, list[str]] = {"video": [], "music": []}
    for name in named:
        side, _, feature = name.partition(".")
        sides[side].append(feature)
    return Layout(tuple(sides["video"]), tuple(sides["music"]), tags, valence)


def _drawn(category: NDArray[np.str_], group: NDArray[np.int64], seed: int) -> NDArray[np.str_]:
    """No group is torn; a category that training would lack has all its pairs there."""
    split = draw_split(category, group.astype(np.str_), seed, test=TEST_SHARE, evaluation=EVALUATION_SHARE)
    unseen = sorted(set(category.tolist()) - set(category[split == "train"].tolist()))
    split[np.isin(group, group[np.isin(category, unseen)])] = "train"
    return split
