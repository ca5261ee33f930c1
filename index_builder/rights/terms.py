"""Licences in, the same as numpy columns out: what a million tracks are judged by in milliseconds.

Lists of names repeat from track to track, so that a column of them holds a number per track and each
different list once; whether a list has a name is then asked once per list, not once per track.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from index_builder.rights.licence import EVERY, FACTS, LISTS, NOTHING, Licence

# What stands where nobody set a bound; no datetime reaches either.
EVER_BEFORE, NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
BOUNDS = {"exclusive_until": EVER_BEFORE, "valid_from": EVER_BEFORE, "valid_until": NEVER}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FLAG = {None: -1, False: 0, True: 1}


def microseconds(instant: datetime) -> int:
    """Since 1970, exactly: a float of seconds would be coarser than the calendar."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant(since_1970: int) -> datetime:
    """The same back."""
    return _EPOCH + timedelta(microseconds=since_1970)


@dataclass(frozen=True, slots=True)
class Lists:
    """A column of lists of names; in shapes, m tracks."""

    codes: NDArray[np.int32]  # (m,) index into `lists`
    lists: tuple[tuple[str, ...] | None, ...]

    @classmethod
    def of(cls, values: Sequence[tuple[str, ...] | None]) -> Self:
        """One list a track; None where nobody said."""
        found: dict[tuple[str, ...] | None, int] = {}
        codes = np.fromiter((found.setdefault(one, len(found)) for one in values), np.int32, len(values))
        return cls(codes, tuple(found))

    def having(self, name: str) -> NDArray[np.bool_]:
        """(m,) which tracks' lists have a name, or all."""
        has = [one is not None and (name in one or EVERY in one) for one in self.lists]
        return np.array([*has, False])[self.codes]  # never empty, so that no tracks are no error

    def missing(self) -> NDArray[np.bool_]:
        """(m,) of which tracks nobody said."""
        return np.array([*(one is None for one in self.lists), True])[self.codes]

    def put(self, rows: NDArray[np.int64], other: "Lists") -> "Lists":
        """The same with other lists in some rows."""
        codes = self.codes.copy()
        codes[rows] = other.codes + len(self.lists)
        return Lists(codes, self.lists + other.lists)

    def take(self, rows: NDArray[np.int64]) -> "Lists":
        """Some rows; -1 is a track that nobody said anything of."""
        return Lists(np.append(self.codes, np.int32(len(self.lists)))[rows], (*self.lists, None))


@dataclass(frozen=True, slots=True)
class Terms:
    """Licences as columns; in shapes, m tracks."""

    lists: dict[str, Lists]  # by LISTS
    bounds: dict[str, NDArray[np.int64]]  # by BOUNDS, (m,) microseconds since 1970
    product_link: NDArray[np.int8]  # (m,) -1 where nobody said
    known: NDArray[np.bool_]  # (m,) somebody said something
    unreadable: NDArray[np.uint8]  # (m,) a bit for each of FACTS
    withdrawn: NDArray[np.bool_]  # (m,)

    def __len__(self) -> int:
        return len(self.known)

    @classmethod
    def of(cls, licences: Sequence[Licence]) -> Self:
        """One licence a track."""
        return cls(
            lists={name: Lists.of([getattr(one, name) for one in licences]) for name in LISTS},
            bounds={name: _bounds(licences, name, none) for name, none in BOUNDS.items()},
            product_link=np.array([_FLAG[one.product_link] for one in licences], np.int8),
            known=np.array([one.known for one in licences], np.bool_),
            unreadable=np.array([_bits(one.unreadable) for one in licences], np.uint8),
            withdrawn=np.array([one.withdrawn for one in licences], np.bool_),
        )

    def take(self, rows: NDArray[np.int64]) -> "Terms":
        """Some rows; -1 is a track that nobody said anything of."""
        nothing = Terms.of([NOTHING])
        return Terms(
            lists={name: column.take(rows) for name, column in self.lists.items()},
            bounds={
                name: np.append(column, nothing.bounds[name])[rows] for name, column in self.bounds.items()
            },
            **{name: np.append(getattr(self, name), getattr(nothing, name))[rows] for name in _PLAIN},
        )

    def put(self, rows: NDArray[np.int64], others: "Terms") -> "Terms":
        """The same with other licences in some rows."""
        return Terms(
            lists={name: column.put(rows, others.lists[name]) for name, column in self.lists.items()},
            bounds={name: _with(column, rows, others.bounds[name]) for name, column in self.bounds.items()},
            **{name: _with(getattr(self, name), rows, getattr(others, name)) for name in _PLAIN},
        )

    def facts(self, row: int) -> dict[str, Any]:
        """A row again as the fields of `Licence`, but for its licence_id."""
        lists = {name: column.lists[column.codes[row]] for name, column in self.lists.items()}
        bounds = {
            name: None if column[row] == BOUNDS[name] else instant(int(column[row]))
            for name, column in self.bounds.items()
        }
        flag = int(self.product_link[row])
        return {
            **lists,
            **bounds,
            "product_link": None if flag < 0 else bool(flag),
            "unreadable": tuple(name for bit, name in enumerate(FACTS) if self.unreadable[row] >> bit & 1),
            "withdrawn": bool(self.withdrawn[row]),
        }

    def boundaries(self) -> NDArray[np.int64]:
        """Ascending, each once: every instant at which some track's licence changes by itself."""
        found = np.unique(np.concatenate([np.unique(column) for column in self.bounds.values()]))
        inside: NDArray[np.int64] = found[(found != EVER_BEFORE) & (found != NEVER)]
        return inside


_PLAIN = ("product_link", "known", "unreadable", "withdrawn")


def _bounds(licences: Sequence[Licence], name: str, none: int) -> NDArray[np.int64]:
    values = (getattr(one, name) for one in licences)
    found = (none if value is None else microseconds(value) for value in values)
    return np.fromiter(found, np.int64, len(licences))


def _bits(names: Sequence[str]) -> int:
    return sum(1 << FACTS.index(name) for name in names)


def _with(column: NDArray[Any], rows: NDArray[np.int64], values: NDArray[Any]) -> NDArray[Any]:
    changed = column.copy()
    changed[rows] = values
    return changed
