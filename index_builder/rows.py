"""A pool's catalogue.csv, .jsonl or .parquet in, its rows as dictionaries out."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from model.errors import BadPool

Row = dict[str, Any]  # column -> value; in CSV every value is text


def find_catalogue(pool: Path) -> Path | None:
    """The catalogue of a pool, if it has one.

    Raises:
        BadPool: if there are several, since nobody could say which is meant.
    """
    found = [pool / f"catalogue.{kind}" for kind in ("csv", "jsonl", "parquet")]
    found = [path for path in found if path.is_file()]
    if len(found) > 1:
        raise BadPool(f"{pool} holds {' and '.join(path.name for path in found)}: keep one of them")
    return found[0] if found else None


def read_rows(path: Path) -> list[tuple[int, Row]]:
    """Every row with its place (a line number, or a row number for Parquet), from 1.

    Columns are in small letters and without spaces around: `Valid_Until` or ` valid_until` that were taken
    for a column nobody knows would let expired music out.

    Raises:
        BadPool: if the file cannot be read as what its name says, or two columns have the same name then.
    """
    readers: dict[str, Callable[[Path], Iterator[tuple[int, Row]]]] = {
        ".csv": _csv,
        ".jsonl": _jsonl,
        ".parquet": _parquet,
    }
    try:
        return [(place, _folded(row, path, place)) for place, row in readers[path.suffix](path)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadPool(f"{path} cannot be read ({error}): save it as UTF-8 text") from error


def _folded(row: Row, path: Path, place: int) -> Row:
    folded = {column.strip().lower(): value for column, value in row.items()}
    if len(folded) < len(row):
        raise BadPool(f"{path}, row {place}: two columns differ only in spaces or capitals: keep one of them")
    return folded


def _csv(path: Path) -> Iterator[tuple[int, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:  # spreadsheets write a byte order mark
        reader = csv.DictReader(file)
        for row in reader:
            if None in row or None in row.values():
                raise BadPool(f"{path}, line {reader.line_num}: not as many values as the header has columns")
            yield reader.line_num, row


def _jsonl(path: Path) -> Iterator[tuple[int, Row]]:
    for line, text in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except ValueError as error:
            raise BadPool(f"{path}, line {line}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise BadPool(f"{path}, line {line}: not a JSON object")
        yield line, row


def _parquet(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError as error:
        raise BadPool(
            f"{path.name} needs pyarrow: 'pip install pyarrow', or save it as catalogue.csv"
        ) from error
    try:
        rows: list[Row] = parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise BadPool(f"{path} is no Parquet file ({error})") from error
    yield from enumerate(rows, 1)
