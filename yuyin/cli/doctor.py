"""`yuyin doctor`: this machine and a store in, a table of what works, what does not and the fix out."""

import json
from dataclasses import asdict
from itertools import groupby

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from model.errors import BadOptions
from yuyin.cli.options import DEFAULT_STORE, AsJson, Store
from yuyin.doctor.examine import OPTIONAL, examine
from yuyin.doctor.finding import Line, Status, overall

STYLES: dict[Status, str] = {"ok": "green", "degraded": "yellow", "missing": "bold red"}
STATUS_COLUMNS, NAME_COLUMNS = 8, 18  # the longest of each
SUMMARY: dict[Status, str] = {
    "ok": "YuYin can serve from here.",
    "degraded": "YuYin can serve from here, with what is marked above.",
    "missing": "YuYin cannot serve from here yet: mend what is missing.",
}


def doctor(store: Store = DEFAULT_STORE, as_json: AsJson = False) -> None:
    """Say what this machine can do: codecs, ONNX Runtime, FAISS, memory, disk, the port and the store.

    Every line is ok, degraded or missing, and says how to mend it. The checks encode, decode, embed and
    search for real; nothing is changed and nothing leaves this machine. Exit status 1 if something that
    serving needs is missing; the group `training` is not needed for it.
    """
    if store.exists() and not store.is_dir():
        raise BadOptions(f"--store {store} is a file: name the folder of snapshots")
    screen = Console(stderr=True)
    with screen.status("looking around") as status:
        lines = list(examine(store, lambda group: status.update(f"looking at: {group}")))
    verdict = overall(lines, OPTIONAL)
    if as_json:
        typer.echo(json.dumps({"status": verdict, "checks": [asdict(line) for line in lines]}))
    else:
        _print(lines, verdict)
    raise typer.Exit(1 if verdict == "missing" else 0)


def _print(lines: list[Line], verdict: Status) -> None:
    """One block a group; what was found wraps in its own column, words are never cut."""
    console = Console(highlight=False)
    for group, several in groupby(lines, lambda line: line.group):
        console.print(f"\n[bold]{group}[/bold]{' (optional)' if group in OPTIONAL else ''}")
        table = Table.grid(padding=(0, 1, 0, 0), pad_edge=True)
        table.add_column(width=STATUS_COLUMNS)
        table.add_column(width=NAME_COLUMNS)
        table.add_column(overflow="fold")
        for line in several:
            fix = f"\nfix: {line.fix}" if line.fix else ""
            table.add_row(Text(line.status, STYLES[line.status]), Text(line.name), Text(line.found + fix))
        console.print(Padding(table, (0, 0, 0, 2)))
    console.print(f"\n[{STYLES[verdict]}]{verdict}[/{STYLES[verdict]}]: {SUMMARY[verdict]}")
