"""The Dockerfile as a list of instructions, .dockerignore as Docker reads it, and rules of compose files."""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from service.settings import Limits, Settings
from yuyin.doctor.machine import SERVICE_BYTES

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


def _is_set_well(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    given = service["environment"]
    for variable in given:
        field, _, part = variable.removeprefix("YUYIN_").lower().partition("__")
        assert field in Settings.model_fields, variable
        assert not part or part in Limits.model_fields, variable
    assert "YUYIN_KEYS" not in given
    assert int(service["stop_grace_period"].removesuffix("s")) >= Settings().drain_s + 10
    (secret,) = service["secrets"]
    assert given["YUYIN_KEYS_FILE"] == f"/run/secrets/{secret}"
    assert "file" in compose["secrets"][secret]
    mounts = [mount.rsplit(":", 2)[1] for mount in service["volumes"] if mount.endswith(":ro")]
    assert mounts == list(json.loads(given["YUYIN_POOLS"]).values())


@pytest.fixture(scope="session")
def is_set_well() -> Callable[[dict[str, Any], str], None]:
    """A compose file and a service's name in: its settings are ours, its keys a secret, its pools mounted."""
    return _is_set_well


def _has_room(service: dict[str, Any]) -> None:
    given = service["environment"]
    (tmpfs,) = service["tmpfs"]
    uploads_bytes = gigabytes(re.search(r"size=(\d+g)", tmpfs)[1])  # type: ignore[index]
    in_flight, queue = int(given["YUYIN_IN_FLIGHT"]), int(given["YUYIN_QUEUE"])
    assert uploads_bytes >= (in_flight + queue) * Limits().max_bytes
    decoding_bytes = in_flight * int(given["YUYIN_LIMITS__MAX_MEMORY_BYTES"])
    assert gigabytes(service["mem_limit"]) >= uploads_bytes + decoding_bytes + SERVICE_BYTES


def gigabytes(text: str) -> int:
    return int(text.removesuffix("g")) * 1024**3


@pytest.fixture(scope="session")
def has_room() -> Callable[[dict[str, Any]], None]:
    """A service of a compose file in: its memory holds what its settings let it take."""
    return _has_room
