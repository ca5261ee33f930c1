"""`yuyin features`: a dataset's media in, its features out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from yuyin.cli.options import DEFAULT_MODELS, Models, Policy, Processes, Vad, accelerator_of, cores
from yuyin.cli.progress import bar

if TYPE_CHECKING:
    from model.features.ast import FilterBank
    from model.features.voice import VoiceDetector
    from model.runtime.accelerator import Accelerator

app = typer.Typer(no_args_is_help=True, help="Compute the frozen features that towers are trained on.")


@app.callback()
def group() -> None:
    """Keep `extract` a sub-command while it is the only one."""


@app.command()
def extract(
    dataset: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="A dataset folder.")],
    profile: Annotated[
        str, typer.Option(help="Which extractors; 'lite' needs nothing to download, 'paper' `yuyin models`.")
    ] = "lite",
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="Of the pretrained networks; what is trained on it is served with it."),
    ] = "fp32",
    extras: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="NAMES",
            help="Inputs that few systems read, such as rhythm,flow,voice; 'flow' needs the train extra.",
        ),
    ] = "",
    vad: Vad = None,
    models: Models = DEFAULT_MODELS,
    accelerator: Policy = "prefer",
    processes: Processes = None,
) -> None:
    """Run the profile's extractors over every pair of DATASET.

    Can be stopped and run again: a finished row is never computed twice. With --with, the beats of the music
    (`rhythm`), the optical flow of the picture (`flow`) or the voice-over in the video's own sound (`voice`)
    go beside the profile's features, which stay as they are.
    """
    from model.backbones.loaded import Backbones
    from model.datasets.extract import extract_features
    from model.datasets.extras import check_extras
    from model.features.extractors import licence_notes
    from model.features.profiles import load_profile
    from model.features.voice import voice_detector

    where = accelerator_of(accelerator)
    names = [name.strip() for name in extras.split(",") if name.strip()]
    check_extras(names)
    detector = voice_detector(vad)
    workers = processes or cores()
    backbones = Backbones(models.expanduser(), precision, where).shared_by(workers)
    loaded = load_profile(profile, backbones, filter_bank(where) if profile == "paper" else None)
    for note in licence_notes((*loaded.video.values(), *loaded.music.values(), loaded.text)):
        typer.echo(f"note: {note}", err=True)
    with bar(f"extracting {profile}") as progress:
        report = extract_features(dataset, loaded, processes=workers, progress=progress)
    for pair in report.dropped:
        typer.echo(f"left out: {pair}", err=True)
    if names:
        _extract_extras(dataset, profile, names, detector, workers)
    typer.echo(f"{dataset}: features of {report.pairs} pairs\nnext: yuyin train {dataset} -o runs/first")
    raise typer.Exit(1 if report.dropped else 0)


def filter_bank(where: "Accelerator") -> "FilterBank | None":
    """AST's on the GPU that torch sees, unless the CPU is asked for; None, which is numpy's, otherwise.

    A GPU that is required is ONNX Runtime's to find: torch without one is no error, only slower.
    """
    from importlib.util import find_spec

    if where.policy == "cpu" or not (find_spec("torch") and find_spec("torchaudio")):
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    from model.backbones.kaldi import TorchFilterBank

    return TorchFilterBank(f"cuda:{where.device}")


def _extract_extras(
    dataset: Path, profile: str, names: list[str], detector: "VoiceDetector", processes: int
) -> None:
    from model.datasets.extras import extract_extras

    with bar(f"extracting {', '.join(names)}") as progress:
        report = extract_extras(dataset, profile, names, detector, processes=processes, progress=progress)
    if report.soundless:
        typer.echo(
            f"note: the videos of {len(report.soundless)} pairs have no sound, so no voice-over", err=True
        )
