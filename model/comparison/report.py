"""A plan whose runs are finished in, everything that is said about them out: what `compare.json` holds.

In words of the JSON: rows[id].figures[protocol][direction][figure] is {value, low, high}.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.comparison.plan import Plan
from model.comparison.rows import Row
from model.comparison.run import Found
from model.comparison.tables import (
    CONTESTS,
    FIGURE,
    PRIMARY,
    TABLE_KINDS,
    Beside,
    Contest,
    Interval,
    Key,
    TableKind,
    Values,
    beside,
    blind_values,
    contest,
    intervals,
    values_of,
)
from model.evaluation.pool import Case, Direction

SCHEMA = 1
CHANCE = "chance"
DIRECTIONS: tuple[Direction, ...] = ("V->M", "M->V")
Figures = dict[str, dict[str, dict[str, Interval]]]  # by protocol, direction, figure


@dataclass(frozen=True, slots=True)
class Course:
    """How a row's runs went."""

    parameters: int
    seeds: int
    settings: tuple[str, ...]  # by data set, what the trials or the grid chose
    best_epoch: float  # mean over runs
    epochs: float
    epochs_asked: int
    train_s: float
    stopped: str  # "" or "stopped at 90 s: 3 of 3"


@dataclass(frozen=True, slots=True)
class RowReport:
    """One row, in whatever table."""

    id: str
    label: str
    system: str
    preset: str
    reason: str  # why it has no figures; "" if it has
    figures: Figures
    median_rank: dict[str, dict[str, float]]  # by protocol and direction
    oracle_share: dict[str, float]  # by direction, of the first oracle's R@10; {} where there is none
    absent: dict[str, str]  # why a protocol has no figures
    course: Course | None


@dataclass(frozen=True, slots=True)
class TableReport:
    """Which rows a table has, best evidence beside its reference row."""

    name: str
    title: str
    reference: str
    rows: tuple[str, ...]
    beside: dict[str, dict[str, Beside]]  # by direction and row


@dataclass(frozen=True, slots=True)
class Report:
    """Everything."""

    data: tuple[dict[str, Any], ...]
    pool: tuple[int, ...]  # test pairs of each data set
    tables: tuple[TableReport, ...]
    rows: dict[str, RowReport]
    chance: Figures
    oracles: dict[str, Figures]  # by name; what the data set itself knows of its ceiling
    contests: tuple[Contest, ...]
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"schema": SCHEMA, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """The values of every query that tables and pictures are made of."""

    rows: Mapping[str, Values]
    blind: Values
    oracles: Mapping[str, Values]
    tracks: Mapping[Key, NDArray[np.str_]]  # (q,) of the queries
    found: Mapping[str, tuple[tuple[Found, ...], ...]]  # by row, data set and seed


def evidence(
    plan: Plan,
    runs: Mapping[str, tuple[tuple[Found, ...], ...]],
    oracles: Mapping[str, Values],
) -> Evidence:
    """Put the runs' queries side by side.

    Args:
        plan: whose rows they are.
        runs: by row id, data set and seed; only rows that were run.
        oracles: by name, over the same queries.
    """
    rows = {
        name: values_of([[each.cases for each in seeds] for seeds in by_data])
        for name, by_data in runs.items()
    }
    fullest = max(runs.values(), key=lambda by_data: len(by_data[0][0].cases))
    firsts = [seeds[0].cases for seeds in fullest]
    blind = blind_values(firsts)
    tracks = {key: _tracks(plan, key, firsts) for key in blind.figures}
    return Evidence(rows, blind, oracles, tracks, runs)


def report(
    plan: Plan,
    known: Evidence,
    chosen: Mapping[str, Sequence[str]],
    broken: Mapping[str, str],
    facts: dict[str, Any],
) -> Report:
    """Tables from evidence.

    Args:
        plan: whose rows they are.
        known: of the rows that were run.
        chosen: by row, what the trials chose on each data set, in words.
        broken: why a row that was run has no figures.
        facts: when, where and how.
    """
    everything = {
        **known.rows,
        CHANCE: known.blind,
        **{f"oracle {name}": x for name, x in known.oracles.items()},
    }
    figures = _figures(everything, known)
    rows = {row.id: _row(plan, row, figures.get(row.id, {}), known, chosen) for row in plan.rows}
    rows |= {name: replace(rows[name], reason=why) for name, why in broken.items()}
    return Report(
        data=tuple(_data_facts(plan, number) for number in range(len(plan.data))),
        pool=tuple(int((each.dataset.pairs["split"] == "test").sum()) for each in plan.data),
        tables=tuple(table for kind in TABLE_KINDS if (table := _table(plan, kind, known)) is not None),
        rows=rows,
        chance=figures[CHANCE],
        oracles={name: figures[f"oracle {name}"] for name in known.oracles},
        contests=tuple(
            contest(known.rows, ours, theirs, (PRIMARY, direction), known.tracks[PRIMARY, direction])
            for ours, theirs in CONTESTS
            if ours in known.rows and theirs in known.rows
            for direction in DIRECTIONS
        ),
        facts=facts,
    )


def _figures(values: Mapping[str, Values], known: Evidence) -> dict[str, Figures]:
    """By row."""
    found: dict[str, Figures] = {name: {} for name in values}
    for key, tracks in known.tracks.items():
        protocol, direction = key
        for name, by_figure in intervals(values, key, tracks).items():
            found[name].setdefault(protocol, {})[direction] = by_figure
    return found


def _row(
    plan: Plan, row: Row, figures: Figures, known: Evidence, chosen: Mapping[str, Sequence[str]]
) -> RowReport:
    resolved = plan.resolved[plan.data[0].id, row.id]
    runs = known.found.get(row.id, ())
    values = known.rows.get(row.id)
    return RowReport(
        id=row.id,
        label=resolved.label,
        system=row.system,
        preset=row.preset,
        reason=resolved.reason,
        figures=figures,
        median_rank={} if values is None else _median_ranks(values),
        oracle_share={} if values is None else _shares(values, known),
        absent=dict(runs[0][0].record["absent"]) if runs else {},
        course=_course(runs, tuple(chosen.get(row.id, ()))) if runs else None,
    )


def _median_ranks(values: Values) -> dict[str, dict[str, float]]:
    """Mean over seeds of the median over queries."""
    found: dict[str, dict[str, float]] = {}
    for (protocol, direction), ranks in values.ranks.items():
        found.setdefault(protocol, {})[direction] = float(np.median(ranks, axis=1).mean())
    return found


def _shares(values: Values, known: Evidence) -> dict[str, float]:
    if not known.oracles:
        return {}
    best = next(iter(known.oracles.values()))
    keys: list[tuple[Direction, Key]] = [(direction, (PRIMARY, direction)) for direction in DIRECTIONS]
    return {
        direction: float(values.of(key, FIGURE).mean() / best.of(key, FIGURE).mean())
        for direction, key in keys
    }


def _course(runs: Sequence[Sequence[Found]], chosen: tuple[str, ...]) -> Course:
    records = [each.record for seeds in runs for each in seeds]
    stopped = [record["stopped"] for record in records if record["stopped"]]
    of = f": {len(stopped)} of {len(records)} runs" if stopped else ""
    return Course(
        parameters=records[0]["parameters"],
        seeds=len(runs[0]),
        settings=chosen,
        best_epoch=float(np.mean([record["best_epoch"] for record in records])),
        epochs=float(np.mean([record["epochs"] for record in records])),
        epochs_asked=records[0]["epochs_asked"],
        train_s=float(np.mean([record["train_s"] for record in records])),
        stopped=f"{stopped[0].partition(', in')[0].partition(' of training')[0]}{of}" if stopped else "",
    )


def _table(plan: Plan, kind: TableKind, known: Evidence) -> TableReport | None:
    """None if it was not asked for, or has no row beside its reference."""
    rows = [row.id for row in plan.rows if kind.name in row.tables]
    if kind.name not in plan.tables or not set(rows) - {kind.reference}:
        return None
    present = {name: known.rows[name] for name in (kind.reference, *rows) if name in known.rows}
    keys: list[tuple[str, Key]] = [(direction, (PRIMARY, direction)) for direction in DIRECTIONS]
    compared = {name: beside(present, kind.reference, key, known.tracks[key]) for name, key in keys}
    return TableReport(kind.name, kind.title, kind.reference, tuple(rows), compared)


def _tracks(plan: Plan, key: Key, runs: Sequence[Sequence[Case]]) -> NDArray[np.str_]:
    """(q,) of the queries of all data sets, given the cases of one run of each."""
    parts = []
    for data, found in zip(plan.data, runs, strict=True):
        pairs = data.dataset.pairs
        queries = next(case.queries for case in found if (case.protocol, case.direction) == key)
        parts.append(pairs["track_id"][pairs["split"] == "test"][queries])
    return np.concatenate(parts)


def _data_facts(plan: Plan, number: int) -> dict[str, Any]:
    data = plan.data[number]
    split = data.dataset.pairs["split"]
    return {
        "name": data.folder.resolve().name,
        "id": data.dataset.id,
        "kind": data.dataset.manifest.get("kind"),
        "profile": data.profile,
        "pairs": {name: int((split == name).sum()) for name in ("train", "evaluation", "test")},
    }
