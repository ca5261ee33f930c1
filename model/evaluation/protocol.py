"""Scores of a split in, a table of figures by protocol with chance and intervals out."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import clustered_bootstrap, wilson
from model.evaluation.metrics import Ranking, expected_rank, expected_reciprocal, hits
from model.evaluation.pool import Absent, Case, Catalogue, Direction, Pool, Protocol, absent, cases
from model.evaluation.search import OpenSearch, searched_clips

CUTOFFS = (1, 5, 10, 15, 20, 25, 50)
FIGURES = (*(f"R@{k}" for k in CUTOFFS), "MRR", "mean rank", "mean normalised rank")


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
    queries: int
    pool: int  # candidates of a query, or of the one that has the most
    recall: dict[int, Estimate]  # by K
    wilson_r10: tuple[float, float]  # of R@10 as if all queries were independent: a check
    mrr: Estimate
    median_rank: float
    chance_median_rank: float
    mean_rank: Estimate
    mean_normalised_rank: Estimate  # 0 when the right one is always first, 1 when last, guessing .5

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; recall by K as text."""
        value = asdict(self)
        value["recall"] = {str(k): estimate for k, estimate in value["recall"].items()}
        return value


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a system can do on one split of one dataset."""

    split: str
    pairs: int
    tracks: int
    results: tuple[Result, ...]
    absent: tuple[Absent, ...] = ()

    def result(self, protocol: Protocol, direction: Direction) -> Result:
        """The one row that was asked for."""
        return next(r for r in self.results if (r.protocol, r.direction) == (protocol, direction))

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"results": [result.as_dict() for result in self.results]}


def score_clips(
    videos: NDArray[np.float32],
    segments: NDArray[np.float32],
    offsets: NDArray[np.int64],
    open_search: OpenSearch | None = None,
) -> NDArray[np.float64]:
    """Score every clip for every video as the service does: the mean cosine over the clip's segments.

    Args:
        videos: (n, d) unit rows.
        segments: (sum s, d) unit rows, the segments of clip j in offsets[j] .. offsets[j + 1] - 1.
        offsets: (m + 1,); every clip has at least one segment.
        open_search: what finds the cosines; None for a matrix product.

    Returns:
        (n, m).
    """
    if open_search is not None:
        return searched_clips(videos, offsets, open_search(segments))
    sums = np.add.reduceat(segments.astype(np.float64), offsets[:-1], axis=0)
    clips: NDArray[np.float64] = sums / np.diff(offsets)[:, None]
    return videos.astype(np.float64) @ clips.T


def evaluate_scores(
    scores: NDArray[np.float64],
    tracks: NDArray[np.str_],
    *,
    split: str,
    trained: NDArray[np.str_] | None = None,
    catalogue: Catalogue | None = None,
) -> Evaluation:
    """All figures of a split in which video i belongs with clip i.

    Args:
        scores: (n, n) video i against clip j; n >= 1.
        tracks: (n,) which track clip j was cut from.
        split: name of the part, for the record.
        trained: tracks of the training pairs, for `cold`.
        catalogue: scores of every track, for `catalog`.
    """
    pool = Pool(scores, tracks, trained, catalogue)
    results = tuple(result_of(case, tracks[case.queries]) for case in cases(pool))
    return Evaluation(split, len(tracks), len(np.unique(tracks)), results, absent(pool))


def figures(found: Ranking, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Every query's own figures: what means, intervals and paired tests are made of.

    Args:
        found: q queries ranked.
        candidates: (q,) how many each has.

    Returns:
        (q, len(FIGURES)), in the order of `FIGURES`.
    """
    place = expected_rank(found)
    normalised = (place - 1) / np.maximum(candidates - 1, 1)
    return np.stack(
        [*(hits(found, k) for k in CUTOFFS), expected_reciprocal(found), place, normalised], axis=1
    )


def result_of(case: Case, tracks: NDArray[np.str_]) -> Result:
    """The figures of one case; `tracks` (q,) are those of its queries."""
    values, blind = (figures(ranking, case.candidates) for ranking in (case.found, case.blind))
    *recall, mrr, mean_rank, normalised = _estimates(values, blind, tracks, _bounds(case.blind))
    by_cutoff = dict(zip(CUTOFFS, recall, strict=True))
    return Result(
        protocol=case.protocol,
        direction=case.direction,
        queries=len(case.queries),
        pool=int(case.candidates.max()),
        recall=by_cutoff,
        wilson_r10=wilson(by_cutoff[10].value, len(case.queries)),
        mrr=mrr,
        median_rank=_median(case.found),
        chance_median_rank=_median(case.blind),
        mean_rank=mean_rank,
        mean_normalised_rank=normalised,
    )


def _estimates(
    values: NDArray[np.float64],
    blind: NDArray[np.float64],
    tracks: NDArray[np.str_],
    within: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> list[Estimate]:
    ends = clustered_bootstrap(values, tracks, within=within)
    return [
        Estimate(float(value), float(low), float(high), float(chance))
        for value, (low, high), chance in zip(values.mean(axis=0), ends, blind.mean(axis=0), strict=True)
    ]


def _bounds(blind: Ranking) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the most of every figure: of all that is relevant before all else, and behind it."""
    relevant, candidates = blind.relevant, blind.tied
    before, behind = (
        figures(Ranking(better, relevant, relevant), candidates).mean(axis=0)
        for better in (np.zeros_like(candidates), candidates - relevant)
    )
    return np.minimum(before, behind), np.maximum(before, behind)


def _median(ranking: Ranking) -> float:
    return float(np.median(expected_rank(ranking)))
