"""Checked files in, MODELS/sources/<name>/<revision>/ out: checkpoints as their makers published them.

source.json, written last, says which repository, revision and licence, and the sha256 of every other file.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from model.artifact import ASIDE, read_manifest, write_json
from model.backbones.catalogue import BackboneSpec, spec_of
from model.errors import Corrupt, NotInstalled, StoreLocked
from model.hub.lock import Lock, Pin

SOURCES, SOURCE = "sources", "source.json"
WEIGHTS, GRAPH = "model.safetensors", "model.onnx"


@dataclass(frozen=True, slots=True)
class Source:
    """One backbone's files, whole and as pinned."""

    name: str  # of the backbone
    repo: str
    pin: Pin
    folder: Path
    fresh: bool  # was not here before
    notes: tuple[str, ...]  # what its user should know of where it came from

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.pin.files.values())


def source_folder(models: Path, name: str, revision: str) -> Path:
    """Where a backbone's files lie."""
    return models / SOURCES / name / revision


def aside_folder(models: Path, name: str, revision: str) -> Path:
    """Where they lie until all are there; always the same, so that a later run goes on from them."""
    return models / SOURCES / name / f"{ASIDE}{revision}"


def pinned_source(models: Path, name: str) -> Source:
    """The source of a backbone that is here.

    Raises:
        BadOptions: for an unknown name.
        NotInstalled: if there is none.
        Corrupt: if it is not whole, or not what is pinned.
    """
    repo = spec_of(name).source.repo
    pin = Lock.read(models).pins.get(repo)
    folder = source_folder(models, name, pin.revision) if pin else None
    if pin is None or folder is None or not folder.exists():
        raise NotInstalled(
            f"no checkpoint of {name} is in {models}: run `yuyin models pull paper`, or import a folder"
        )
    check_source(folder, repo, pin)
    return Source(name, repo, pin, folder, fresh=False, notes=())


def check_source(folder: Path, repo: str, pin: Pin) -> None:
    """Raises `Corrupt` if the folder does not hold exactly what is pinned."""
    manifest = read_manifest(folder, SOURCE)
    if (manifest.get("repo"), manifest.get("revision")) != (repo, pin.revision):
        raise Corrupt(f"{folder / SOURCE} is of another repository or revision: pull it again")
    if set(manifest["files"]) != set(pin.files):
        raise Corrupt(f"{folder} does not hold exactly the files that the lock lists: pull it again")
    for name, sha256 in manifest["files"].items():
        pin.check(repo, name, sha256)


def is_whole(folder: Path, repo: str, pin: Pin) -> bool:
    """Does the folder hold exactly what is pinned."""
    try:
        check_source(folder, repo, pin)
    except Corrupt:
        return False
    return True


def write_manifest(aside: Path, spec: BackboneSpec, pin: Pin) -> None:
    """Write source.json, the last file of a source."""
    manifest = {
        "repo": spec.source.repo,
        "revision": pin.revision,
        "licence": pin.licence,
        "files": {name: file.sha256 for name, file in pin.files.items()},
    }
    write_json(aside / SOURCE, manifest)


@contextmanager
def writing(models: Path) -> Iterator[None]:
    """Hold MODELS for the whole of a pull or import; the kernel frees it when the holder dies.

    Raises:
        StoreLocked: if another process holds it.
    """
    models.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(models / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreLocked(f"another pull or import is writing to {models}: wait for it to end") from error
        yield
    finally:
        os.close(descriptor)
