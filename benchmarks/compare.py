"""What does every published system find, on the same pairs and with the same budget?

A folder that `yuyin compare` wrote in, its tables as Markdown rows for RESULTS.md out.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rows import table

from model.comparison.estimate import spoken
from model.comparison.text import p_value, share

RECALLS = ("R@10", "R@15", "R@20", "R@25")
DIRECTIONS = ("V->M", "M->V")
PACKAGES = ("torch", "numpy")


def main() -> None:
    """Print every table of a comparison, and how it was made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparison", type=Path, help="the folder that yuyin compare wrote")
    report = json.loads((parser.parse_args().comparison / "compare.json").read_text("utf-8"))
    facts = report["facts"]
    print(f"## `{command(report)}`: the paper's tables\n")
    print(
        f"{'; '.join(pairs(each) for each in report['data'])}. Protocol strict, mean of "
        f"{facts['budget']['seeds']} seeds, 95 % over queries by track. {facts['machine']['processes']} at a "
        f"time with {facts['machine']['threads']} threads; all runs together {spoken(facts['runs_s'])}.\n"
    )
    for each in report["tables"]:
        print(f"### {each['title']}\n")
        table(columns(report, each), [cells(report, each, name) for name in each["rows"]], PACKAGES)
        print()


def command(report: Mapping[str, Any]) -> str:
    """How `yuyin compare` was called."""
    facts, budget = report["facts"], report["facts"]["budget"]
    names = " ".join(each["name"] for each in report["data"])
    tables = "".join(f" --rows {name}" for name in facts["tables"])
    asked = f"--trials {budget['trials']} --seeds {budget['seeds']} --limit-s {budget['limit_s']:g}"
    return f"yuyin compare {names} --systems {facts['systems']}{tables} {asked}"


def pairs(data: Mapping[str, Any]) -> str:
    """What was trained and tested on."""
    sizes = ", ".join(f"{count:,} {split}" for split, count in data["pairs"].items())
    return f"{data['name']} ({data['kind']}): {sizes} pairs"


def columns(report: Mapping[str, Any], each: Mapping[str, Any]) -> list[str]:
    """Of one table."""
    reference = report["rows"].get(each["reference"], {}).get("label", each["reference"])
    found = [f"{figure} {direction}" for direction in DIRECTIONS for figure in RECALLS]
    oracle = (
        [f"of {next(iter(report['oracles']))} {direction}" for direction in DIRECTIONS]
        if report["oracles"]
        else []
    )
    return [
        "row",
        *found,
        *oracle,
        *(f"R@10 less {reference}, {direction}" for direction in DIRECTIONS),
        "note",
    ]


def cells(report: Mapping[str, Any], each: Mapping[str, Any], name: str) -> list[str]:
    """Of one row."""
    row = report["rows"][name]
    width = len(columns(report, each))
    if not row["figures"]:
        return [row["label"], *["n/a"] * (width - 2), row["reason"]]
    strict = row["figures"]["strict"]
    found = [
        share(strict[direction][figure]["value"])
        + (f" ({interval(strict[direction][figure])})" if figure == RECALLS[0] else "")
        for direction in DIRECTIONS
        for figure in RECALLS
    ]
    oracle = [
        f"{100 * row['oracle_share'][direction]:.0f} %" for direction in DIRECTIONS if row["oracle_share"]
    ]
    beside = [compared(each["beside"].get(direction, {}).get(name)) for direction in DIRECTIONS]
    return [row["label"], *found, *oracle, *beside, row["course"]["stopped"]]


def interval(found: Mapping[str, float]) -> str:
    """Its 95 %."""
    return f"{share(found['low'])} to {share(found['high'])}"


def compared(found: Mapping[str, Any] | None) -> str:
    """A paired difference."""
    if found is None:
        return ""
    apart = found["difference"]
    ends = f"{apart['low']:+.3f} to {apart['high']:+.3f}"
    return f"{apart['value']:+.3f} ({ends}), p {p_value(found['p_holm'])}"


if __name__ == "__main__":
    main()
