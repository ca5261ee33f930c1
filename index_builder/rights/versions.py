"""STORE/rights in, the version in force out; each change makes the next one, none is ever taken back.

    rights/CURRENT          the number of the version in force, replaced atomically
    rights/<number>.json    orders (what PATCH set, by track), and the sha256 of a table
    rights/told-<id>.npz    the table: what catalogues told, by track; shared by versions

A reindex writes a new table and keeps the orders, a PATCH writes new orders and keeps the table. So no
reindex gives a withdrawn track back or undoes a PATCH: an order lies over what the catalogue says, fact by
fact, until another order changes it. Files are written aside, fsynced and renamed, CURRENT last: killed at
any point, the version before is in force, whole. Writers wait for each other, readers for nobody.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index_builder import layout, lease
from index_builder.rights.licence import FACTS, Licence, from_json, to_json, written
from index_builder.rights.terms import Terms
from index_builder.rights.told import NOBODY, Along, Catalogued, Told
from model.artifact import ASIDE, content_id, write_file, write_json
from model.errors import BadOptions, Corrupt, Mismatch

SCHEMA_VERSION = 1
KEEP = 100  # versions; each holds all orders, and an answer names its version long after the next is made
Order = Mapping[str, Any]  # facts of `Licence` that PATCH set -> values, none of them None


@dataclass(frozen=True, slots=True)
class Rights:
    """One version, opened."""

    version: int  # 0 where nobody ever said anything
    table: str  # sha256 of what catalogues told; "" where none ever told anything
    told: Told
    orders: Mapping[str, Order]  # by track id

    def licence(self, track_id: str) -> Licence:
        """What holds for a track: what its catalogue told, and over it what PATCH set."""
        told, order = self.told.licence(track_id), self.orders.get(track_id)
        if not order:
            return told
        return replace(told, **order, unreadable=tuple(one for one in told.unreadable if one not in order))

    def patched(self, track_id: str) -> tuple[str, ...]:
        """The facts that PATCH set: no catalogue changes them."""
        return tuple(sorted(self.orders.get(track_id, ())))

    @property
    def any_known(self) -> bool:
        """Whether any track has licence facts; a withdrawal is none."""
        return len(self.told) > 0 or any(name in FACTS for order in self.orders.values() for name in order)

    def terms(self, along: Along) -> tuple[Terms, NDArray[np.int64]]:
        """Of a snapshot's m tracks, and ascending every instant at which one may change by itself.

        Args:
            along: of this version's `told`.
        """
        rows = {track_id: bisect_left(along.track_ids, track_id) for track_id in self.orders}
        found = {one: row for one, row in rows.items() if one in along.track_ids[row : row + 1]}
        if not found:
            return along.terms, along.boundaries
        licences = [self.licence(track_id) for track_id in found]
        ordered = Terms.of(licences)
        terms = along.terms.put(np.array([*found.values()], np.int64), ordered)
        return terms, np.union1d(along.boundaries, ordered.boundaries())


NO_RIGHTS = Rights(0, "", NOBODY, {})


def current(store: Path) -> int:
    """The version in force; 0 in a store where nobody ever said anything.

    Where CURRENT is gone or makes no sense the newest version is: rights must not vanish with one file.
    """
    folder = layout.rights(store)
    try:
        return int((folder / "CURRENT").read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return max(_versions(folder), default=0)


def open_rights(store: Path, *, held: Rights = NO_RIGHTS) -> Rights:
    """Read the version in force.

    Args:
        store: where it lies.
        held: another version; its table is not read again if it is the same.

    Raises:
        Corrupt: if a file is missing or was changed since.
        Mismatch: if another version of YuYin wrote it.
    """
    return _open(layout.rights(store), current(store), held)


def _newest(store: Path, held: Rights) -> Rights:
    """What the next version is made from, with the lock held.

    Not what CURRENT names: a writer may have been killed before CURRENT named its version, or somebody may
    have changed CURRENT by hand, and neither takes a withdrawal back.
    """
    folder = layout.rights(store)
    return _open(folder, max([current(store), *_versions(folder)]), held)


def _open(folder: Path, version: int, held: Rights) -> Rights:
    if version in (0, held.version):
        return held if version else NO_RIGHTS
    path = folder / f"{version}.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
        sealed = manifest.pop("id") == content_id(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"{path} cannot be read ({error}): bring it back from a backup of the store") from error
    if not sealed or manifest["version"] != version:
        raise Corrupt(f"{path} was changed after it was written: bring it back from a backup of the store")
    if manifest["schema_version"] != SCHEMA_VERSION:
        found = manifest["schema_version"]
        raise Mismatch(f"{path} has rights schema {found}, this version reads {SCHEMA_VERSION}: update YuYin")
    table: str = manifest["table"]
    told = held.told if table == held.table else _read_table(folder, table)
    orders = {
        track_id: {name: from_json(name, value) for name, value in order.items()}
        for track_id, order in manifest["orders"].items()
    }
    return Rights(version, table, told, orders)


def _table(folder: Path, sha256: str) -> Path:
    return folder / f"told-{sha256[:16]}.npz"


def _read_table(folder: Path, sha256: str) -> Told:
    if not sha256:
        return NOBODY
    path = _table(folder, sha256)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Corrupt(f"{path} cannot be read ({error}): bring it back from a backup of the store") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise Corrupt(f"{path} was changed after it was written: bring it back from a backup of the store")
    return Told.from_bytes(data)


def order(store: Path, track_id: str, changes: Mapping[str, Any], *, held: Rights = NO_RIGHTS) -> Rights:
    """Set facts of one track, over what its catalogue says; returns the new version, which is in force.

    Args:
        store: gets a version.
        track_id: of any track, indexed or not.
        changes: facts of `Licence` -> values; None takes an order back, so that the catalogue holds again.
        held: see `open_rights`.

    Raises:
        BadOptions: if the licence would end before it begins.
        Corrupt: if the version in force cannot be read.
    """
    with lease.rights(store):
        before = _newest(store, held)
        own = {**before.orders.get(track_id, {}), **changes}
        own = {name: value for name, value in own.items() if value is not None}
        if not own.get("withdrawn"):
            own.pop("withdrawn", None)
        orders = {**before.orders, track_id: own}
        if not own:
            del orders[track_id]
        after = replace(before, version=before.version + 1, orders=orders)
        if changes.keys() & {"valid_from", "valid_until"}:  # a withdrawal must not wait for better dates
            _check_validity(after.licence(track_id))
        _publish(store, after)
    return after


def merge(store: Path, catalogued: Catalogued) -> Rights:
    """Take in what a pool's catalogue says; returns the version in force, a new one if anything changed.

    Raises:
        Corrupt: if the version in force cannot be read.
    """
    if not catalogued.columns:
        return open_rights(store)
    while True:
        before = _newest(store, NO_RIGHTS)  # without the lock: no PATCH waits while a million rows are merged
        told = catalogued.over(before.told)
        data = told.to_bytes() if len(told) else b""
        table = hashlib.sha256(data).hexdigest() if data else ""
        with lease.rights(store):
            now = _newest(store, before)
            if now.table == before.table:
                return _retell(store, now, replace(now, table=table, told=told), data)


def _retell(store: Path, before: Rights, after: Rights, data: bytes) -> Rights:
    """Publish other catalogue facts under the orders of `before`, with the lock held."""
    if after.table == before.table and before.version == current(store):
        return before
    if data:
        write_file(_table(layout.rights(store), after.table), data)
    after = replace(after, version=before.version + 1)
    _publish(store, after)
    _prune_tables(layout.rights(store))
    return after


def _check_validity(licence: Licence) -> None:
    begins, ends = licence.valid_from, licence.valid_until
    if begins is not None and ends is not None and begins >= ends:
        raise BadOptions(
            f"the licence would end at {written(ends)}, not after it begins ({written(begins)}): set both"
        )


def _versions(folder: Path) -> list[int]:
    return [int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal()]


def _publish(store: Path, rights: Rights) -> None:
    """Write a version and put it in force; its table is there already."""
    folder = layout.rights(store)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "version": rights.version,
        "written_at": written(datetime.now(UTC)),
        "table": rights.table,
        "orders": {
            track_id: {name: to_json(value) for name, value in order.items()}
            for track_id, order in rights.orders.items()
        },
    }
    write_json(folder / f"{rights.version}.json", {**manifest, "id": content_id(manifest)})
    write_file(folder / "CURRENT", f"{rights.version}\n".encode())
    _prune(folder)


def _prune(folder: Path) -> None:
    """Remove versions that nobody reads any more, and leftovers."""
    for number in sorted(_versions(folder))[:-KEEP]:
        (folder / f"{number}.json").unlink(missing_ok=True)
    for path in folder.glob(f"{ASIDE}*"):  # of a writer that was killed: who holds the lock is alone
        path.unlink(missing_ok=True)


def _prune_tables(folder: Path) -> None:
    """Remove tables that no version names."""
    try:
        texts = [(folder / f"{number}.json").read_text("utf-8") for number in _versions(folder)]
        named = {_table(folder, json.loads(text)["table"]) for text in texts}
    except (OSError, ValueError, KeyError, TypeError):
        return  # then nobody knows what the unreadable one needs
    for path in set(folder.glob("told-*.npz")) - named:
        path.unlink(missing_ok=True)
