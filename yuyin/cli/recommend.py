"""`yuyin recommend VIDEO`: a rough cut in, a table of ranked tracks out, without a server or with one."""

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from model.errors import BadOptions, InputError, NotReady
from yuyin.cli.options import DEFAULT_MODELS, DEFAULT_STORE, AsJson, Models, Store
from yuyin.cli.remote import no_yuyin, post

if TYPE_CHECKING:
    from service.schemas.options import Options
    from service.schemas.recommendation import Recommendation

TITLE_COLUMNS, TABLE_COLUMNS = 24, 124  # figures are never shortened, long titles are


def recommend(
    video: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The rough cut.")],
    top_k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many tracks.")] = 10,
    filters: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help='JSON such as {"bpm": {"min": 90}, "moods": ["happy"]}.'
        ),
    ] = None,
    server: Annotated[str | None, typer.Option(metavar="URL", help="Ask a running server instead.")] = None,
    key: Annotated[str | None, typer.Option(envvar="YUYIN_KEY", help="API key for --server.")] = None,
    features_only: Annotated[
        bool, typer.Option("--features-only", help="The video stays here: --server gets its features.")
    ] = False,
    models: Models = DEFAULT_MODELS,
    store: Store = DEFAULT_STORE,
    as_json: AsJson = False,
) -> None:
    """Rank the tracks of the store's current snapshot for VIDEO, each with the moment to start from.

    "beats" is the share of unrelated cuts that the track suits less, "for its" says what of the cut drove the
    match: its tempo (how it is cut), energy (how it moves), mood (light and colour) or category.
    """
    options = _options(top_k, filters)
    if features_only and not server:
        raise BadOptions("--features-only keeps a video from a server: name it with --server URL")
    only = models if features_only else None
    found = _ask(server, key, video, options, only) if server else _here(store, video, options)
    typer.echo(found.model_dump_json()) if as_json else _print(found)


def _options(top_k: int, filters: Path | None) -> "Options":
    from service.schemas.options import Options

    wanted: dict[str, object] = {"top_k": top_k}
    if filters is not None:
        try:
            wanted["filters"] = json.loads(filters.read_text("utf-8"))
        except ValueError as error:
            raise BadOptions(f"{filters} is not JSON: {error}") from error
    return Options.parse(json.dumps(wanted), top_k_max=100)


def _here(store: Path, video: Path, options: "Options") -> "Recommendation":
    from index_builder.snapshot import current
    from model.media.child import Decoder
    from model.media.streams import VideoLimits
    from service.ranking.answers import answer
    from service.ranking.recommender import Stopwatch
    from service.serving.current import open_serving
    from service.serving.rightsbook import Rightsbook
    from service.settings import read_settings

    chosen = current(store)
    if chosen is None:
        raise NotReady(
            f"{store} has no current snapshot: run `yuyin index build YOUR_MUSIC --store {store}` first"
        )
    with Decoder(VideoLimits()) as decoder:
        settings = read_settings()
        serving = open_serving(store, chosen, settings.backbones)
        book = Rightsbook(store, settings.unknown_licences)
        book.follow()
        return answer(
            serving,
            book.take(serving.snapshot),
            decoder,
            video,
            options,
            options.top_k or 10,
            uuid.uuid4().hex,
            Stopwatch(),
        )


def _ask(
    server: str, key: str | None, video: Path, options: "Options", only: Path | None
) -> "Recommendation":
    """The server's answer to the video, or with a folder of networks in `only` to its features alone."""
    from service.schemas.recommendation import Recommendation

    asked = options.model_dump_json(exclude_none=True, exclude_defaults=True)
    if only is None:
        path, kind = f"/v1/recommend?options={quote(asked)}", "application/octet-stream"
        body = video.read_bytes()
    else:
        from service.ranking.sending import body_of
        from yuyin.cli.features import sender_of

        features = body_of(video, sender_of(server, key, only, "prefer"))
        path, kind = "/v1/recommend", "application/json"
        body = json.dumps(features | {"options": json.loads(asked)}).encode()
    answer = post(server, path, key, body, kind)
    try:
        return Recommendation.model_validate_json(answer)
    except ValueError as error:
        raise InputError(no_yuyin(server)) from error


def _print(found: "Recommendation") -> None:
    title = f"{found.video.duration_s:.1f} s of picture, snapshot {found.snapshot}"
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", justify="right", no_wrap=True, min_width=3)
    for name in ("title", "artist"):
        table.add_column(name, no_wrap=True, max_width=TITLE_COLUMNS)
    figures = (("from", 6), ("to", 7), ("score", 5), ("beats", 5), ("bpm", 3), ("key", 8), ("LUFS", 5))
    for name, width in figures:
        table.add_column(name, justify="right", no_wrap=True, min_width=width)
    table.add_column("for its", no_wrap=True)
    for result in found.results:
        span = result.segments[0]
        table.add_row(
            str(result.rank),
            result.title or result.track_id,
            result.artist or "",
            _clock(span.start_s),
            _clock(span.end_s) + ("!" if span.ends_early else ""),
            f"{result.score:.3f}",
            "" if result.percentile is None else f"{result.percentile:.0%}",
            "" if result.bpm is None else f"{result.bpm:.0f}",
            result.key or "",
            "" if result.loudness_lufs is None else f"{result.loudness_lufs:.1f}",
            ", ".join(reason.factor for reason in result.reasons),
        )
    console = Console(width=max(TABLE_COLUMNS, Console().width), markup=False, emoji=False)
    console.print(table)  # titles as they are: "[live]" is no mark-up
    if any(result.segments[0].ends_early for result in found.results):
        typer.echo("! the track ends before the picture does", err=True)
    if found.no_good_match:
        typer.echo("note: nothing in this pool fits this cut well: these are only the nearest", err=True)
    for warning in found.warnings:
        typer.echo(f"note: {warning}", err=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"
