"""The rights columns of a catalogue row in, a licence out; a cell that makes no sense is never read as free.

A track with such a cell is not returned until it is corrected: an end that cannot be read is an end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from index_builder.rights.licence import (
    FACTS,
    INSTANTS,
    LISTS,
    LONGEST_NAME,
    NOTHING,
    Licence,
    instant_of,
    names_of,
    territories_of,
    written,
)
from index_builder.rights.told import Catalogued
from index_builder.rights.versions import Rights

SAID_SINGLY = 20  # warnings about cells; of more, only how many


class Cells(Protocol):
    """What `read_licence` needs of a row."""

    def text(self, column: str) -> str | None:
        """A cell; empty is None."""

    def names(self, column: str) -> tuple[str, ...]:
        """A cell that is a list."""

    def is_yes(self, column: str) -> bool | None:
        """Yes or no, None where empty; raises `ValueError`."""


def read_licence(cells: Cells, warn: Callable[[str, str, str], None]) -> Licence:
    """The licence of a row; `warn` is told the column, the cell and the fault of each that makes no sense."""
    found: dict[str, Any] = {}
    unreadable = []
    for column in FACTS:
        text = cells.text(column)
        if text is None:
            continue
        try:
            found[column] = _read(cells, column, text)
        except ValueError as error:
            unreadable.append(column)
            warn(column, text, str(error))
    licence = Licence(**found, unreadable=tuple(unreadable)) if found or unreadable else NOTHING
    begins, ends = licence.valid_from, licence.valid_until
    if begins and ends and begins >= ends:
        warn("valid_until", written(ends), f"not after valid_from {written(begins)}")
    return licence


def _read(cells: Cells, column: str, text: str) -> Any:
    if column in INSTANTS:
        return instant_of(text)
    if column in LISTS:
        names = cells.names(column)
        return (territories_of(names) if column == "territories" else names_of(names)) or None
    if column == "product_link":
        return cells.is_yes(column)
    if len(text) > LONGEST_NAME:
        raise ValueError(f"a licence_id has at most {LONGEST_NAME} characters")
    return text


@dataclass(slots=True)
class Faults:
    """Says the first faulty cells one by one; a column in the wrong format must not fill the screen."""

    warnings: list[str]  # grows
    said: int = 0

    def of(self, place: int) -> Callable[[str, str, str], None]:
        """For `read_licence`, of the row at `place`."""

        def warn(column: str, text: str, fault: str) -> None:
            self.said += 1
            if self.said <= SAID_SINGLY:
                self.warnings.append(f"row {place} of the catalogue: {column} is {text[:60]!r}: {fault}")
            elif self.said == SAID_SINGLY + 1:
                self.warnings.append("and more faulty cells of licences, which are not listed")

        return warn


def remarks(catalogued: Catalogued, track_ids: Sequence[str], before: Rights, after: Rights) -> list[str]:
    """What a manager should know when a catalogue was taken in: who will not be returned, and what stays.

    Args:
        catalogued: what the catalogue said.
        track_ids: of the index that was built, ascending.
        before: the rights without it.
        after: the rights with it.
    """
    if not after.any_known:
        return ["no track has licence facts any more: every track may be returned"] * before.any_known
    terms, _ = after.terms(after.told.along(track_ids))
    found = [] if catalogued.columns else ["the catalogue has no rights columns: licences stay as they were"]
    if faulty := int(np.count_nonzero(terms.unreadable)):
        found.append(f"{faulty} tracks are not returned until the cells of their licences are corrected")
    if unknown := int(np.count_nonzero(~terms.known)):
        found.append(
            f"{unknown} of {len(terms)} tracks have no licence facts: they are not returned, since others "
            "have some (YUYIN_UNKNOWN_LICENCES)"
        )
    for name, column in terms.lists.items():
        if empty := int(np.count_nonzero(column.missing() & terms.known)):
            found.append(
                f"{empty} licences name no {name}: they are not returned to those who ask for one; "
                "write * for every one"
            )
    return found
