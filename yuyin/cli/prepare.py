"""`yuyin dataset prepare`: a folder of finished ads, or a list of them, in; a dataset folder out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from model.errors import BadOptions
from yuyin.cli.options import AsJson, Processes, Vad, cores
from yuyin.cli.progress import bar


def prepare(
    out: Annotated[Path, typer.Option("-o", "--out", help="The dataset folder to write.")],
    ads_dir: Annotated[
        Path | None, typer.Argument(exists=True, file_okay=False, help="A folder of finished ads.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            "--pairs", exists=True, dir_okay=False, help="video,music,start_s,category[,tag,split,group]"
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CSV or JSON: tag,category[,file]")
    ] = None,
    min_music: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Least share of an ad's time with music in it.")
    ] = 0.5,
    track_disjoint: Annotated[
        bool, typer.Option("--track-disjoint", help="Ads with the same music go to the same split.")
    ] = False,
    vad: Vad = None,
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of your finished ads: a folder of them, or a list with the music of each.

    ADS_DIR: every video in it is measured, and those without music for half of their time, without picture
    or sound, broken, or there twice are listed with the reason and left out (exit status 1). An ad's tag is
    the sub-folder it lies in; a mapping says which categories tags are merged to. Ads that sound alike count
    as one track. Can be stopped and run again. Nothing is copied.

    --pairs: a CSV with the header `video,music,start_s,category`, and if you like `tag`, `split` (train,
    evaluation, test) and `group` (what must not be split). Paths are relative to the CSV; nothing is copied.
    Rows that cannot be used are listed with the reason and left out (exit status 1).
    """
    match ads_dir, pairs:
        case Path(), None:
            _prepare_ads(ads_dir, out, mapping, min_music, track_disjoint, vad, processes, as_json)
        case None, Path():
            if mapping is not None or track_disjoint:
                raise BadOptions("--mapping and --track-disjoint go with a folder of ads: leave them out")
            _prepare_pairs(pairs, out, as_json)
        case _:
            raise BadOptions("name either a folder of finished ads or --pairs with a list of them")


def _prepare_ads(
    ads_dir: Path,
    out: Path,
    mapping: Path | None,
    min_music: float,
    track_disjoint: bool,
    vad: Path | None,
    processes: int | None,
    as_json: bool,
) -> None:
    from model.datasets.ads import prepare_ads
    from model.features.voice import voice_detector

    detector = voice_detector(vad)
    with bar("measuring ads") as progress:
        report = prepare_ads(
            ads_dir,
            out,
            mapping=mapping,
            min_music=min_music,
            track_disjoint=track_disjoint,
            detector=detector,
            processes=processes or cores(),
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(report)))
    else:
        for warning in report.warnings:
            typer.echo(f"note: {warning}", err=True)
        for ad in report.dropped:
            typer.echo(f"{ads_dir / ad.file}: left out: {ad.left_out}", err=True)
        if report.ignored:
            typer.echo(f"note: {report.ignored} other files are no videos by their names", err=True)
        splits = ", ".join(f"{count} {name}" for name, count in report.splits.items())
        typer.echo(
            f"{out}: {report.kept} ads of {report.tracks} tracks kept ({splits}), "
            f"{len(report.dropped)} left out; shares of music and voice: {out / 'ads.json'}"
        )
        typer.echo(f"next: yuyin features extract {out}")
    raise typer.Exit(1 if report.dropped else 0)


def _prepare_pairs(pairs: Path, out: Path, as_json: bool) -> None:
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
