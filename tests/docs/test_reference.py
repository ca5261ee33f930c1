"""docs/cli.md, settings.md and errors.md are what docs/generate.py writes from this code, on any machine."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from service.errors import STATUS
from service.settings import Limits, Settings
from yuyin.cli.app import app

DOCS = Path(__file__).resolve().parents[2] / "docs"
GENERATOR: dict[str, Any] = runpy.run_path(str(DOCS / "generate.py"))


@pytest.mark.parametrize("name", sorted(GENERATOR["PAGES"]))
def test_the_page_is_what_the_code_says(name: str) -> None:
    committed = (DOCS / name).read_text("utf-8")
    assert committed == GENERATOR["PAGES"][name](), "run: .venv/bin/python docs/generate.py"


@pytest.mark.parametrize("name", sorted(GENERATOR["PAGES"]))
def test_terminal_and_environment_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = GENERATOR["PAGES"][name]()
    for variable, value in {
        "COLUMNS": "31",
        "TERM": "dumb",
        "YUYIN_PORT": "1",
        "YUYIN_STORE": "elsewhere",
        "YUYIN_LIMITS__MAX_BYTES": "7",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("os.cpu_count", lambda: 77)
    assert GENERATOR["PAGES"][name]() == before


def test_every_command_and_option_of_the_tree_is_there() -> None:
    page = (DOCS / "cli.md").read_text("utf-8")

    def walk(command: Any, words: str) -> None:
        section = page.split(f"\n## {words}\n")[1].split("\n## ")[0]
        for param in command.params:
            for option in param.opts:
                if option.startswith("-") and option != "--help":
                    assert re.search(rf"^\| `[^`]*{option}\b", section, re.MULTILINE), (words, option)
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{words} {name}")

    walk(get_command(app), "yuyin")


def test_every_setting_and_every_error_has_one_row() -> None:
    settings, errors = ((DOCS / name).read_text("utf-8") for name in ("settings.md", "errors.md"))
    names = [f"YUYIN_{name.upper()}" for name in Settings.model_fields if name != "limits"]
    names += [f"YUYIN_LIMITS__{name.upper()}" for name in Limits.model_fields]
    assert sorted(re.findall(r"^\| `(YUYIN_\w+)`", settings, re.MULTILINE)) == sorted(names)
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", errors, re.MULTILINE)
    assert {code: int(status) for code, status in rows} == {code: row[0] for code, row in STATUS.items()}
    assert len(rows) == len(STATUS)
