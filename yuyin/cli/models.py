"""`yuyin models`: pretrained networks, from the network or a folder, in; what a profile runs out."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from model.errors import BadOptions
from yuyin.cli.exports import export_sources, fewer_bits, from_checkpoint
from yuyin.cli.options import DEFAULT_MODELS, AsJson, Models, Policy, Processes, cores
from yuyin.cli.tables import print_table
from yuyin.cli.transfers import transfers

if TYPE_CHECKING:
    from model.hub.sources import Source

app = typer.Typer(
    no_args_is_help=True, help="Pretrained networks: the profile 'paper' needs some, 'lite' needs none."
)


@app.command("list")
def show(models: Models = DEFAULT_MODELS, as_json: AsJson = False) -> None:
    """List the networks that YuYin knows: which are here, their licences, and which profile needs them."""
    from model.hub.installed import list_models

    entries = list_models(models.expanduser())
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries]))
        return
    rows = []
    for each in entries:
        source = f"{each.repo}@{each.revision[:8]}" if each.revision else each.repo
        shown = (each.precision or "", each.state, each.id or "", _megabytes(each.size), each.licence, source)
        rows.append((each.name, *shown, ", ".join(each.profiles)))
    print_table(("network", "precision", "state", "id", "size", "licence", "source", "for"), rows)


@app.command()
def pull(
    profile: Annotated[str, typer.Argument(help="Whose networks; 'paper' is the one that needs some.")],
    models: Models = DEFAULT_MODELS,
    revision: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=REV", help="Another branch, tag, refs/pr/N or commit; repeat for several."
        ),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Pin what the branch is now, instead of what was pinned.")
    ] = False,
    export: Annotated[
        bool, typer.Option(help="Make them ready to run, too; --no-export leaves them as they came.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Download the networks of PROFILE from Hugging Face, check and pin them, and make them ready to run.

    What was downloaded is recorded in models.lock.json: from then on exactly these bytes are accepted,
    wherever the branch goes. A broken download goes on where it stopped; what is here already needs no
    network. Only safetensors, JSON and text are taken, no file that could run code. HF_ENDPOINT (a mirror),
    HF_TOKEN, HF_HUB_OFFLINE and the proxy variables work as with other tools of Hugging Face. Making the
    networks ready needs the train extra; a machine that only runs them can get the whole folder with
    `yuyin models import`.
    """
    from model.hub.pull import pull_sources

    at, names = models.expanduser(), _names(profile)
    with transfers() as progress:
        sources = pull_sources(at, names, progress, revisions=_revisions(revision), update=update)
    for source in sources:
        for note in source.notes:
            typer.echo(f"note: {note}", err=True)
    if not as_json:
        _say_licences(sources)
    ids = export_sources(at, sources) if export else {}
    if as_json:
        typer.echo(json.dumps([_described(source, ids.get(source.name)) for source in sources]))
        return
    ready = len(ids) == len(sources)
    then = f"yuyin features extract DATASET --profile {profile}" if ready else "yuyin models export NAME"
    typer.echo(f"{at}: {len(sources)} networks pulled, {len(ids)} ready\nnext: {then}")


@app.command()
def verify(
    profile: Annotated[str | None, typer.Argument(help="Only the networks of this profile.")] = None,
    models: Models = DEFAULT_MODELS,
    precision: Annotated[
        Literal["fp16", "int8"] | None,
        typer.Option(help="Instead of the files, check what these fewer bits change.", show_default=False),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="With --precision: a dataset folder with media to measure it on, best of finished ads of "
            "your own. Both precisions run over all of it.",
        ),
    ] = None,
    accelerator: Policy = "prefer",
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Read every file of the networks and compare it with its manifest and with models.lock.json.

    Exit status 1 if a file is missing, changed or unknown.

    With --precision, what fewer bits change is reported instead: the cosine between each network's vectors
    and those of fp32, as its export recorded it. With --dataset it is measured there, and so is R@10 of a
    closed form (CCA) that is trained on each precision's features, over the pairs of split test, or of
    evaluation where there is none. Exit status 1 below these bounds: a mean cosine of 0.99 for each
    network, and an R@10 (mean of both directions) that is at most 0.02 lower; over fewer than 20 pairs R@10
    does not count. Your features in DATASET stay as they are, and are used if they fit; the rest is made in a
    folder inside, from which a stopped run goes on, and which is removed at the end. Needs the train extra.
    """
    at = models.expanduser()
    if precision is None:
        if dataset is not None:
            raise BadOptions("--dataset goes with --precision only: add --precision int8 or fp16")
        _verify_files(at, profile, as_json)
        return
    from model.evaluation.precision import recorded
    from yuyin.cli.precision import measured, show

    asked = profile or "paper"
    names, workers = _names(asked), processes or cores()
    if dataset is None:
        show(recorded(at, names, precision), as_json)
    else:
        show(measured(at, asked, precision, dataset, accelerator, workers), as_json)


def _verify_files(models: Path, profile: str | None, as_json: bool) -> None:
    from model.hub.installed import names_of
    from model.hub.verify import BAD, verify_models

    lines = verify_models(models, _names(profile) if profile else names_of(None))
    if as_json:
        typer.echo(json.dumps([asdict(line) for line in lines]))
    else:
        rows = [(line.part, line.state, str(line.files), _megabytes(line.size), line.said) for line in lines]
        print_table(("folder", "state", "files", "size", ""), rows)
    raise typer.Exit(1 if any(line.state in BAD for line in lines) else 0)


@app.command("import")
def import_(
    folder: Annotated[
        Path,
        typer.Argument(exists=True, file_okay=False, help="A MODELS folder, or one checkpoint's files."),
    ],
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Which network the files are, as `models list` names it."),
    ] = None,
    models: Models = DEFAULT_MODELS,
    update: Annotated[bool, typer.Option("--update", help="Replace what is pinned and differs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over networks from a folder, without a network connection.

    FOLDER is a MODELS folder that `yuyin models pull` filled on another machine, or holds one checkpoint:
    model.safetensors (or model.onnx) and config.json, and vocab.txt for a network that reads text. Every file
    is checked; pickles, links that lead out of FOLDER and graphs with weights elsewhere are refused.
    """
    from model.hub.imported import import_folder

    at = models.expanduser()
    parts = import_folder(at, folder, name, update=update)
    if as_json:
        typer.echo(json.dumps([asdict(part) for part in parts]))
        return
    for part in parts:
        typer.echo(f"{part.part}: {'imported' if part.fresh else 'is here already'}")
    typer.echo(f"next: yuyin models {f'export {name}' if name else 'verify'}")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Which network, as `models list` names it.")],
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="fp32 from the checkpoint; fp16 (for GPUs) and int8 (for CPUs) from fp32."),
    ] = "fp32",
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="VIDEO",
            help="Videos like yours, for the int8 of a network that looks at pictures; repeat for several.",
        ),
    ] = None,
    models: Models = DEFAULT_MODELS,
    as_json: AsJson = False,
) -> None:
    """Turn a pulled or imported checkpoint into the graph that is run, and check it.

    fp32 is proven equal to the checkpoint. fp16 and int8 are made from fp32, and how far their vectors turned
    is printed and kept with them. All need the train extra; what they write runs without it, here or wherever
    the folder is imported.
    """
    at = models.expanduser()
    if calibrate and precision != "int8":
        raise BadOptions("--calibrate goes with --precision int8 only: leave it out")
    backbone = (
        from_checkpoint(at, name) if precision == "fp32" else fewer_bits(at, name, precision, calibrate)
    )
    figures = backbone.manifest.get("figures", {})
    if as_json:
        facts = {"name": name, "precision": precision, "id": backbone.id, "figures": figures}
        typer.echo(json.dumps({**facts, "folder": str(backbone.folder)}))
        return
    moved = figures.get("cosine_to_fp32")
    said = f"; cosine to fp32: {moved['mean']:.4f} on average, {moved['least']:.4f} at least" if moved else ""
    typer.echo(f"{backbone.folder}: {backbone.id}{said}")


def _names(profile: str) -> tuple[str, ...]:
    from model.backbones.catalogue import OF_PROFILE
    from model.hub.installed import names_of

    names = names_of(profile)
    if not names:
        known = ", ".join(OF_PROFILE)
        raise BadOptions(f"no profile {profile!r} needs pretrained networks: name {known}; lite needs none")
    return names


def _revisions(given: Sequence[str] | None) -> dict[str, str]:
    split = dict(each.partition("=")[::2] for each in given or ())
    if odd := [name for name, revision in split.items() if not name or not revision]:
        raise BadOptions(f"--revision {odd[0]} is no NAME=REV, such as --revision ast=main")
    return split


def _say_licences(sources: Sequence["Source"]) -> None:
    from model.backbones.catalogue import spec_of

    for source in sources:
        typer.echo(f"{source.name}: {source.pin.licence}; {spec_of(source.name).source.about}")


def _described(source: "Source", ready: str | None) -> dict[str, object]:
    return {
        "name": source.name,
        "repo": source.repo,
        "revision": source.pin.revision,
        "licence": source.pin.licence,
        "folder": str(source.folder),
        "size": source.size,
        "fresh": source.fresh,
        "notes": source.notes,
        "id": ready,
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size else ""
