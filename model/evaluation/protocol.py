"""Embeddings of videos and music clips in, a table of figures with chance and intervals out."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import clustered_bootstrap, wilson
from model.evaluation.metrics import Ranking, expected_rank, expected_reciprocal, hits, rank

CUTOFFS = (1, 5, 10, 15, 20, 25)
Protocol = Literal["strict", "shared"]  # right is: the own clip | any clip of the same track
Direction = Literal["V->M", "M->V"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, beside what a scorer without knowledge would get."""

    value: float
    low: float  # 95 %, bootstrap over queries, clustered by track
    high: float
    chance: float


@dataclass(frozen=True, slots=True)
class Result:
    """One protocol in one direction."""

    protocol: Protocol
    direction: Direction
    pool: int  # candidates
    recall: dict[int, Estimate]  # by K
    wilson_r10: tuple[float, float]  # of R@10 as if all queries were independent: a check
    mrr: Estimate
    median_rank: float
    chance_median_rank: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a system can do on one split of one dataset."""

    split: str
    pairs: int
    tracks: int
    results: tuple[Result, ...]

    def result(self, protocol: Protocol, direction: Direction) -> Result:
        """The one row that was asked for."""
        return next(r for r in self.results if (r.protocol, r.direction) == (protocol, direction))

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; recall by K as text."""
        value = asdict(self)
        for result in value["results"]:
            result["recall"] = {str(k): estimate for k, estimate in result["recall"].items()}
        return value


def score_clips(
    videos: NDArray[np.float32], segments: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Score every clip for every video as the service does: the mean cosine over the clip's segments.

    Args:
        videos: (n, d) unit rows.
        segments: (sum s, d) unit rows, the segments of clip j in offsets[j] .. offsets[j + 1] - 1.
        offsets: (m + 1,); every clip has at least one segment.

    Returns:
        (n, m).
    """
    sums = np.add.reduceat(segments.astype(np.float64), offsets[:-1], axis=0)
    clips: NDArray[np.float64] = sums / np.diff(offsets)[:, None]
    return videos.astype(np.float64) @ clips.T


def evaluate_scores(scores: NDArray[np.float64], tracks: NDArray[np.str_], *, split: str) -> Evaluation:
    """All figures of a pool in which video i belongs with clip i.

    Args:
        scores: (n, n) video i against clip j.
        tracks: (n,) which track clip j was cut from.
        split: name of the part, for the record.
    """
    results = tuple(_result(case, len(scores), tracks) for case in cases(scores, tracks))
    return Evaluation(split, len(tracks), len(np.unique(tracks)), results)


@dataclass(frozen=True, slots=True)
class Case:
    """One protocol in one direction, ranked."""

    protocol: Protocol
    direction: Direction
    found: Ranking
    blind: Ranking  # of a scorer without knowledge


def cases(scores: NDArray[np.float64], tracks: NDArray[np.str_]) -> Iterator[Case]:
    """Every protocol in every direction, in the order that tables have.

    Args:
        scores: (n, n) video i against clip j.
        tracks: (n,) which track clip j was cut from.
    """
    for protocol, relevant in _relevance(tracks).items():
        for direction, matrix in directions(scores):
            yield Case(protocol, direction, rank(matrix, relevant), rank(np.zeros_like(matrix), relevant))


def _relevance(tracks: NDArray[np.str_]) -> dict[Protocol, NDArray[np.bool_]]:
    """(n, n) by protocol, true where clip j is right for video i; symmetric, so the same both ways."""
    return {"strict": np.eye(len(tracks), dtype=np.bool_), "shared": tracks[:, None] == tracks[None, :]}


def directions(scores: NDArray[np.float64]) -> tuple[tuple[Direction, NDArray[np.float64]], ...]:
    """Each direction with its (queries, candidates)."""
    return ("V->M", scores), ("M->V", scores.T)


def _result(case: Case, pool: int, tracks: NDArray[np.str_]) -> Result:
    *recall, mrr = _estimates(_figures(case.found), _figures(case.blind), tracks)
    by_cutoff = dict(zip(CUTOFFS, recall, strict=True))
    return Result(
        protocol=case.protocol,
        direction=case.direction,
        pool=pool,
        recall=by_cutoff,
        wilson_r10=wilson(by_cutoff[10].value, len(tracks)),
        mrr=mrr,
        median_rank=_median(case.found),
        chance_median_rank=_median(case.blind),
    )


def _figures(ranking: Ranking) -> NDArray[np.float64]:
    """(q, figures): a hit or not at each cutoff, then the reciprocal rank."""
    return np.stack([*(hits(ranking, k) for k in CUTOFFS), expected_reciprocal(ranking)], axis=1)


def _estimates(
    values: NDArray[np.float64], blind: NDArray[np.float64], tracks: NDArray[np.str_]
) -> list[Estimate]:
    ends = clustered_bootstrap(values, tracks)
    return [
        Estimate(float(value), float(low), float(high), float(chance))
        for value, (low, high), chance in zip(values.mean(axis=0), ends, blind.mean(axis=0), strict=True)
    ]


def _median(ranking: Ranking) -> float:
    return float(np.median(expected_rank(ranking)))
