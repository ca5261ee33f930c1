"""Column names and rows in, a table on the terminal out that never shortens what is typed back."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

LEAST_COLUMNS = 132  # ids and names are typed back: better fold them than shorten them


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print it on standard output; cells are taken as they are, without markup."""
    table = Table(box=SIMPLE)
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=max(LEAST_COLUMNS, Console().width)).print(table)
