"""`yuyin export`: a run in, a bundle that the index builder and the service can use out."""

import shutil
from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="What `yuyin train` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The bundle folder to write.")],
    dataset: Annotated[
        Path | None, typer.Option(help="Where the run's dataset lies now, if it was moved.")
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Another dataset, unseen in training, for the figures of the card.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there already.")] = False,
) -> None:
    """Export RUN as ONNX towers, checked against torch within 1e-5, with figures and a model card."""
    from model.bundle import Bundle
    from model.export import export_run

    if not force or not out.exists():
        export_run(run, out, dataset=dataset, test=test)
    else:
        fresh = out.with_name(f"{out.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)  # left by an export that was killed
        export_run(run, fresh, dataset=dataset, test=test)
        shutil.rmtree(out)
        fresh.rename(out)
    size_bytes = sum(file.stat().st_size for file in out.rglob("*"))
    typer.echo(f"{out}: bundle {Bundle.open(out).id}, {size_bytes / 1e6:.1f} MB; figures in MODEL_CARD.md")
    typer.echo(f"next: yuyin index build YOUR_MUSIC --bundle {out}")
