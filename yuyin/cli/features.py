"""`yuyin features`: media in, features out: of a dataset, or of a video that its server must not see."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from yuyin.cli.options import DEFAULT_MODELS, Models, Policy, Processes, Vad, accelerator_of, cores
from yuyin.cli.progress import bar

if TYPE_CHECKING:
    from model.features.ast import FilterBank
    from model.features.extractors import Profile
    from model.features.voice import VoiceDetector
    from model.runtime.accelerator import Accelerator

Where = Literal["require", "prefer", "cpu"]

app = typer.Typer(no_args_is_help=True, help="Compute the frozen features that towers are trained on.")


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


@app.command()
def video(
    video: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The rough cut.")],
    output: Annotated[Path, typer.Option("-o", dir_okay=False, help="The JSON file to write.")],
    server: Annotated[
        str | None, typer.Option(metavar="URL", help="Compute what this server's bundle reads.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="The same from a bundle's folder.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="YUYIN_KEY", help="API key for --server.")] = None,
    start_s: Annotated[float | None, typer.Option(min=0, help="Use the video from here.")] = None,
    end_s: Annotated[float | None, typer.Option(min=0, help="Use the video up to here.")] = None,
    models: Models = DEFAULT_MODELS,
    accelerator: Policy = "prefer",
) -> None:
    """Compute the features of VIDEO here, so that a server can rank for it and never sees it.

    Send the file as it is: curl -H 'Content-Type: application/json' --data @FILE URL/recommend; "options" may
    be added to it. `yuyin recommend --features-only` does both. Without --server and --bundle, for the bundle
    that comes with this version.
    """
    import json

    from model.artifact import write_file
    from service.ranking.sending import body_of

    profile = _sender(server, bundle, key, models, accelerator)
    body = body_of(video, profile, start_s=start_s, end_s=end_s)
    write_file(output, json.dumps(body).encode())
    typer.echo(f"{output}: {len(body['features'])} inputs of {body['duration_s']:.1f} s of picture")


def _sender(
    server: str | None, bundle: Path | None, key: str | None, models: Path, accelerator: Where
) -> "Profile":
    """The extractors that a server, or a bundle, reads the features of."""
    import json

    from model.bundle import MANIFEST, shipped_bundle
    from model.errors import BadOptions

    if server is not None and bundle is not None:
        raise BadOptions("--server and --bundle both say which features are wanted: give one of them")
    if server is not None:
        return sender_of(server, key, models, accelerator)
    manifest = json.loads(((bundle or shipped_bundle()) / MANIFEST).read_text("utf-8"))
    return _profile_for(manifest["profile"], manifest["recipe"], models, accelerator)


def sender_of(server: str, key: str | None, models: Path, accelerator: Where) -> "Profile":
    """The extractors of a server's bundle, by its own word."""
    from model.errors import NotReady
    from yuyin.cli.remote import get_json

    told = get_json(server, "/version", key)
    if told["recipe"] is None:
        raise NotReady(f"{server} has no snapshot loaded, so no recipe: see {server.rstrip('/')}/readyz")
    return _profile_for(told["profile"], told["recipe"], models, accelerator)


def _profile_for(name: str, recipe: dict[str, Any], models: Path, accelerator: Where) -> "Profile":
    from model.backbones.loaded import Backbones
    from service.ranking.sending import profile_for

    where = accelerator_of(accelerator)
    backbones = Backbones(models.expanduser(), recipe.get("precision") or "fp32", where)
    return profile_for(name, recipe, backbones)


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
