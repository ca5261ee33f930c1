"""`yuyin train`: a dataset with features in, a run folder with the best checkpoint out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from model.errors import BadOptions
from yuyin.cli.options import MAX_SEED
from yuyin.cli.progress import bar


def train(
    dataset: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="A dataset folder with features.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The run folder to write; must not exist yet.")],
    system: Annotated[str, typer.Option(help="Which published system to train.")] = "yuyin",
    preset: Annotated[
        str | None,
        typer.Option(
            help="'paper': the published recipe; of yuyin also 'lite': regularised, for some thousand pairs, "
            "and its ablations. Default: the system's first; a wrong one lists them."
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Which features to train on. Default: the only ones that DATASET has.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda where there is one.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Same seed, same weights.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the preset; repeat."),
    ] = None,
) -> None:
    """Train a system on the pairs of DATASET; the epoch with the best evaluation figure is kept.

    Stop it at any time: the same command goes on from the last checkpoint, RUN.checkpoint.
    """
    from model.training.loop import Epoch
    from model.training.run import TrainJob, checkpoint_of
    from model.training.run import train as run_job

    console = Console(stderr=True)
    asked = {"seed": str(seed)} | dict(_setting(text) for text in settings or [])

    def stopped() -> str:
        checkpoint = checkpoint_of(out)
        if checkpoint.exists():
            return f"the same command goes on from {checkpoint}"
        return "the same command starts anew, since no checkpoint was due yet"

    with bar("training", stopped) as progress:

        def show(epoch: Epoch) -> None:
            progress(epoch.number, epoch.of)
            if epoch.best and epoch.number > 1:
                console.print(
                    f"epoch {epoch.number}: evaluation loss {epoch.evaluation_loss:.3f}, "
                    f"R@10 V->M {epoch.r10_video_to_music:.3f} M->V {epoch.r10_music_to_video:.3f}, "
                    f"MRR {epoch.mrr:.3f}  (best so far)",
                    highlight=False,
                )

        job = TrainJob(dataset, out, system, preset, profile, asked, device)
        report = run_job(job, show, lambda sentence: typer.echo(sentence, err=True))
    typer.echo(
        f"{report.folder}: {report.parameters:,} parameters, best epoch {report.best.number} of "
        f"{report.best.of}; how it went: {report.folder / 'curves.png'}\n"
        f"{report.stopped + chr(10) if report.stopped else ''}"
        f"next: yuyin evaluate {out} {dataset}; yuyin export {out} -o bundles/first"
    )


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise BadOptions(f"--set {text!r} is not of the form key=value")
    return key.strip(), value.strip()
