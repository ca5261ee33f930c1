"""What catalogues say of rights: rows in, one table of all tracks they ever named out, and that as bytes.

A catalogue speaks for the columns it has and the tracks of its pool. What it does not speak of stays as it
was: a file saved without its licence columns, or a second pool, frees nothing.
"""

import io
import json
import zipfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from index_builder.rights.licence import FACTS, LISTS, NOTHING, Licence
from index_builder.rights.terms import BOUNDS, Lists, Terms
from model.errors import Corrupt


@dataclass(frozen=True, slots=True)
class Catalogued:
    """What one pool's catalogue says."""

    columns: frozenset[str] = frozenset()  # of FACTS, those that it has
    licences: Mapping[str, Licence] = field(default_factory=dict)  # by track id, of every track of the pool

    def over(self, before: "Told") -> "Told":
        """The table that follows when this catalogue is read after `before`."""
        stays = [name for name in FACTS if name not in self.columns]
        merged = {track_id: before.licence(track_id) for track_id in before.track_ids}
        for track_id, now in self.licences.items():
            old = merged.get(track_id, NOTHING)
            unreadable = tuple(n for n in FACTS if n in (now if n in self.columns else old).unreadable)
            kept: dict[str, Any] = {name: getattr(old, name) for name in stays}
            merged[track_id] = replace(now, **kept, unreadable=unreadable)
        return Told.of(merged)


@dataclass(frozen=True, slots=True)
class Told:
    """Every track of which a catalogue said anything; in shapes, m tracks."""

    track_ids: tuple[str, ...]  # (m,) ascending
    licence_ids: tuple[str | None, ...]  # (m,)
    terms: Terms

    @classmethod
    def of(cls, licences: Mapping[str, Licence]) -> Self:
        """By track id; those that say nothing are left out."""
        track_ids = tuple(sorted(track_id for track_id, licence in licences.items() if licence.known))
        rows = [licences[track_id] for track_id in track_ids]
        return cls(track_ids, tuple(one.licence_id for one in rows), Terms.of(rows))

    def __len__(self) -> int:
        return len(self.track_ids)

    def licence(self, track_id: str) -> Licence:
        """Of one track, known here or not."""
        row = bisect_left(self.track_ids, track_id)
        if row == len(self) or self.track_ids[row] != track_id:
            return NOTHING
        return Licence(licence_id=self.licence_ids[row], **self.terms.facts(row))

    def along(self, track_ids: Sequence[str]) -> "Along":
        """The same for other tracks, ids ascending: those of a snapshot."""
        rows = {track_id: row for row, track_id in enumerate(self.track_ids)}
        found = np.fromiter((rows.get(one, -1) for one in track_ids), np.int64, len(track_ids))
        terms = self.terms.take(found)
        return Along(self, track_ids, terms, terms.boundaries())

    def to_bytes(self) -> bytes:
        """One file; the same table gives the same bytes."""
        terms = self.terms
        texts: dict[str, Any] = {"track_ids": self.track_ids, "licence_ids": self.licence_ids}
        texts |= {f"{name}_lists": column.lists for name, column in terms.lists.items()}
        columns: dict[str, NDArray[Any]] = {name: _text(value) for name, value in texts.items()}
        columns |= {name: column.codes.astype("<i4") for name, column in terms.lists.items()}
        columns |= {name: column.astype("<i8") for name, column in terms.bounds.items()}
        columns |= {"product_link": terms.product_link, "unreadable": terms.unreadable}
        file = io.BytesIO()
        np.savez(file, **columns)  # type: ignore[arg-type]  # its stub takes a keyword for `allow_pickle`
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The same table again; raises `Corrupt` if these are no such bytes."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                columns = dict(file)
            texts = {name: json.loads(columns[name].tobytes()) for name in ("track_ids", "licence_ids")}
            found = cls(tuple(texts["track_ids"]), tuple(texts["licence_ids"]), _terms(columns))
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise Corrupt(f"a table of rights cannot be read ({error}): index the pool again") from error
        if {len(found.track_ids), len(found.licence_ids)} != {len(found.terms)}:
            raise Corrupt("a table of rights has columns of different lengths: index the pool again")
        return found


@dataclass(frozen=True, slots=True)
class Along:
    """What catalogues told of a snapshot's tracks: laid out once, for many versions of the orders."""

    told: Told
    track_ids: Sequence[str]  # (m,) ascending
    terms: Terms  # (m,)
    boundaries: NDArray[np.int64]  # of `terms`


NOBODY = Told.of({})


def _text(value: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value, separators=(",", ":")).encode(), np.uint8)


def _lists(columns: Mapping[str, NDArray[Any]], name: str) -> Lists:
    lists = json.loads(columns[f"{name}_lists"].tobytes())
    return Lists(columns[name].astype(np.int32), tuple(None if one is None else tuple(one) for one in lists))


def _terms(columns: Mapping[str, NDArray[Any]]) -> Terms:
    count = len(columns["product_link"])
    return Terms(
        lists={name: _lists(columns, name) for name in LISTS},
        bounds={name: columns[name].astype(np.int64) for name in BOUNDS},
        product_link=columns["product_link"],
        known=np.ones(count, np.bool_),  # only such tracks are here
        unreadable=columns["unreadable"],
        withdrawn=np.zeros(count, np.bool_),
    )
