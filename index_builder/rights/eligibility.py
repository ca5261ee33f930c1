"""Licences as columns and what the music is wanted for in, who may come out and what keeps the rest back out.

A verdict holds at one instant. A use on a day needs the licence for all of that day, in UTC; a day that has
begun counts from now on, and one that is past counts as now: no question brings an expired licence back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from index_builder.rights.licence import Licence
from index_builder.rights.terms import Terms, microseconds

REASONS = (  # in the order in which a track is asked; it counts under the first that keeps it back
    "withdrawn",
    "unknown",
    "licence_expired",
    "not_yet_valid",
    "exclusive",
    "platform",
    "territory",
    "account",
    "product_link",
)
LIST_OF = {"platform": "platforms", "territory": "territories", "account": "account_kinds"}


@dataclass(frozen=True, slots=True)
class Use:
    """What the music is wanted for; what is None is not asked, and validity is asked in any case."""

    platform: str | None = None  # as `name_of` gives it; `*` asks for every one
    territory: str | None = None  # as `territory_of` gives it
    account: str | None = None
    product_link: bool = False  # the video links to a product
    on_date: date | None = None  # now unless given

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """From when until when the licence has to hold; the end may be the beginning, and is exclusive."""
        if self.on_date is None:
            return now, now
        begins = datetime.combine(self.on_date, time(), UTC)
        try:
            ends = begins + timedelta(days=1)
        except OverflowError:  # the calendar's last day
            ends = datetime.max.replace(tzinfo=UTC)
        first = max(now, begins)
        return first, max(first, ends)


@dataclass(frozen=True, slots=True)
class Verdict:
    """(m,) which tracks may come out, and how many each reason kept back; the counts add up to the rest."""

    allowed: NDArray[np.bool_]
    excluded: dict[str, int]


def judge(terms: Terms, use: Use, now: datetime, *, unknown_passes: bool) -> Verdict:
    """Who may come out at an instant.

    Args:
        terms: of m tracks.
        use: what the music is wanted for.
        now: with its offset.
        unknown_passes: whether a track without any licence facts may come out. One whose facts cannot be read
            never may.
    """
    left = np.ones(len(terms), np.bool_)
    among = len(terms)
    excluded: dict[str, int] = {}
    for reason, passes in _asked(terms, use, now, unknown_passes=unknown_passes):
        left &= passes
        remain = int(np.count_nonzero(left))
        if remain < among:
            excluded[reason] = among - remain
        among = remain
    return Verdict(left, excluded)


def _asked(
    terms: Terms, use: Use, now: datetime, *, unknown_passes: bool
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """In the order of REASONS: what is asked, and (m,) who passes."""
    first, end = (microseconds(at) for at in use.span(now))
    yield "withdrawn", ~terms.withdrawn
    yield "unknown", (terms.unreadable == 0) if unknown_passes else terms.known & (terms.unreadable == 0)
    until = terms.bounds["valid_until"]
    yield "licence_expired", until >= max(first + 1, end)
    yield "not_yet_valid", terms.bounds["valid_from"] <= first
    yield "exclusive", terms.bounds["exclusive_until"] <= first
    for reason, name in LIST_OF.items():
        wanted = getattr(use, reason)
        if wanted is not None:
            yield reason, terms.lists[name].having(wanted)
    if use.product_link:
        yield "product_link", terms.product_link == 1


def reasons(licence: Licence, use: Use, now: datetime, *, unknown_passes: bool) -> list[str]:
    """Everything that keeps one track back, in the order of REASONS; empty if it may come out."""
    asked = _asked(Terms.of([licence]), use, now, unknown_passes=unknown_passes)
    return [reason for reason, passes in asked if not passes[0]]
