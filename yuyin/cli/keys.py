"""`yuyin keys`: nothing in, an API key and its hash out."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from model.errors import BadOptions

app = typer.Typer(
    no_args_is_help=True, help="API keys: needed as soon as the server listens beyond this machine."
)


@app.callback()
def group() -> None:
    """Keep `new` a sub-command while it is the only one."""


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose key it is; appears in logs.")] = "editor",
    scope: Annotated[
        list[str] | None, typer.Option(help="recommend, catalogue, admin; repeat for several.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, help="Days until it expires; never unless given.")
    ] = None,
) -> None:
    """Make a key. It is shown once; the server only needs the hash that is printed with it."""
    from service.edge.keys import new_key
    from service.settings import SCOPES

    scopes = scope or ["recommend", "catalogue"]
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise BadOptions(f"--scope {unknown[0]!r} is none of {', '.join(SCOPES)}")
    key, digest = new_key()
    facts: dict[str, Any] = {"sha256": digest, "scopes": scopes}
    if days is not None:
        facts["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds")
    typer.echo(f"key (keep it, it is not stored): {key}")
    typer.echo(f"for the server: YUYIN_KEYS='{json.dumps({name: facts})}'")
