"""MODELS/models.lock.json in, which commit and which bytes each repository stands for out; and back.

The first pull or import of a repository records it; from then on that commit is what is pulled, wherever
its branch went, and other bytes under the same name are refused.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from model.artifact import write_json
from model.errors import Corrupt

LOCK = "models.lock.json"
SCHEMA_VERSION = 1
SUFFIXES = (".safetensors", ".onnx", ".json", ".txt")  # nothing that runs code when it is read
# These become names of folders and files: anything else could lead out of MODELS.
REVISION = re.compile(r"[0-9a-f]{40}|imported-[0-9a-f]{16}")
_FILE = re.compile(r"[A-Za-z0-9][\w.-]*")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """What a file must be."""

    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Pin:
    """What a repository stands for here."""

    revision: str  # commit, or `imported-` and a hash of the files
    asked: str  # where it came from: a branch, a pull request, a folder
    licence: str
    files: dict[str, PinnedFile]

    def check(self, repo: str, name: str, sha256: str) -> None:
        """Raises `Corrupt` with both hashes if a file is not the one that was pinned, if one was."""
        pinned = self.files[name].sha256 if name in self.files else sha256
        if sha256 != pinned:
            raise Corrupt(
                f"{name} of {repo} at {self.revision[:8]} has sha256 {sha256}, but {LOCK} recorded {pinned}: "
                "one of the two was tampered with or damaged; ask where the file came from before you use it"
            )


@dataclass(slots=True)
class Lock:
    """The lock file of one MODELS folder."""

    models: Path
    pins: dict[str, Pin] = field(default_factory=dict)  # by repository

    @classmethod
    def read(cls, models: Path) -> Self:
        """An empty one if there is no file yet; raises `Corrupt` if there is one that cannot be trusted."""
        path = models / LOCK
        if not path.exists():
            return cls(models)
        try:
            written = json.loads(path.read_text("utf-8"))
            if written["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema {written['schema_version']}")
            pins = {str(repo): _pin(facts) for repo, facts in written["sources"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise Corrupt(
                f"{path} cannot be used ({error}): put it back from a backup, or move the folder away "
                "and pull again"
            ) from error
        return cls(models, pins)

    def record(self, repo: str, pin: Pin) -> None:
        """Write a pin, durably."""
        self.pins[repo] = pin
        sources = {name: asdict(each) for name, each in self.pins.items()}
        write_json(self.models / LOCK, {"schema_version": SCHEMA_VERSION, "sources": sources})


def _pin(facts: Mapping[str, Any]) -> Pin:
    files = {
        str(name): PinnedFile(str(file["sha256"]), int(file["size"])) for name, file in facts["files"].items()
    }
    odd = [
        name
        for name, file in files.items()
        if not (_FILE.fullmatch(name) and name.endswith(SUFFIXES) and _SHA256.fullmatch(file.sha256))
    ]
    if odd or not files or not REVISION.fullmatch(facts["revision"]):
        raise ValueError(f"revision {facts['revision']!r}, files {odd}")
    if not str(facts["licence"]).isprintable():  # it is printed, and an escape would be a terminal's command
        raise ValueError(f"licence {facts['licence']!r}")
    return Pin(facts["revision"], str(facts["asked"]), str(facts["licence"]), files)
