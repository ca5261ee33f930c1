"""`(label, bytes here, bytes in all)` in, one progress bar for each label on the terminal out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


@contextmanager
def transfers() -> Iterator[Callable[[str, int, int], None]]:
    """Bars of bytes on standard error; the callback makes a label's bar when it first hears of it.

    An error takes the bars away with it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}

    def show(label: str, here: int, total: int) -> None:
        if label not in tasks:
            progress.start()
            tasks[label] = progress.add_task(label)
        progress.update(tasks[label], completed=here, total=total)

    try:
        yield show
        progress.live.transient = False
    finally:
        if tasks:
            progress.stop()
