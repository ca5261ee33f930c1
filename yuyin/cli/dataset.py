"""`yuyin dataset`: pairs of video and music for training, from the shop's own list or from our generator."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from yuyin.cli.options import AsJson, Processes, cores
from yuyin.cli.progress import bar

app = typer.Typer(no_args_is_help=True, help="Make datasets: pairs of video and music.")

Out = Annotated[Path, typer.Option("-o", "--out", help="The dataset folder to write.")]


@app.command()
def prepare(
    pairs: Annotated[
        Path,
        typer.Option(
            "--pairs", exists=True, dir_okay=False, help="video,music,start_s,category[,tag,split,group]"
        ),
    ],
    out: Out,
    as_json: AsJson = False,
) -> None:
    """Check your own list of finished ads and make it a dataset.

    PAIRS is a CSV with the header `video,music,start_s,category`, and if you like `tag`, `split` (train,
    evaluation, test) and `group` (what must not be split). Paths are relative to the CSV; nothing is
    copied. Rows that cannot be used are listed with the reason and left out (exit status 1).
    """
    from model.datasets.prepare import prepare_pairs

    report = prepare_pairs(pairs, out)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        for warning in report.warnings:
            typer.echo(f"note: {warning}", err=True)
        for line, reason in report.dropped:
            typer.echo(f"{pairs}:{line}: left out: {reason}", err=True)
        typer.echo(
            f"{out}: {report.kept} pairs of {report.tracks} tracks kept, {len(report.dropped)} left out"
        )
        typer.echo(f"next: yuyin features extract {out}")
    raise typer.Exit(1 if report.dropped else 0)


@app.command()
def synth(
    out: Out,
    pairs: Annotated[int, typer.Option(min=1, help="How many adverts, each with its music.")] = 1500,
    seed: Annotated[int, typer.Option(help="Other seed, other adverts, tracks and brands; same world.")] = 1,
    test_only: Annotated[bool, typer.Option("--test-only", help="All pairs go to the split 'test'.")] = False,
    processes: Processes = None,
) -> None:
    """Render adverts and music with known factors, paired by a random-utility model.

    About 1.5 s a pair on two cores. Can be stopped and run again: what is finished is not rendered twice.
    """
    from model.datasets.synth.dataset import render_dataset

    with bar("rendering pairs") as progress:
        render_dataset(
            out,
            pairs=pairs,
            seed=seed,
            processes=processes or cores(),
            progress=progress,
            test_only=test_only,
        )
    typer.echo(f"{out}: {pairs} pairs\nnext: yuyin features extract {out}")
