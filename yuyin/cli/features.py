"""`yuyin features`: a dataset's media in, its features out."""

from pathlib import Path
from typing import Annotated

import typer

from yuyin.cli.options import Processes, cores
from yuyin.cli.progress import bar

app = typer.Typer(no_args_is_help=True, help="Compute the frozen features that towers are trained on.")


@app.callback()
def group() -> None:
    """Keep `extract` a sub-command while it is the only one."""


@app.command()
def extract(
    dataset: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A dataset folder.")],
    profile: Annotated[
        str, typer.Option(help="Which extractors; 'lite' needs nothing to download.")
    ] = "lite",
    processes: Processes = None,
) -> None:
    """Run the profile's extractors over every pair of DATASET.

    Can be stopped and run again: a finished row is never computed twice.
    """
    from model.datasets.extract import extract_features
    from model.features.profiles import load_profile

    with bar(f"extracting {profile}") as progress:
        report = extract_features(
            dataset, load_profile(profile), processes=processes or cores(), progress=progress
        )
    for pair in report.dropped:
        typer.echo(f"left out: {pair}", err=True)
    typer.echo(f"{dataset}: features of {report.pairs} pairs\nnext: yuyin train {dataset} -o runs/first")
    raise typer.Exit(1 if report.dropped else 0)
