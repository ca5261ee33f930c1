"""`yuyin index`: a pool of music in, snapshots that can be served out."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from model.errors import NotFound
from yuyin.cli.options import (
    DEFAULT_MODELS,
    DEFAULT_STORE,
    AsJson,
    Models,
    Policy,
    Processes,
    Store,
    accelerator_of,
    cores,
)
from yuyin.cli.progress import bar

TABLE_COLUMNS = 100  # ids are typed back: never shorten them

app = typer.Typer(no_args_is_help=True, help="Build and keep snapshots of your music pool.")


@app.command()
def build(
    pool: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="Folder of music, catalogue optional.")
    ],
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder; default: the shipped one.")] = None,
    store: Store = DEFAULT_STORE,
    recompute: Annotated[bool, typer.Option("--recompute", help="Ignore stored features.")] = False,
    activate: Annotated[bool, typer.Option(help="Make the new snapshot the current one.")] = True,
    models: Models = DEFAULT_MODELS,
    accelerator: Policy = "prefer",
    processes: Processes = None,
    as_json: AsJson = False,
) -> None:
    """Embed every track of POOL and write a new snapshot into the store.

    POOL may hold a catalogue.csv, .jsonl or .parquet with the columns path, track_id, external_id, title,
    artist, genres, moods, bpm, key, vocals, explicit; what is missing is measured where it can be. Features
    that are stored already are not computed again, and a build may be stopped and started again at any time.
    Exit status 1 if files had to be left out; they are listed.
    """
    from index_builder.build import BuildJob
    from index_builder.build import build as run_job
    from model.backbones.loaded import Backbones
    from model.bundle import shipped_bundle

    folder = bundle or shipped_bundle()
    for note in _licence_notes(folder):
        typer.echo(f"note: {note}", err=True)
    backbones = Backbones(models.expanduser(), accelerator=accelerator_of(accelerator))
    job = BuildJob(pool, store, folder, recompute, activate, processes or cores(), backbones)
    with bar("building") as show:
        report = run_job(job, lambda p: show(p.done, p.total) if p.stage == "embed" else None)
    if as_json:
        typer.echo(json.dumps(asdict(report)))
        raise typer.Exit(1 if report.skipped else 0)
    for warning in report.warnings:
        typer.echo(f"note: {warning}", err=True)
    for file in report.skipped:
        typer.echo(f"left out: {file.name}: {file.reason}", err=True)
    state = "now current" if report.activated else f"activate it with: yuyin index activate {report.snapshot}"
    typer.echo(
        f"snapshot {report.snapshot}: {report.tracks} tracks, {report.segments} segments in "
        f"{report.wall_s:.1f} s ({report.computed} computed, {report.reused} from the store), {state}"
    )
    raise typer.Exit(1 if report.skipped else 0)


@app.command("list")
def show(store: Store = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """List the snapshots of the store, the current one marked."""
    from index_builder import snapshot as snapshots

    entries = snapshots.list_snapshots(store)
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in entries]))
        return
    table = Table("", "snapshot", "bundle", "tracks", "segments", "last used (UTC)", "gate", box=SIMPLE)
    for entry in entries:
        used = datetime.fromtimestamp(entry.used_s, UTC).strftime("%Y-%m-%d %H:%M")
        numbers = (f"{entry.tracks:,}", f"{entry.segments:,}")
        mark = "*" if entry.current else ""
        table.add_row(mark, entry.id, entry.bundle_id, *numbers, used, "passed" if entry.passed else "failed")
    Console(width=max(TABLE_COLUMNS, Console().width)).print(table)


@app.command()
def verify(
    snapshot: Annotated[
        str | None, typer.Argument(help="Id of a snapshot; default: the current one.")
    ] = None,
    store: Store = DEFAULT_STORE,
) -> None:
    """Check every hash of a snapshot and its bundle."""
    from index_builder import snapshot as snapshots

    chosen = snapshot or _current(store)
    snapshots.verify(store, chosen)
    typer.echo(f"snapshot {chosen}: whole and unchanged")


@app.command()
def activate(
    snapshot: Annotated[str, typer.Argument(help="Id of a snapshot, as `yuyin index list` shows it.")],
    store: Store = DEFAULT_STORE,
) -> None:
    """Make a snapshot the current one; running servers follow within a second."""
    from index_builder import snapshot as snapshots

    snapshots.activate(store, snapshot)
    typer.echo(f"snapshot {snapshot} is current")


@app.command()
def gc(
    store: Store = DEFAULT_STORE,
    keep: Annotated[int, typer.Option(min=0, help="Earlier snapshots to keep beside the current one.")] = 2,
) -> None:
    """Remove old snapshots, bundles that none needs, and leftovers of builds that were killed."""
    from index_builder import snapshot as snapshots

    gone = snapshots.gc(store, keep=keep)
    typer.echo(
        f"removed {len(gone.snapshots)} snapshots, {len(gone.bundles)} bundles, {gone.media} previews, "
        f"{gone.leftovers} leftovers"
    )


def _licence_notes(folder: Path) -> list[str]:
    """Of the extractors that a bundle's music tower reads."""
    from model.bundle import Bundle
    from model.features.extractors import licence_notes
    from model.features.profiles import load_profile

    bundle = Bundle.open(folder, verify=False)
    return licence_notes(bundle.music_extractors(load_profile(bundle.profile)).values())


def _current(store: Path) -> str:
    from index_builder import snapshot as snapshots

    chosen = snapshots.current(store)
    if chosen is None:
        raise NotFound(f"{store} has no current snapshot: build one with `yuyin index build POOL`")
    return chosen
