"""`yuyin evaluate`: a run or a bundle and a dataset in; recalls both ways and a page that shows them out."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from model.errors import BadOptions
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
    split: Annotated[
        Literal["train", "evaluation", "test"], typer.Option(help="Which part of DATASET.")
    ] = "test",
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            file_okay=False,
            help="The folder for report.html and evaluation.json; "
            "default: reports/NAME-DATASET-SPLIT, where NAME is the run's or the bundle's id.",
        ),
    ] = None,
    listener: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE/FEATURE",
            help="Features of the music that RUN|BUNDLE does not read, to say how far its first choice "
            "sounds from the right clip.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how often the right music (or video) is among the first K, and write a page that shows it.

    Each protocol is a question of its own. `strict`: the advert's own clip, of all clips of the split;
    `shared`: any clip of the same track; `dedup`: its track, every track once, by its best clip;
    `yuyin_batched`: as strict, in pools of 1,024 and the rest, to read beside the paper; `catalog`: its
    track, of all tracks of DATASET; `cold`: as strict, among tracks that training never heard. What a split
    cannot answer is named with the reason. Scores come from the index's own search. Intervals are 95 %,
    bootstrapped over queries, clustered by track; chance is what a blind scorer gets. The page is one file
    with tables, recall curves, and the best and worst matches.
    """
    from index_builder.search import FlatSearch
    from model.datasets.table import Dataset
    from model.evaluation.listener import open_listener
    from model.evaluation.page import write_report
    from model.evaluation.run import measure

    if not any((what / name).is_file() for name in ("run.json", "bundle.json")):
        raise BadOptions(
            f"{what} is neither a run nor a bundle: name what `yuyin train` or `yuyin export` wrote"
        )
    if out is not None:
        _check_outside(out, what)
    data = Dataset.open(dataset)
    heard_by = None if listener is None else open_listener(data, listener)
    console = Console(stderr=True)
    with console.status("embedding and ranking every pair"):
        measured = measure(what, data, split, FlatSearch, heard_by)
    with console.status("drawing the report"):
        place = out or Path("reports") / f"{measured.subject.name}-{dataset.resolve().name}-{split}"
        written = write_report(measured, place, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(measured.evaluation.as_dict()))
    else:
        _print(measured.evaluation)
    typer.echo(f"report: {written}", err=as_json)


def _check_outside(out: Path, what: Path) -> None:
    """A run and a bundle list their files: one more, and they count as damaged."""
    if out.resolve().is_relative_to(what.resolve()):
        raise BadOptions(f"{out} lies inside {what}, which would no longer be whole: name a folder elsewhere")


def _print(result: "Evaluation") -> None:
    from model.evaluation.report import HEADER, notes, table_rows

    table = Table(title=f"split {result.split}: {result.pairs} pairs, {result.tracks} tracks")
    for name in HEADER:
        table.add_column(name, justify="left" if name in HEADER[:2] else "right", no_wrap=True)
    for number, row in enumerate(table_rows(result)):
        table.add_row(
            *row, style="dim" if row[1] in ("95 %", "chance") else "bold", end_section=number % 3 == 2
        )
    Console(width=max(150, Console().width)).print(table)
    for note in notes(result):
        typer.echo(note)
