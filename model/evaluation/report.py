"""An evaluation in, rows of text for a table out; whoever prints them chooses how."""

from model.evaluation.protocol import CUTOFFS, Estimate, Evaluation, Result

HEADER = ("protocol", "direction", *(f"R@{k}" for k in CUTOFFS), "MedR", "MRR")


def table_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """For each protocol and direction a row of figures, then the 95 % intervals, then chance.

    Cells are in the order of `HEADER`.
    """
    return [row for result in evaluation.results for row in _rows(result)]


def _rows(result: Result) -> list[tuple[str, ...]]:
    estimates = [*(result.recall[k] for k in CUTOFFS)]
    return [
        (
            result.protocol,
            result.direction,
            *(_share(e.value) for e in estimates),
            f"{result.median_rank:g} of {result.pool}",
            _share(result.mrr.value),
        ),
        ("", "95 %", *(_interval(e) for e in estimates), "", _interval(result.mrr)),
        (
            "",
            "chance",
            *(_share(e.chance) for e in estimates),
            f"{result.chance_median_rank:g}",
            _share(result.mrr.chance),
        ),
    ]


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 0.9995 else f"{value:.3f}"


def _interval(estimate: Estimate) -> str:
    return f"{_share(estimate.low)}-{_share(estimate.high)}"
