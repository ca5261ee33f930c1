"""A MODELS folder in, what lies in it out; nothing is hashed, so this is quick and proves nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.backbones.catalogue import BACKBONES, OF_PROFILE, PRECISIONS, BackboneSpec
from model.backbones.folder import Backbone
from model.errors import ArtifactError
from model.hub.lock import Lock, Pin
from model.hub.sources import source_folder

State = Literal["ready", "broken", "pulled", "not here"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A backbone in one precision, or how far it is from that."""

    name: str
    precision: str | None  # None: not exported
    state: State
    id: str | None  # of the exported graph
    size: int  # bytes of its folder
    licence: str
    repo: str
    revision: str | None  # that is pinned
    profiles: tuple[str, ...]  # that need it


def list_models(models: Path) -> list[Entry]:
    """Every backbone of the catalogue, and what is here of it; raises `Corrupt` for an unusable lock."""
    lock = Lock.read(models)
    return [entry for spec in BACKBONES.values() for entry in _entries(lock, spec)]


def names_of(profile: str | None) -> tuple[str, ...]:
    """The backbones that a profile needs; all for None, none for a profile that is not in the catalogue."""
    return tuple(BACKBONES) if profile is None else OF_PROFILE.get(profile, ())


def _entries(lock: Lock, spec: BackboneSpec) -> Iterator[Entry]:
    pin = lock.pins.get(spec.source.repo)
    exported = [each for each in PRECISIONS if (lock.models / spec.name / each).exists()]
    for precision in exported:
        yield _exported(lock.models, spec, pin, precision)
    if not exported:
        folder = source_folder(lock.models, spec.name, pin.revision) if pin else None
        state: State = "pulled" if folder and folder.exists() else "not here"
        size = _size(folder) if folder and folder.exists() else 0
        yield Entry(spec.name, None, state, None, size, *_whence(spec, pin))


def _exported(models: Path, spec: BackboneSpec, pin: Pin | None, precision: str) -> Entry:
    size, whence = _size(models / spec.name / precision), _whence(spec, pin)
    try:
        found = Backbone.open(models, spec.name, precision, verify=False).id
    except ArtifactError:
        return Entry(spec.name, precision, "broken", None, size, *whence)
    return Entry(spec.name, precision, "ready", found, size, *whence)


def _whence(spec: BackboneSpec, pin: Pin | None) -> tuple[str, str, str | None, tuple[str, ...]]:
    profiles = tuple(profile for profile, names in OF_PROFILE.items() if spec.name in names)
    licence = pin.licence if pin else spec.source.licence
    return licence, spec.source.repo, pin.revision if pin else None, profiles


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
