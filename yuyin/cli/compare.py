"""`yuyin compare`: a dataset in; the paper's Tables 2, 3 and 4 for it, side by side, out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.table import Table

from yuyin.cli.options import AsJson, Processes, cores
from yuyin.cli.progress import bar

if TYPE_CHECKING:
    from model.comparison.report import Report


def compare(
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...",
            exists=True,
            file_okay=False,
            help="A dataset folder with features; several must be splits of the same pairs.",
        ),
    ],
    systems: Annotated[str, typer.Option(help="'all', or names with commas between.")] = "all",
    rows: Annotated[
        list[str] | None,
        typer.Option(help="Only this table: table2, table3, table4, plus, switches, variants; repeat."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", file_okay=False, help="The folder to write; default: reports/compare-DATASET."
        ),
    ] = None,
    profile: Annotated[str | None, typer.Option(help="Which features, where there are several.")] = None,
    trials: Annotated[int, typer.Option(help="Tuning trials of each system, 1 to 8.")] = 4,
    seeds: Annotated[int, typer.Option(help="Trainings of each row, whose mean is reported.")] = 3,
    limit_s: Annotated[
        float, typer.Option("--limit-s", help="Most seconds of training a run; 0: none.")
    ] = 90,
    tune_on: Annotated[
        Path | None,
        typer.Option(
            "--tune-on",
            exists=True,
            file_okay=False,
            help="Run the tuning trials on this data set, such as a development world, instead of DATASET.",
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(help="float32, or bfloat16: several times as fast where the processor has it.")
    ] = "float32",
    processes: Processes = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Train every published system on the same pairs with the same budget, and set them side by side.

    Every system gets as many tuning trials, chosen by R@10 on the evaluation part; its ablation rows reuse
    what won. Rows that read what DATASET does not have say n/a and why. The time it takes is estimated first.
    Every finished run is kept: stop it and start again at any time.
    """
    from model.comparison.compare import PAGE, CompareJob, Listener
    from model.comparison.compare import compare as run_job
    from model.comparison.estimate import Estimate, spoken
    from model.comparison.plan import Budget, Machine
    from model.systems.recipe import Precision

    console = Console(stderr=True, highlight=False)
    place = out or Path("reports") / f"compare-{datasets[0].resolve().name}"
    running = _machine(processes, device)

    def say(found: Estimate) -> None:
        most = f", {spoken(found.at_most_s)} at most" if limit_s else ""
        console.print(
            f"{found.runs} runs to make, {running[0]} at a time: about {spoken(found.seconds)}{most} "
            "(by two training steps of each system here)"
        )

    job = CompareJob(
        tuple(datasets),
        place,
        tune_on,
        systems,
        tuple(rows or ()),
        profile,
        Budget(trials, seeds, limit_s, cast(Precision, precision)),  # checked there
        Machine(*running, device),
    )
    with bar(
        "comparing", lambda: "the same command goes on from here"
    ) as progress:  # first the systems whose speed is measured, then the runs
        report = run_job(job, Listener(progress, say, progress))
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        _print(report)
    typer.echo(f"report: {place / PAGE}", err=as_json)


def _machine(processes: int | None, device: str) -> tuple[int, int]:
    """Processes and threads of each: one a core, since small steps gain little from a second thread."""
    import torch

    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return processes or 1, cores()
    chosen = processes or cores()
    return chosen, max(1, cores() // chosen)


def _print(report: "Report") -> None:
    from model.comparison.text import caption, contest_line, header, notes, table_rows

    for each in report.tables:
        table = Table(title=caption(report, each), title_justify="left")
        for number, name in enumerate(header(report)):
            table.add_column(name, justify="right" if number else "left", no_wrap=number > 0)
        for row in table_rows(report, each):
            table.add_row(*row)
        needed = Console(width=1_000).measure(table).maximum
        console = Console(width=max(needed, Console().width), highlight=False)  # no figure is cut
        console.print(table)
        for note in notes(report, each):
            console.print(note, style="dim")
    for found in report.contests:
        typer.echo(contest_line(report, found))
