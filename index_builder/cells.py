"""One catalogue row in, typed facts out; a value that makes no sense is warned about and left out."""

import math
import re
from dataclasses import dataclass

from index_builder.rights.licence import FACTS as LICENCE_FACTS
from index_builder.rows import Row

IDENTITY = {"path", "track_id", "external_id"}
FACTS = {"title", "artist", "genres", "moods", "bpm", "key", "vocals", "explicit"}
RIGHTS = set(LICENCE_FACTS)
YES, NO = ("true", "yes", "y", "1"), ("false", "no", "n", "0")


def rights_columns(rows: list[tuple[int, Row]]) -> frozenset[str]:
    """The columns of licences that any row has, be it empty."""
    return frozenset(RIGHTS & {column for _, row in rows for column in row})


def odd_columns(rows: list[tuple[int, Row]]) -> list[str]:
    """Warnings about columns that we do not use."""
    columns = {column for _, row in rows for column in row}
    warnings = []
    unknown = sorted(columns - IDENTITY - FACTS - RIGHTS)
    if unknown:
        warnings.append(f"the catalogue has columns that are not known and not used: {', '.join(unknown)}")
    return warnings


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the cells of one row."""

    row: Row
    place: int  # of the row, for messages
    warnings: list[str]  # grows

    def text(self, column: str) -> str | None:
        """Anything as text; empty is missing."""
        value = self.row.get(column)
        return None if value is None else str(value).strip() or None

    def positive(self, column: str) -> float | None:
        """A number above 0."""
        text = self.text(column)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            self._odd(column, text, "a number above 0")
            return None
        return number

    def flag(self, column: str) -> bool | None:
        """Yes or no."""
        try:
            return self.is_yes(column)
        except ValueError:
            self._odd(column, self.text(column) or "", "yes or no")
            return None

    def is_yes(self, column: str) -> bool | None:
        """The same, where a cell that is neither must not pass for an empty one; raises `ValueError`."""
        text = self.text(column)
        if text is None:
            return None
        if text.lower() not in YES + NO:
            raise ValueError("neither yes nor no")
        return text.lower() in YES

    def names(self, column: str) -> tuple[str, ...]:
        """A list, or text parted by ; or | or, where there is neither, by commas."""
        value = self.row.get(column)
        if isinstance(value, list):
            parts = [str(one) for one in value]
        else:
            text = self.text(column) or ""
            parts = re.split(r"[;|]" if re.search(r"[;|]", text) else ",", text)
        return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))

    def _odd(self, column: str, text: str, wanted: str) -> None:
        self.warnings.append(
            f"row {self.place} of the catalogue: {column} is {text!r}, not {wanted}: left out"
        )
