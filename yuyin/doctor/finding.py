"""What the doctor asks and what it says: a check is a question, a finding its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal["ok", "degraded", "missing"]

INSTALL = "in the checkout: pip install -e '.[cpu]'"


@dataclass(frozen=True, slots=True)
class Finding:
    """The state of one thing; a fix stands there unless it is ok."""

    status: Status
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One question."""

    name: str
    ask: Callable[[Path], Finding | None]  # the store's folder in; None where the question makes no sense
    fix: str = INSTALL  # if it raises, crashes or takes longer than its limit
    limit_s: float = 20.0
    unanswered: Status = "missing"  # what such an end means


@dataclass(frozen=True, slots=True)
class Group:
    """Checks that share a process; YuYin serves without what those of an optional group look for."""

    name: str
    checks: tuple[Check, ...]
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the report."""

    group: str
    name: str
    status: Status
    found: str
    fix: str


def overall(lines: list[Line], optional: frozenset[str]) -> Status:
    """The worst status of the groups that serving needs."""
    found = {line.status for line in lines if line.group not in optional}
    worst: tuple[Status, ...] = ("missing", "degraded", "ok")
    return next(status for status in worst if status in found or status == "ok")
