"""`yuyin serve`: settings in, a running server out."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.settings import Settings  # the service takes a second to import, `yuyin --help` shall not


def serve(
    store: Annotated[Path | None, typer.Option("--store", help="Default: YUYIN_STORE or ./store.")] = None,
    host: Annotated[str | None, typer.Option(help="Default: YUYIN_HOST or 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: YUYIN_PORT or 8000; 0 takes a free one.")
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Default: YUYIN_PROCESSES or 1; more need YUYIN_REDIS_URL.")
    ] = None,
) -> None:
    """Serve the current snapshot of the store over HTTP.

    Every setting is an environment variable YUYIN_<NAME>. Without API keys the server listens to this
    machine only; `yuyin keys new` makes one.
    """
    from service.settings import read_settings

    given = {"store": store, "host": host, "port": port, "processes": processes}
    run(read_settings(**{name: value for name, value in given.items() if value is not None}))


def run(chosen: "Settings") -> None:
    """Serve until interrupted; several processes are started again when they die."""
    from service.processes.supervisor import Supervisor, check

    check(chosen)
    if chosen.processes > 1:
        import logging.config

        from service.edge.logs import log_config

        logging.config.dictConfig(log_config(chosen.log_level))
        raise typer.Exit(Supervisor(chosen).run())

    from service.processes.listening import listen
    from service.processes.process import server_of

    server = server_of(chosen)
    with suppress(KeyboardInterrupt):  # uvicorn has drained by then, and passes the signal on
        server.run(None if chosen.admin_port is None else listen(chosen))
    if not server.started:
        raise typer.Exit(1)
