"""`yuyin dataset`: pairs of video and music for training, from finished ads, features or our generators."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from model.errors import BadOptions
from yuyin.cli.adsynth import adsynth
from yuyin.cli.from_feedback import from_feedback
from yuyin.cli.options import MAX_SEED, AsJson, Processes, cores
from yuyin.cli.prepare import prepare
from yuyin.cli.progress import bar

if TYPE_CHECKING:
    from model.datasets.imports.imported import ImportReport

app = typer.Typer(no_args_is_help=True, help="Make datasets: pairs of video and music.")
app.command()(prepare)
app.command("from-feedback")(from_feedback)
app.command()(adsynth)

Out = Annotated[Path, typer.Option("-o", "--out", help="The dataset folder to write.")]


@app.command()
def synth(
    out: Out,
    pairs: Annotated[int, typer.Option(min=1, help="How many adverts, each with its music.")] = 1500,
    seed: Annotated[
        int,
        typer.Option(min=0, max=MAX_SEED, help="Other seed, other adverts, tracks and brands; same world."),
    ] = 1,
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


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="An .npz file; for 'features' a pairs.csv."),
    ],
    kind: Annotated[
        Literal["ave", "muvi", "features"], typer.Option("--as", help="What FILE is.", show_default=False)
    ],
    out: Out,
    emobase: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="With --as muvi: the file of their emobase functionals; leaves the pairs that it has.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the split, where FILE has none.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Make features that were extracted elsewhere a dataset.

    'ave' and 'muvi' read the .npz files of AVE and MuVi-Sync. 'features' reads your own: FILE is a CSV with
    the columns `pair_id`, `video.NAME` (any number of them), `music.audio`, and if you like `music.emotion`,
    `music.rhythm`, `text`, `valence`, `track_id`, `category`, `tag`, `split` and `group`. Cells of features
    name rows of .npy files, relative to FILE: `clips.npy:17` is one row, `clips.npy:40:52` a sequence of
    rows, `clip17.npy` all rows of a file.
    """
    from model.datasets.imports.ave import read_ave
    from model.datasets.imports.imported import write_imported
    from model.datasets.imports.muvi import read_muvi
    from model.datasets.imports.rows import read_features

    if emobase is not None and kind != "muvi":
        raise BadOptions("--emobase goes with --as muvi only: leave it out")
    match kind:
        case "ave":
            imported = read_ave(file, seed)
        case "muvi":
            imported = read_muvi(file, seed, emobase)
        case "features":
            imported = read_features(file, seed)
    report = write_imported(imported, out)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
        return
    parts = ", ".join(f"{count} {split}" for split, count in report.pairs.items())
    widths = ", ".join(f"{name} {width}" for name, width in report.widths.items())
    typer.echo(f"{out}: {sum(report.pairs.values())} pairs of {report.tracks} tracks ({parts})")
    typer.echo(f"features: {widths}; {report.categories or 'no'} categories")
    typer.echo(f"next: {'; '.join(_next(out, report))}")


def _next(dataset: Path, report: "ImportReport") -> list[str]:
    """Commands that work whatever was imported: YuYin+ does without emotion, text and categories."""
    if not report.pairs["train"]:
        return [f"yuyin evaluate RUN {dataset}"]
    compare = [f"yuyin compare {dataset}"] if report.pairs["test"] else []
    return [*compare, f"yuyin train {dataset} --system yuyin_plus -o runs/first"]
