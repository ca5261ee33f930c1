"""`yuyin dataset from-feedback`: what editors did with recommended tracks in, a dataset folder out."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import BadOptions, Corrupt
from yuyin.cli.options import DEFAULT_STORE, AsJson, Store
from yuyin.cli.progress import bar
from yuyin.cli.tables import print_table

if TYPE_CHECKING:
    from index_builder.catalogue import Catalogue
    from model.datasets.feedback import FeedbackReport, Music


def from_feedback(
    videos: Annotated[
        Path,
        typer.Option("--videos", exists=True, file_okay=False, help="Folder of the cuts; found by content."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The dataset folder to write.")],
    store: Store = DEFAULT_STORE,
    pool: Annotated[
        list[Path] | None,
        typer.Option("--pool", exists=True, file_okay=False, help="Folder of music; default: YUYIN_POOLS."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="CSV or JSON: tag,category[,file]")
    ] = None,
    favourited: Annotated[
        bool, typer.Option("--favourited", help="A track that was only marked as a favourite is a pair, too.")
    ] = False,
    track_disjoint: Annotated[
        bool, typer.Option("--track-disjoint", help="Pairs with the same music go to the same split.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of the tracks that editors exported or kept, as POST /v1/feedback was told.

    The service keeps no videos, so name the folder that they lie in: they are found by content, whatever they
    are called, and the sub-folder of each is its tag, as with `dataset prepare ADS_DIR`. Music is read from
    the pools. No video is in two splits. Tracks that were rejected go to negatives.csv, what could be used
    for neither to left_out.csv, each with the reason (exit status 1 if a used track is among them).
    """
    from model.datasets.feedback import dataset_from_feedback
    from service.stores.feedback import read_feedback

    with bar("looking for videos") as progress:
        report = dataset_from_feedback(
            list(read_feedback(store)),
            out,
            videos=videos,
            find=_Tracks(store, _pools(pool)).find,
            mapping=mapping,
            favourited=favourited,
            track_disjoint=track_disjoint,
            progress=progress,
        )
    _print_json(report) if as_json else _print(report, out)
    raise typer.Exit(1 if report.lost else 0)


def _pools(named: Sequence[Path] | None) -> list[Path]:
    from service.settings import read_settings

    pools = list(named or read_settings().pools.values())
    if not pools:
        raise BadOptions("name the folder that the music lies in with --pool, or set YUYIN_POOLS")
    return pools


class _Tracks:
    """The snapshots of a store in, the files of their tracks out."""

    def __init__(self, store: Path, pools: Sequence[Path]) -> None:
        from index_builder.snapshot import current, list_snapshots

        self._store = store
        self._pools = pools
        newest = [info.id for info in list_snapshots(store)]
        self._ids = sorted(newest, key=lambda one: one != current(store))  # the current one first
        self._open: dict[str, Catalogue | None] = {}

    def find(self, track_id: str, snapshot: str | None) -> "list[Music]":
        """In each pool, as the snapshot of the answer says, or the first other one that has the track."""
        from model.datasets.feedback import Music

        first = [snapshot] if snapshot in self._ids else []
        for snapshot_id in (*first, *self._ids):
            catalogue = self._catalogue(snapshot_id)
            if catalogue is None:
                continue
            rows = catalogue.rows_of([track_id])
            if len(rows):
                facts = catalogue.facts(int(rows[0]))
                return [Music(pool / facts["path"], facts["media_sha256"]) for pool in self._pools]
        return []

    def _catalogue(self, snapshot_id: str) -> "Catalogue | None":
        from index_builder import layout
        from index_builder.catalogue import Catalogue

        if snapshot_id not in self._open:
            path = layout.snapshots(self._store) / snapshot_id / "catalogue.sqlite"
            try:
                self._open[snapshot_id] = Catalogue.open(path)
            except Corrupt:  # another one may have the track
                self._open[snapshot_id] = None
        return self._open[snapshot_id]


def _print_json(report: "FeedbackReport") -> None:
    typer.echo(json.dumps(asdict(report)))


def _print(report: "FeedbackReport", out: Path) -> None:
    for warning in report.prepared.warnings:
        typer.echo(f"note: {warning}", err=True)
    reasons = [(reason, str(count)) for reason, count in report.reasons()]
    if report.unnamed:
        reasons.append(("events without video_sha256: nobody knows what they are of", str(report.unnamed)))
    if reasons:
        print_table(("left out, why", "how many"), reasons)
    kept, tracks = report.prepared.kept, report.prepared.tracks
    typer.echo(
        f"{out}: {kept} pairs of {tracks} tracks, {report.negatives} rejected ones, of {report.events} events"
    )
    typer.echo(f"next: yuyin features extract {out}")
