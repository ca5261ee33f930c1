"""Networks of fewer bits in; tables of what that changes, and exit code 1 if it is too much, out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from yuyin.cli.options import accelerator_of
from yuyin.cli.progress import bar
from yuyin.cli.tables import print_table

if TYPE_CHECKING:
    from model.evaluation.precision import Report, Retrieved
    from model.runtime.accelerator import Policy as AcceleratorPolicy


def measured(
    models: Path,
    profile: str,
    precision: str,
    dataset: Path,
    policy: "AcceleratorPolicy",
    processes: int,
) -> "Report":
    """Run the networks of a profile over a dataset in both precisions."""
    from model.backbones.loaded import Backbones
    from model.evaluation.bits import measure, work_of
    from model.features.extractors import licence_notes
    from model.features.profiles import load_profile
    from yuyin.cli.features import filter_bank

    where = accelerator_of(policy)
    heard = filter_bank(where)
    full, fewer = (
        load_profile(profile, Backbones(models, each, where).shared_by(processes), heard)
        for each in ("fp32", precision)
    )
    for note in licence_notes((*full.video.values(), *full.music.values(), full.text)):
        typer.echo(f"note: {note}", err=True)

    def stopped() -> str:
        return f"the same command goes on from {work_of(dataset, fewer)}"

    return measure(dataset, full, fewer, processes=processes, bar=lambda label: bar(label, stopped))


def show(report: "Report", as_json: bool) -> None:
    """Print what was found; leaves with exit code 1 if it is refused."""
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        _print(report)
    for note in report.notes:
        typer.echo(f"note: {note}", err=True)
    if report.refused is not None:
        typer.echo(report.refused, err=True)
        raise typer.Exit(1)


def _print(report: "Report") -> None:
    print_table(
        ("network", "vectors", f"cosine of {report.precision} to fp32: mean", "least"),
        [(each.network, str(each.rows), f"{each.mean:.5f}", f"{each.least:.5f}") for each in report.turned],
    )
    if report.retrieved is not None:
        _print_retrieved(report.precision, report.retrieved)


def _print_retrieved(precision: str, found: "Retrieved") -> None:
    rows = [(name, *(f"{share:.4f}" for share in both)) for name, both in found.by_precision(precision)]
    print_table((f"R@10 of {found.pairs} pairs of {found.split!r}", "V->M", "M->V", "mean"), rows)
    change = found.change
    typer.echo(f"change of the mean: {change.value:+.4f} (95 %: {change.low:+.4f} to {change.high:+.4f})")
