"""An evaluation in, rows of text for a table and sentences out; whoever prints them chooses how."""

from model.evaluation.pool import BATCH, Direction, Protocol
from model.evaluation.protocol import CUTOFFS, Estimate, Evaluation, Result

HEADER = ("protocol", "direction", *(f"R@{k}" for k in CUTOFFS), "MedR", "MRR")
HEADLINE_K = 10
TASK: dict[Direction, str] = {"V->M": "Music for a video", "M->V": "A video for music"}


def table_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """For each protocol and direction a row of figures, then the 95 % intervals, then chance.

    Cells are in the order of `HEADER`. What only repeats the rows of `strict` is left to `notes`.
    """
    repeated = _repeated(evaluation)
    return [row for result in evaluation.results if result.protocol not in repeated for row in _rows(result)]


def notes(evaluation: Evaluation) -> tuple[str, ...]:
    """Why protocols have no row: they are strict by another name here, or cannot be answered."""
    same = [f"{protocol}: as strict, since {reason}" for protocol, reason in _repeated(evaluation).items()]
    return *same, *(f"{each.protocol}: n/a ({each.reason})" for each in evaluation.absent)


def _repeated(evaluation: Evaluation) -> dict[Protocol, str]:
    """Which protocols ask what `strict` asks of this split, and why."""
    found: dict[Protocol, str] = {}
    if evaluation.tracks == evaluation.pairs:
        found |= dict.fromkeys(("shared", "dedup"), "every track has one clip")
    if evaluation.pairs <= BATCH:
        found["yuyin_batched"] = f"the split is one batch of at most {BATCH:,}"
    cold = [result.queries for result in evaluation.results if result.protocol == "cold"]
    if cold and cold[0] == evaluation.pairs:
        found["cold"] = "training heard none of the tracks"
    return found


def headline_k(evaluation: Evaluation) -> int:
    """How long the list of the headline is: 10, or 1 where 10 would be the whole pool."""
    return HEADLINE_K if evaluation.pairs > HEADLINE_K else 1


def headline(evaluation: Evaluation, queries: str) -> str:
    """What a music supervisor wants to know, in one sentence.

    Args:
        evaluation: of any split.
        queries: what to call its videos, such as "unseen adverts".
    """
    result, k = evaluation.result("strict", "V->M"), headline_k(evaluation)
    estimate, among = result.recall[k], f"among the first {k} of {result.pool}" if k > 1 else "the first"
    return (
        f"Of {evaluation.pairs} {queries}, the right clip is {among} for {percent(estimate.value)} "
        f"(95\N{NO-BREAK SPACE}% interval {100 * estimate.low:.1f} to {percent(estimate.high)}; "
        f"chance {percent(estimate.chance)})."
    )


def verdict(evaluation: Evaluation) -> str:
    """How the headline's figure compares with guessing, no more than its interval allows."""
    estimate = evaluation.result("strict", "V->M").recall[headline_k(evaluation)]
    times = f"{estimate.value / estimate.chance:.1f} times what guessing finds"
    if estimate.low > estimate.chance:
        return f"That is {times}, and the whole interval lies above guessing."
    if estimate.high < estimate.chance:
        return f"That is {times}: worse than guessing."
    return f"That is {times}, but the interval holds chance: no better than guessing can be claimed."


def percent(share: float) -> str:
    """A share of 1 with a decimal; never torn from its sign at the end of a line."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def share(value: float) -> str:
    """A share of 1 as tables of the field print it: .403."""
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 0.9995 else f"{value:.3f}"


def arrow(direction: str) -> str:
    """A direction in words."""
    return {"V->M": "video → music", "M->V": "music → video"}[direction]


def _rows(result: Result) -> list[tuple[str, ...]]:
    estimates = [*(result.recall[k] for k in CUTOFFS)]
    return [
        (
            result.protocol,
            result.direction,
            *(share(e.value) for e in estimates),
            f"{result.median_rank:g} of {result.pool}",
            share(result.mrr.value),
        ),
        ("", "95 %", *(_interval(e) for e in estimates), "", _interval(result.mrr)),
        (
            "",
            "chance",
            *(share(e.chance) for e in estimates),
            f"{result.chance_median_rank:g}",
            share(result.mrr.chance),
        ),
    ]


def _interval(estimate: Estimate) -> str:
    return f"{share(estimate.low)}-{share(estimate.high)}"
