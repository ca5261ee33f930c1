"""`yuyin serve`: settings in, a running server out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.settings import Settings  # the service takes a second to import, `yuyin --help` shall not


def serve(
    store: Annotated[Path | None, typer.Option("--store", help="Default: YUYIN_STORE or ./store.")] = None,
    host: Annotated[str | None, typer.Option(help="Default: YUYIN_HOST or 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: YUYIN_PORT or 8000.")] = None,
) -> None:
    """Serve the current snapshot of the store over HTTP.

    Every setting is an environment variable YUYIN_<NAME>. Without API keys the server listens to this
    machine only; `yuyin keys new` makes one.
    """
    from service.settings import read_settings

    given = {"store": store, "host": host, "port": port}
    run(read_settings(**{name: value for name, value in given.items() if value is not None}))


def run(chosen: "Settings") -> None:
    """Serve until interrupted."""
    import uvicorn

    from service.app import create_app
    from service.logs import log_config

    app = create_app(chosen)
    # One process: memory is the state (design section 7). The service writes its own log, without file names.
    uvicorn.run(
        app,
        host=chosen.host,
        port=chosen.port,
        log_config=log_config(),
        access_log=False,
        server_header=False,
    )
