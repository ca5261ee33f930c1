"""The Dockerfile as a list of instructions, and .dockerignore as Docker reads it."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Stage:
    base: str
    instructions: list[tuple[str, str]]  # in order: COPY, its arguments

    def all(self, word: str) -> list[str]:
        return [arguments for each, arguments in self.instructions if each == word]

    @property
    def env(self) -> dict[str, str]:
        pairs = [pair for line in self.all("ENV") for pair in line.split()]
        return dict(pair.split("=", 1) for pair in pairs)

    @property
    def arguments(self) -> dict[str, str]:
        """What its steps see of them: the defaults."""
        return dict(line.split("=", 1) for line in self.all("ARG"))


@dataclass(frozen=True)
class Image:
    """A Dockerfile."""

    stages: list[Stage]
    arguments: dict[str, str]  # ARG before the first FROM

    @property
    def last(self) -> Stage:
        return self.stages[-1]


def read_image(path: Path) -> Image:
    text = re.sub(r"^\s*#.*\n", "", path.read_text("utf-8"), flags=re.M)
    stages: list[Stage] = []
    arguments: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "ARG" and not stages:
            name, _, value = rest.partition("=")
            arguments[name] = value
        elif word == "FROM":
            base = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], rest.split()[0])
            stages.append(Stage(base, []))
        elif word:
            stages[-1].instructions.append((word, rest.strip()))
    return Image(stages, arguments)


def let_through(name: str, ignore: str) -> bool:
    """Whether .dockerignore leaves a file in: the last pattern that matches it or a parent decides."""
    parts, kept = name.split("/"), True
    for line in ignore.splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip().removeprefix("!").strip("/").split("/")
        if line.strip() and any(matches(parts[:end], pattern) for end in range(1, len(parts) + 1)):
            kept = line.strip().startswith("!")
    return kept


def matches(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(matches(parts[skipped:], pattern[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


@pytest.fixture(scope="session")
def image() -> Image:
    return read_image(ROOT / "docker" / "service.Dockerfile")


@pytest.fixture(scope="session")
def cuda_image() -> Image:
    return read_image(ROOT / "docker" / "Dockerfile.cuda")


@pytest.fixture(scope="session")
def sent() -> Callable[[list[str], str], list[str]]:
    """Names of files and the text of a .dockerignore in, those that are sent to the engine out."""
    return lambda names, ignore: [name for name in names if let_through(name, ignore)]


@pytest.fixture(scope="session")
def context() -> list[str]:
    """The files that Docker would send: of all that lie here what .dockerignore lets through."""
    ignore = (ROOT / ".dockerignore").read_text("utf-8")
    found = []
    for folder, folders, files in os.walk(ROOT):
        place = Path(folder).relative_to(ROOT)
        found += [(place / name).as_posix() for name in files]
        if place == Path():  # too many to look at; what lies in them is ignored because they are
            folders[:] = [name for name in folders if let_through(f"{name}/x", ignore) or name[0] != "."]
    return [name for name in found if let_through(name, ignore)]
