"""`yuyin evaluate`: a run or a bundle and a dataset in, recalls both ways with chance and intervals out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from yuyin.cli.options import AsJson

if TYPE_CHECKING:
    from model.evaluation.protocol import Evaluation


def evaluate(
    what: Annotated[
        Path, typer.Argument(metavar="RUN|BUNDLE", exists=True, file_okay=False, help="What to measure.")
    ],
    dataset: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A dataset folder with features.")
    ],
    split: Annotated[str, typer.Option(help="Which part of DATASET: train, evaluation or test.")] = "test",
    as_json: AsJson = False,
) -> None:
    """Measure how often the right music (or video) is among the first K.

    `strict`: right is the advert's own clip; `shared`: any clip of the same track. The pool is all clips
    of the split. Intervals are 95 %, bootstrapped over queries, clustered by track; chance is what a blind
    scorer gets.
    """
    from model.datasets.table import Dataset
    from model.evaluation.run import evaluate_run

    result = evaluate_run(what, Dataset.open(dataset), split)
    if as_json:
        typer.echo(json.dumps(result.as_dict()))
    else:
        _print(result)


def _print(result: "Evaluation") -> None:
    from model.evaluation.report import HEADER, table_rows

    table = Table(title=f"split {result.split}: {result.pairs} pairs, {result.tracks} tracks")
    for name in HEADER:
        table.add_column(name, justify="left" if name in HEADER[:2] else "right", no_wrap=True)
    for number, row in enumerate(table_rows(result)):
        table.add_row(
            *row, style="dim" if row[1] in ("95 %", "chance") else "bold", end_section=number % 3 == 2
        )
    Console(width=max(150, Console().width)).print(table)
