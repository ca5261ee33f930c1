"""Finished runs in, what the tables say out: means over seeds, intervals, paired differences.

Every query has one value of each figure, the mean over the seeds of training; several splits of one data set
are one long list of queries. Intervals are of the mean over queries, bootstrapped by track: they say what
other queries might have given, not what other seeds might. The difference to a table's reference row is
that of each query with itself, its p by flipping signs of tracks, adjusted over the rows of the table (Holm).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.comparison.rows import TableName
from model.evaluation.intervals import clustered_bootstrap
from model.evaluation.metrics import Ranking, expected_rank
from model.evaluation.paired import Difference, differences, holm
from model.evaluation.pool import Case, Direction, Protocol
from model.evaluation.protocol import FIGURES, figures

PRIMARY: Protocol = "strict"
FIGURE = "R@10"  # what rows are ordered and compared by
Key = tuple[Protocol, Direction]
RANKING_PARTS = ("better", "tied", "relevant")
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over queries, and the 95 % interval of it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Values:
    """One row's figures of every query; q queries, s seeds."""

    figures: Mapping[Key, Array]  # (s, q, len(FIGURES))
    ranks: Mapping[Key, Array]  # (s, q) of the right answer, from 1
    found: Mapping[Key, tuple[tuple[Ranking, ...], ...]]  # by data set, by seed

    def rankings(self, key: Key) -> tuple[Ranking, ...]:
        """By seed, the queries of all data sets one after the other."""
        return tuple(
            Ranking(*(np.concatenate([getattr(each, part) for each in seeds]) for part in RANKING_PARTS))
            for seeds in zip(*self.found[key], strict=True)
        )

    def of(self, key: Key, figure: str) -> Array:
        """(q,) mean over seeds."""
        return np.asarray(self.figures[key][:, :, FIGURES.index(figure)].mean(axis=0))


def values_of(runs: Sequence[Sequence[tuple[Case, ...]]]) -> Values:
    """Put together one row's runs: by data set, then by seed; every data set has as many seeds."""
    by_key = [[{(case.protocol, case.direction): case for case in each} for each in seeds] for seeds in runs]
    of_figures, ranks, found = {}, {}, {}
    for key in by_key[0][0]:
        if not all(key in each for seeds in by_key for each in seeds):
            continue  # such as `cold`, of splits of which one has too few
        of_key = [[each[key] for each in seeds] for seeds in by_key]
        of_figures[key] = np.concatenate(
            [np.stack([figures(case.found, case.candidates) for case in seeds]) for seeds in of_key], axis=1
        )
        ranks[key] = np.concatenate(
            [np.stack([expected_rank(case.found) for case in seeds]) for seeds in of_key], axis=1
        )
        found[key] = tuple(tuple(case.found for case in seeds) for seeds in of_key)
    return Values(of_figures, ranks, found)


def blind_values(runs: Sequence[tuple[Case, ...]]) -> Values:
    """What a scorer without knowledge gets on the same queries; one run of each data set."""
    blind = [
        tuple(Case(each.protocol, each.direction, each.queries, each.blind, each.blind) for each in run)
        for run in runs
    ]
    return values_of([[each] for each in blind])


def intervals(
    rows: Mapping[str, Values], key: Key, tracks: NDArray[np.str_]
) -> dict[str, dict[str, Interval]]:
    """By row and figure; rows that lack this protocol are left out.

    Args:
        rows: by id.
        key: protocol and direction.
        tracks: (q,) of the queries.
    """
    present = {name: values for name, values in rows.items() if key in values.figures}
    if not present:
        return {}
    means = np.concatenate([values.figures[key].mean(axis=0) for values in present.values()], axis=1)
    ends = clustered_bootstrap(means, tracks)
    found = [
        Interval(float(x), float(a), float(b)) for x, (a, b) in zip(means.mean(axis=0), ends, strict=True)
    ]
    width = len(FIGURES)
    return {
        name: dict(zip(FIGURES, found[i * width : (i + 1) * width], strict=True))
        for i, name in enumerate(present)
    }


@dataclass(frozen=True, slots=True)
class Beside:
    """A row's difference to the reference row of a table."""

    difference: Difference
    p_holm: float  # adjusted over the rows of the table, in this direction


def beside(
    rows: Mapping[str, Values], reference: str, key: Key, tracks: NDArray[np.str_]
) -> dict[str, Beside]:
    """Every other row's R@10 less the reference row's."""
    if reference not in rows or key not in rows[reference].figures:
        return {}
    own = rows[reference].of(key, FIGURE)
    others = {name: values for name, values in rows.items() if name != reference and key in values.figures}
    if not others:
        return {}
    apart = np.stack([values.of(key, FIGURE) - own for values in others.values()], axis=1)
    found = differences(apart, tracks)
    adjusted = holm([each.p for each in found])
    return {name: Beside(each, float(p)) for name, each, p in zip(others, found, adjusted, strict=True)}


@dataclass(frozen=True, slots=True)
class Contest:
    """Two rows that a reader wants to see side by side."""

    ours: str
    theirs: str
    direction: Direction
    difference: Difference
    ratio: float  # of the means


def contest(
    rows: Mapping[str, Values], ours: str, theirs: str, key: Key, tracks: NDArray[np.str_]
) -> Contest:
    """R@10 of one row less that of another, and their ratio."""
    mine, other = rows[ours].of(key, FIGURE), rows[theirs].of(key, FIGURE)
    difference = differences((mine - other)[:, None], tracks)[0]
    return Contest(
        ours, theirs, key[1], difference, float(mine.mean() / other.mean()) if other.any() else np.inf
    )


@dataclass(frozen=True, slots=True)
class TableKind:
    """One of the tables."""

    name: TableName
    title: str
    reference: str  # id of the row that the others are compared with


TABLE_KINDS: tuple[TableKind, ...] = (
    TableKind("table2", "Table 2: systems side by side", "yuyin"),
    TableKind("table3", "Table 3: what YuYin reads", "yuyin"),
    TableKind("table4", "Table 4: how YuYin fuses", "yuyin"),
    TableKind("plus", "YuYin+ and what each part of it is worth", "yuyin_plus"),
    TableKind("switches", "What the paper leaves open in YuYin", "yuyin"),
    TableKind("variants", "Other readings and ablations of other systems", "yuyin"),
)
CONTESTS = (("yuyin_plus", "cca"), ("yuyin_plus", "yuyin"), ("yuyin", "cca"), ("yuyin", "yuyin-literal"))
