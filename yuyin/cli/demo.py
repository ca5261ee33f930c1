"""`yuyin demo`: nothing in; a composed pool, its index and a server out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from yuyin.cli import serve
from yuyin.cli.options import DEFAULT_STORE, Processes, Store, cores
from yuyin.cli.progress import bar

POOL = "demo-pool"


def demo(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on.")] = 8000,
    store: Store = DEFAULT_STORE,
    processes: Processes = None,
) -> None:
    """Compose a pool of music, index it and serve it: everything from nothing, in some minutes.

    A second run starts at once: finished tracks and features are kept in the store.
    """
    from model.bundle import shipped_cuts
    from service.settings import read_settings

    prepare(store, processes=processes or cores())
    Console(stderr=True).print(
        f"\n[bold]Open http://127.0.0.1:{port}[/bold] and drop a cut, or run:\n"
        f"curl -F video=@YOUR_CUT.mp4 http://127.0.0.1:{port}/recommend\n"
        if port
        else "\nA free port is taken: the log says which.\n",
        highlight=False,
    )
    serve.run(
        read_settings(
            store=store, port=port, pools={"demo": store / POOL}, default_pool="demo", samples=shipped_cuts()
        )
    )


def prepare(store: Path, *, processes: int) -> None:
    """Make the demo's pool and index in `store`, as far as they are not there yet."""
    from index_builder.build import BuildJob, build
    from index_builder.snapshot import list_snapshots
    from model.bundle import Bundle, shipped_bundle
    from model.datasets.synth.pool import render_pool

    pool = store / POOL
    with bar("composing the pool") as show:
        render_pool(pool, processes=processes, progress=show)
    bundle_id = Bundle.open(shipped_bundle()).id
    if not any(entry.current and entry.bundle_id == bundle_id for entry in list_snapshots(store)):
        with bar("indexing it") as show:
            build(
                BuildJob(pool, store, shipped_bundle(), processes=processes),
                lambda p: show(p.done, p.total) if p.stage == "embed" else None,
            )
