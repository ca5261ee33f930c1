"""STORE/rights in, the version in force out, over the snapshot that answers; each request keeps one."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from index_builder.rights import versions
from index_builder.rights.eligibility import Use, Verdict, judge, reasons
from index_builder.rights.licence import Licence
from index_builder.rights.terms import Terms, microseconds
from index_builder.rights.told import Along
from index_builder.rights.versions import NO_RIGHTS, Rights
from model.errors import NotReady, YuyinError

log = logging.getLogger("yuyin.service")

FOLLOW_S = (
    0.25  # reading one short file: a withdrawal is in force everywhere within a second, loading included
)
KEPT = 2  # rulings: of the snapshot in force, and of the next, or the one before while requests hold it
UnknownLicences = Literal["auto", "return", "exclude"]


class Tracks(Protocol):
    """What is needed of a snapshot's catalogue."""

    @property
    def track_ids(self) -> tuple[str, ...]:
        """(m,) ascending."""


class Indexed(Protocol):
    """What is needed of a snapshot; it is never changed."""

    @property
    def id(self) -> str:
        """Of its contents."""

    @property
    def catalogue(self) -> Tracks:
        """Of m tracks."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """One version of the rights over the m tracks of one snapshot."""

    rights: Rights
    along: Along  # what is the same for the next version, unless a catalogue was read
    terms: Terms  # (m,)
    boundaries: NDArray[np.int64]  # ascending: when some track's licence may change by itself
    unknown_passes: bool

    @property
    def version(self) -> str | None:
        """As answers name it; None where nobody ever said anything."""
        return str(self.rights.version) if self.rights.version else None

    def allowed(self, use: Use, now: datetime) -> Verdict:
        """(m,) which tracks may come out, and how many each reason kept back."""
        return judge(self.terms, use, now, unknown_passes=self.unknown_passes)

    def reasons(self, track_id: str, use: Use, now: datetime) -> list[str]:
        """Everything that keeps one track back, indexed or not; empty if nothing does."""
        return reasons(self.rights.licence(track_id), use, now, unknown_passes=self.unknown_passes)

    def licence(self, track_id: str) -> Licence | None:
        """What holds for a track; None where nobody said anything of it."""
        found = self.rights.licence(track_id)
        return found if found.known or found.withdrawn else None

    def epoch(self, now: datetime) -> int:
        """How many boundaries are passed: two answers of one version differ by the date only across one."""
        return int(np.searchsorted(self.boundaries, microseconds(now), side="right"))


class Rightsbook:
    """Holds the version in force. Every method may be called from any thread; loads happen one at a time."""

    def __init__(self, store: Path, unknown: UnknownLicences = "auto") -> None:
        self._store = store
        self._unknown = unknown
        self._loading = threading.Lock()
        self._rights: Rights | None = None
        self._rulings: dict[str, Ruling] = {}  # by snapshot; replaced whole, never changed in place
        self._refused: str | None = None

    @property
    def refused(self) -> str | None:
        """The code of the error for which the version that CURRENT names is not in force; None if it is."""
        return self._refused

    @property
    def readable(self) -> bool:
        """Whether any version could be read; until then nothing may be returned."""
        return self._rights is not None

    @property
    def version(self) -> str | None:
        """In force; None where nobody ever said anything, or nothing could be read."""
        rights = self._rights
        return str(rights.version) if rights is not None and rights.version else None

    @property
    def any_known(self) -> bool:
        """Whether any track of the store has licence facts."""
        return self._rights is not None and self._rights.any_known

    def knows(self, track_id: str) -> bool:
        """Whether anybody said anything of a track, indexed or not."""
        rights = self._rights
        return rights is not None and (track_id in rights.orders or rights.licence(track_id).known)

    def take(self, snapshot: Indexed) -> Ruling:
        """The version in force, over a snapshot.

        Raises:
            NotReady: while no version could be read: without licences nothing may be returned.
        """
        ruling = self._rulings.get(snapshot.id)
        if ruling is not None and ruling.rights is self._rights:
            return ruling
        with self._loading:
            return self._over(snapshot)

    def prepare(self, snapshot: Indexed) -> None:
        """Lay the rights over a snapshot that will answer soon, so that no request waits for it."""
        with suppress(NotReady), self._loading:  # then requests say so
            self._over(snapshot)

    def _over(self, snapshot: Indexed) -> Ruling:
        """Called with the lock held; the ruling is kept the longest from now on."""
        if snapshot.id not in self._rulings:
            self._look(None)  # whoever built it told its tracks' licences before
        rights = self._rights
        if rights is None:
            raise NotReady("the rights of this store cannot be read: /readyz says why, the server's log more")
        ruling = self._rulings.get(snapshot.id)
        if ruling is None or ruling.rights is not rights:
            ruling = self._ruling(rights, snapshot.id, snapshot.catalogue.track_ids)
        others = [(name, one) for name, one in self._rulings.items() if name != snapshot.id]
        self._rulings = dict([*others, (snapshot.id, ruling)][-KEPT:])
        return ruling

    def _ruling(self, rights: Rights, snapshot_id: str, track_ids: Sequence[str]) -> Ruling:
        before = self._rulings.get(snapshot_id)
        if before is not None and before.along.told is rights.told:
            along = before.along
        else:
            along = rights.told.along(track_ids)
        passes = self._unknown == "return" or (self._unknown == "auto" and not rights.any_known)
        return Ruling(rights, along, *rights.terms(along), unknown_passes=passes)

    def follow(self, snapshot: Indexed | None = None) -> None:
        """Put in force what CURRENT names; a version that cannot be read, or an older one, changes nothing.

        Args:
            snapshot: that answers now; the version is laid over it before it is in force.
        """
        with self._loading:
            self._look(snapshot)

    def _look(self, snapshot: Indexed | None) -> None:
        """Called with the lock held."""
        try:
            found = versions.open_rights(self._store, held=self._rights or NO_RIGHTS)
        except (YuyinError, OSError) as error:
            self._refuse(error.code if isinstance(error, YuyinError) else "corrupt", str(error))
            return
        if self._rights is not None and found.version < self._rights.version:
            self._refuse("corrupt", f"rights/CURRENT went back to {found.version}: rights never roll back")
            return
        self._refused = None
        self._enforce(found, snapshot)

    def _enforce(self, found: Rights, snapshot: Indexed | None) -> None:
        """Called with the lock held."""
        if found is self._rights:
            return
        laid = {name: one.along.track_ids for name, one in self._rulings.items()}  # the next one's, too
        if snapshot is not None:
            laid[snapshot.id] = snapshot.catalogue.track_ids
        rulings = [(name, self._ruling(found, name, track_ids)) for name, track_ids in laid.items()]
        self._rulings = dict(rulings[-KEPT:])
        self._rights = found
        log.info("rights in force", extra={"rights": found.version})

    def _refuse(self, code: str, reason: str) -> None:
        if code != self._refused:  # it is looked at several times a second
            log.warning("rights refused", extra={"code": code, "reason": reason})
        self._refused = code

    def patch(self, track_id: str, changes: Mapping[str, Any], snapshot: Indexed | None) -> Rights:
        """Set facts of a track, durably, and put them in force here; see `versions.order`.

        Raises:
            BadOptions: if the licence would end before it begins.
            Corrupt: if the version in force cannot be read; nothing is changed.
        """
        made = versions.order(self._store, track_id, changes, held=self._rights or NO_RIGHTS)
        with self._loading:
            if self._rights is None or made.version > self._rights.version:  # a later one may be here already
                self._enforce(made, snapshot)
        log.info("a track's rights were changed", extra={"rights": made.version, "track": track_id})
        return made

    def look(self, current: "Serves") -> Callable[[], None]:
        """For `service.serving.following`, in a loader of its own: a large snapshot would delay this."""

        def look() -> None:
            serving = current.peek()
            self.follow(serving.snapshot if serving else None)

        return look


class Held(Protocol):
    """What answers now."""

    @property
    def snapshot(self) -> Indexed:
        """Its index."""


class Serves(Protocol):
    """Who knows what answers now."""

    def peek(self) -> Held | None:
        """None while nothing does."""
