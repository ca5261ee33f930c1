"""`yuyin keys`: nothing in, an API key and its hash out."""

import json
from typing import Annotated

import typer

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
) -> None:
    """Make a key. It is shown once; the server only needs the hash that is printed with it."""
    from service.edge.keys import new_key

    key, digest = new_key()
    setting = {name: {"sha256": digest, "scopes": scope or ["recommend", "catalogue"]}}
    typer.echo(f"key (keep it, it is not stored): {key}")
    typer.echo(f"for the server: YUYIN_KEYS='{json.dumps(setting)}'")
