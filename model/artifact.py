"""Immutable folders: written aside, hashed, fsynced, renamed; read back only if every hash agrees.

A manifest is one JSON file, written last, that lists the sha256 of every other file of its folder.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from model.errors import Corrupt

ASIDE = ".part-"  # a folder or file whose name begins so is not there yet; left behind by a kill


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value that ids are hashed from."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def content_id(manifest: dict[str, Any]) -> str:
    """Id of an artifact: 16 hex digits of the sha256 of its manifest's canonical form."""
    return hashlib.sha256(canonical_json(manifest).encode()).hexdigest()[:16]


def hash_files(folder: Path, *, manifest: str) -> dict[str, str]:
    """Relative name -> sha256 for every file below `folder` but the manifest itself."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != manifest)
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def fsync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            fsync_folder(path)
    fsync_folder(folder)


def write_file(path: Path, data: bytes) -> None:
    """Replace `path` whole or not at all, durably."""
    with new_file(path) as file:
        file.write(data)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file aside to write into; it takes `path`'s place, durably, unless the block raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{ASIDE}{path.name}-{secrets.token_hex(4)}")
    try:
        with aside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        fsync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file whole or not at all."""
    write_file(path, (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())


@contextmanager
def new_folder(parent: Path) -> Iterator[Path]:
    """A folder aside to write an artifact into; removed unless `commit` moved it to its place."""
    parent.mkdir(parents=True, exist_ok=True)
    aside = parent / f"{ASIDE}{secrets.token_hex(6)}"
    aside.mkdir()
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def is_free(place: Path) -> bool:
    """Is nothing there, or a folder with nothing in it."""
    return not place.exists() or (place.is_dir() and not any(place.iterdir()))


def commit(aside: Path, place: Path) -> None:
    """Move a finished folder to `place`, durably; an equal one that is there already stays."""
    _fsync_tree(aside)
    place.parent.mkdir(parents=True, exist_ok=True)
    if is_free(place):  # a rename takes the place of an empty folder
        aside.rename(place)
    fsync_folder(place.parent)


def replace(aside: Path, place: Path) -> None:
    """Move a finished folder to `place`, whatever is there; a kill between the two renames leaves nothing."""
    if place.exists():
        with new_folder(place.parent) as old:
            place.rename(old / "old")
            commit(aside, place)
    else:
        commit(aside, place)


def read_manifest(folder: Path, name: str, *, verify: bool = True) -> dict[str, Any]:
    """Read `folder/name` and check every file that it lists under `files`.

    Raises:
        Corrupt: if the manifest is missing or unreadable, a listed file is missing, a hash differs,
            or a file lies there that it does not list.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / name).read_text("utf-8"))
        listed: dict[str, str] = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{folder} has no usable {name} ({error}): build it again") from error
    if verify:
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {name}
        if found != set(listed):
            odd = ", ".join(sorted(found ^ set(listed)))
            raise Corrupt(f"{folder} does not hold exactly the files of its {name} ({odd}): build it again")
        for file, digest in listed.items():
            if sha256_of(folder / file) != digest:
                raise Corrupt(f"{folder / file} differs from its {name}: build it again")
    return manifest
