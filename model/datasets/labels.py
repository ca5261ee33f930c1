"""A mapping file in, the tag and the category of every ad in a folder out.

An ad's tag says what is sold, its category is one of a few that tags are merged to (docs/models.md 1.6). The
tag is the name of the sub-folder of the ads that the file lies in, at the top; of the ads' own folder for one
that lies in none. Without a mapping a tag is its own category. A mapping is CSV or JSON:

    tag,category          tag,category,file                  {"categories": {"suits": "clothing"},
    suits,clothing        suits,clothing,                     "files": {"spring/one.mp4": "suits"}}
    hats,clothing         suits,,spring/one.mp4

A row with a `file`, relative to the folder of the ads, gives that one its tag, wherever it lies.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from model.errors import BadDataset

COLUMNS = ("tag", "category", "file")
NAMED = 3  # faults that a message lists


@dataclass(frozen=True, slots=True)
class Labels:
    """What a mapping file says."""

    source: Path | None
    category_of: Mapping[str, str]  # by tag; without a file every tag is its own
    tag_of: Mapping[str, str]  # by file

    def of(self, ads_dir: Path, names: Sequence[str]) -> list[tuple[str, str]]:
        """Tag and category of each ad.

        Args:
            ads_dir: the folder of the ads.
            names: of files in it, relative, with slashes.

        Raises:
            BadDataset: if a tag has no category.
        """
        tags = [self.tag_of.get(name) or _folder_tag(ads_dir, name) for name in names]
        if self.source is None:
            return [(tag, tag) for tag in tags]
        unknown = {tag: name for tag, name in zip(tags, names, strict=True) if tag not in self.category_of}
        if unknown:
            which = _listed(f"{tag!r} of {name}" for tag, name in unknown.items())
            raise BadDataset(f"{self.source} has no category for {which}: give each tag one")
        return [(tag, self.category_of[tag]) for tag in tags]


def read_labels(path: Path | None) -> Labels:
    """Read a mapping file; None means that sub-folders are tags and categories.

    Raises:
        BadDataset: if it cannot be read, or says two things of one tag or file.
    """
    if path is None:
        return Labels(None, {}, {})
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadDataset(f"the mapping {path} cannot be read as UTF-8 text ({error})") from error
    rows = _json_rows(text, path) if path.suffix.lower() == ".json" else _csv_rows(text, path)
    category_of: dict[str, str] = {}
    tag_of: dict[str, str] = {}
    for place, tag, category, file in rows:
        if not tag:
            raise BadDataset(f"{path}, {place}: there is no tag")
        if category and category_of.setdefault(tag, category) != category:
            raise BadDataset(f"{path}, {place}: {tag!r} is {category_of[tag]!r} elsewhere, not {category!r}")
        name = str(PurePosixPath(file)) if file else ""
        if name and tag_of.setdefault(name, tag) != tag:
            raise BadDataset(f"{path}, {place}: {name} is {tag_of[name]!r} elsewhere, not {tag!r}")
    bare = sorted(set(tag_of.values()) - set(category_of))
    if bare or not category_of:
        raise BadDataset(f"{path} has no category for {_listed(bare) or 'any tag'}: give each tag one")
    return Labels(path, category_of, tag_of)


def _folder_tag(ads_dir: Path, name: str) -> str:
    parts = PurePosixPath(name).parts
    return parts[0] if len(parts) > 1 else ads_dir.resolve().name


def _listed(faults: Iterable[str]) -> str:
    every = list(faults)
    rest = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + rest


def _csv_rows(text: str, path: Path) -> list[tuple[str, str, str, str]]:
    try:
        reader = csv.DictReader(text.splitlines(), restkey="", restval="")
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise BadDataset(f"the mapping {path} is no CSV ({error}): export it again") from error
    if not {"tag", "category"} <= set(header) <= set(COLUMNS) or len(set(header)) != len(header):
        raise BadDataset(
            f"the header of the mapping {path} is {','.join(header)!r}: write tag,category[,file]"
        )
    beyond = next((line for line, row in rows if "" in row), None)
    if beyond is not None:
        raise BadDataset(f"{path}, line {beyond}: more cells than columns, quote values that hold a comma")
    return [(f"line {line}", *_cells(row)) for line, row in rows]


def _cells(row: Mapping[str, str]) -> tuple[str, str, str]:
    tag, category, file = (row.get(name, "").strip() for name in COLUMNS)
    return tag, category, file


def _json_rows(text: str, path: Path) -> list[tuple[str, str, str, str]]:
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise BadDataset(f"the mapping {path} is no JSON ({error}): correct it") from error
    parts = found if isinstance(found, dict) else {}
    categories: Any = parts.get("categories")
    files: Any = parts.get("files", {})
    if not (set(parts) <= {"categories", "files"} and _is_of_texts(categories) and _is_of_texts(files)):
        raise BadDataset(
            f'the mapping {path} has another form than {{"categories": {{"tag": "category"}}, '
            '"files": {"file": "tag"}}: correct it'
        )
    rows = [("categories", tag, category, "") for tag, category in categories.items()]
    return rows + [("files", tag, "", file) for file, tag in files.items()]


def _is_of_texts(found: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
