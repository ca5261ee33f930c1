"""What can be said of the pages without running them: links, anchors, snippets, names that must exist."""

import ast
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.main import get_command

from service.settings import Limits, Settings
from yuyin.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
EVERY_PAGE = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
READERS = (
    "README",
    "editor",
    "integrator",
    "music-manager",
    "ml-engineer",
    "operator",
    "gpu",
    "scaling",
    "proxy",
)
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in READERS)]
LONGEST_LINES = 150
# of the command line (key, detector) and of docker/compose.yaml
OTHER_VARIABLES = {"YUYIN_KEY", "YUYIN_POOL", "YUYIN_VAD"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tokens(path: Path) -> list[Token]:
    return MarkdownIt("gfm-like", {"linkify": False}).parse(path.read_text("utf-8"))


def inline(path: Path) -> Iterator[Token]:
    for token in tokens(path):
        yield from token.children or []


def anchors(path: Path) -> set[str]:
    """As GitHub makes them: lower case, punctuation gone, spaces to hyphens, -1, -2 for the same again."""
    found: list[str] = []
    for opening, content in itertools.pairwise(tokens(path)):
        if opening.type == "heading_open":
            text = "".join(child.content for child in content.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return set(found)


@pytest.mark.parametrize("path", EVERY_PAGE, ids=name_of)
def test_every_link_inside_leads_somewhere(path: Path) -> None:
    targets = [str(token.attrs["href"]) for token in inline(path) if token.type == "link_open"]
    targets += [str(token.attrs["src"]) for token in inline(path) if token.type == "image"]
    for target in targets:
        if "://" in target or target.startswith("mailto:"):
            continue
        place, _, anchor = target.partition("#")
        file = path if not place else path.parent / place
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_a_dead_anchor_would_be_seen(tmp_path: Path) -> None:
    """The oracle of the test above: GitHub's own rules on a page that has every case."""
    page = tmp_path / "page.md"
    page.write_text("# Let others in: keys\n## `yuyin index`\n## 1. Pairs\n# `a_b` c-d\n## 1. Pairs\n")
    assert anchors(page) == {"let-others-in-keys", "yuyin-index", "1-pairs", "1-pairs-1", "a_b-c-d"}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_snippets_can_be_read_by_what_they_are_for(path: Path) -> None:
    readers: dict[str, Callable[[str], object]] = {"json": json.loads, "python": ast.parse}
    for token in tokens(path):
        if token.type == "fence" and token.info in readers:
            readers[token.info](token.content)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_pages_are_short_plain_and_name_their_languages(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_LINES
    assert max(map(len, text.splitlines())) <= 120 or path.name == "README.md"
    assert all(token.info for token in tokens(path) if token.type == "fence")
    assert not re.search(r"(?<!\w)/(?:work|home|root|tmp)/", text)


def commands(path: Path) -> Iterator[list[str]]:
    """Words after `yuyin` of every command in prose; those in blocks are run."""
    for token in inline(path):
        if token.type == "code_inline" and (found := re.match(r"(?:\.venv/bin/)?yuyin (.+)", token.content)):
            yield found[1].split()


def options(command: Any) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help"}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_that_is_named_exists_with_its_options(path: Path) -> None:
    for words in commands(path):
        command: Any = get_command(app)
        for word in words:
            if word in getattr(command, "commands", {}):
                command = command.commands[word]
            elif word.startswith("-"):
                assert word in options(command), words
            else:
                assert not getattr(command, "commands", {}), words


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_variable_that_is_named_exists(path: Path) -> None:
    known = {f"YUYIN_{name.upper()}" for name in Settings.model_fields}
    known |= {f"YUYIN_LIMITS__{name.upper()}" for name in Limits.model_fields} | OTHER_VARIABLES
    assert set(re.findall(r"YUYIN_[A-Z_]+[A-Z]", path.read_text("utf-8"))) <= known


def test_the_index_of_the_docs_lists_them_all() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for path in (ROOT / "docs").glob("*.md"):
        assert path.name == "README.md" or f"]({path.name})" in index
