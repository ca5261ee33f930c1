"""Scores of a test split in; what each protocol asks, ranked, out.

    strict         pool: all clips of the split; right is the own clip
    shared         the same pool; right is any clip of the same track
    dedup          one entry for each track, its best scored clip; right is the own track
    yuyin_batched  as strict, in pools of 1,024 and the rest: to read beside the paper's Table 2, whose Random
                   row fits K / 732 at n = 1,464, as batches of 1,024 and 440 give (docs/models.md 2.8)
    catalog        every track there is, those of training too, by its best clip; right is the own track
    cold           as strict, of the pairs whose track was never heard in training, among themselves

In M->V the candidates are videos, and what is said of a track's clips holds for the videos above it; a
catalogue is of music, so `catalog` is V->M only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from model.evaluation.metrics import Ranking, rank

Protocol = Literal["strict", "shared", "dedup", "yuyin_batched", "catalog", "cold"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
Direction = Literal["V->M", "M->V"]

BATCH = 1_024  # of the paper's training, and so, we read, of its evaluation
SHUFFLE_SEED = 0  # of the one order that is cut into batches
FEWEST_COLD = 10  # pairs: below, a share says nothing


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every track that could be recommended; m of them."""

    scores: NDArray[np.float64]  # (n, m) video i against track j, by the track's best clip
    tracks: NDArray[np.str_]  # (m,) each once


@dataclass(frozen=True, slots=True)
class Pool:
    """A split in which video i belongs with clip i; n pairs."""

    scores: NDArray[np.float64]  # (n, n) video i against clip j
    tracks: NDArray[np.str_]  # (n,) which track clip j was cut from
    trained: NDArray[np.str_] | None = None  # tracks of the training pairs; None where nobody knows
    catalogue: Catalogue | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One protocol in one direction, ranked; q queries."""

    protocol: Protocol
    direction: Direction
    queries: NDArray[np.int64]  # (q,) which of the pool's pairs
    found: Ranking
    blind: Ranking  # of a scorer that calls everything equal

    @property
    def candidates(self) -> NDArray[np.int64]:
        """(q,) how many each query has."""
        return self.blind.tied


@dataclass(frozen=True, slots=True)
class Absent:
    """A protocol that this split cannot answer, and why: a table says n/a and the reason."""

    protocol: Protocol
    reason: str


def cases(pool: Pool, protocols: Sequence[Protocol] = PROTOCOLS) -> Iterator[Case]:
    """Those of the protocols that apply, in every direction, in the order that tables have."""
    for protocol in protocols:
        match protocol:
            case "strict":
                yield from _both(protocol, pool.scores, _own(len(pool.tracks)))
            case "shared":
                yield from _both(protocol, pool.scores, pool.tracks[:, None] == pool.tracks[None, :])
            case "dedup":
                yield from _deduplicated(pool)
            case "yuyin_batched":
                yield from _batched(pool)
            case "catalog":
                yield from _catalogue(pool)
            case "cold":
                yield from _cold(pool)


def absent(pool: Pool) -> tuple[Absent, ...]:
    """The protocols that `cases` leaves out."""
    left_out = []
    if pool.catalogue is None:
        left_out.append(Absent("catalog", "no clips but those of the split were scored"))
    rows = cold_rows(pool)
    if rows is None:
        left_out.append(Absent("cold", "it is not known which tracks training heard"))
    elif len(rows) < FEWEST_COLD:
        of = f"of {len(pool.tracks)} pairs {len(rows)} have a track that training did not hear"
        left_out.append(Absent("cold", f"{of}, at least {FEWEST_COLD} are needed"))
    return tuple(left_out)


def cold_rows(pool: Pool) -> NDArray[np.int64] | None:
    """Which pairs have a track that training did not hear; None where that is not known."""
    if pool.trained is None:
        return None
    return np.flatnonzero(~np.isin(pool.tracks, pool.trained)).astype(np.int64)


def directions(scores: NDArray[np.float64]) -> tuple[tuple[Direction, NDArray[np.float64]], ...]:
    """Each direction with its (queries, candidates)."""
    return ("V->M", scores), ("M->V", scores.T)


def best_by_track(
    scores: NDArray[np.float64], tracks: NDArray[np.str_]
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Score every track by its best clip.

    Blind scores give the own track K / m at any K. Independent random ones give more where tracks differ
    in their number of clips: the maximum of many is higher. At K = 1 this is `shared`, whatever the scores.

    Args:
        scores: (q, c), c >= 1.
        tracks: (c,) which track candidate j is of.

    Returns:
        (q, m), and the m tracks, each once.
    """
    names, which = np.unique(tracks, return_inverse=True)
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(len(names)))
    return np.maximum.reduceat(scores[:, order], starts, axis=1), names


def _own(n: int) -> NDArray[np.bool_]:
    return np.eye(n, dtype=np.bool_)


def _both(
    protocol: Protocol,
    scores: NDArray[np.float64],
    right: NDArray[np.bool_],
    rows: NDArray[np.int64] | None = None,
) -> Iterator[Case]:
    """Rank (q, q) scores by rows and by columns; `right` is symmetric, `rows` the pairs if not all."""
    for direction, matrix in directions(scores):
        yield _case(protocol, direction, matrix, right, rows)


def _case(
    protocol: Protocol,
    direction: Direction,
    scores: NDArray[np.float64],
    right: NDArray[np.bool_],
    rows: NDArray[np.int64] | None = None,
) -> Case:
    """Rank (q, c) scores."""
    queries, candidates = right.shape
    blind = Ranking(
        np.zeros(queries, np.int64), np.full(queries, candidates), right.sum(axis=1, dtype=np.int64)
    )
    every = np.arange(queries, dtype=np.int64)
    return Case(protocol, direction, every if rows is None else rows, rank(scores, right), blind)


def _deduplicated(pool: Pool) -> Iterator[Case]:
    for direction, scores in directions(pool.scores):
        by_track, names = best_by_track(scores, pool.tracks)
        yield _case("dedup", direction, by_track, pool.tracks[:, None] == names)


def _batched(pool: Pool) -> Iterator[Case]:
    """Strict within each batch of one shuffle, the last of which holds the rest."""
    n = len(pool.tracks)
    shuffled = np.random.default_rng(SHUFFLE_SEED).permutation(n)
    batches = [shuffled[first : first + BATCH] for first in range(0, n, BATCH)]
    for direction, scores in directions(pool.scores):
        parts = [_case("yuyin_batched", direction, scores[np.ix_(b, b)], _own(len(b)), b) for b in batches]
        back = np.argsort(shuffled)
        found, blind = (
            _joined(each, back) for each in zip(*((p.found, p.blind) for p in parts), strict=True)
        )
        yield Case("yuyin_batched", direction, np.arange(n, dtype=np.int64), found, blind)


def _joined(parts: Sequence[Ranking], order: NDArray[np.int64]) -> Ranking:
    """One after the other, then in this order."""
    columns = zip(*((part.better, part.tied, part.relevant) for part in parts), strict=True)
    return Ranking(*(np.concatenate(column)[order] for column in columns))


def _catalogue(pool: Pool) -> Iterator[Case]:
    if pool.catalogue is not None:
        right = pool.tracks[:, None] == pool.catalogue.tracks
        yield _case("catalog", "V->M", pool.catalogue.scores, right)


def _cold(pool: Pool) -> Iterator[Case]:
    rows = cold_rows(pool)
    if rows is not None and len(rows) >= FEWEST_COLD:
        yield from _both("cold", pool.scores[np.ix_(rows, rows)], _own(len(rows)), rows)
