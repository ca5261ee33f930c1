"""`(done, total)` in, a progress bar on the terminal out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def bar(label: str, stopped: Callable[[], str] | None = None) -> Iterator[Callable[[int, int], None]]:
    """A bar called `label`; the callback it yields takes how many are done, and of how many.

    Drawn on standard error, so that `--json` output stays clean; a log file gets the last state only. An
    error takes the bar away with it.

    Args:
        label: what is going on.
        stopped: what is left after a Ctrl-C, and how to go on.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    try:
        with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
            task = progress.add_task(label, total=None)

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            yield show
            progress.live.transient = False
    except KeyboardInterrupt:
        if stopped is not None:
            typer.echo(f"stopped: {stopped()}", err=True)
        raise
