"""A MODELS folder in, what in it is whole, changed or missing out: every file against manifest and lock."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.artifact import ASIDE
from model.backbones.catalogue import PRECISIONS, BackboneSpec, spec_of
from model.backbones.folder import Backbone
from model.errors import ArtifactError
from model.hub.contents import check_contents
from model.hub.lock import Lock, Pin
from model.hub.sources import SOURCES, check_source

State = Literal["whole", "changed", "missing", "absent", "spare"]
BAD: tuple[State, ...] = ("changed", "missing")  # absent: not needed; spare: not used


@dataclass(frozen=True, slots=True)
class Checked:
    """One folder of MODELS."""

    part: str  # `sources/NAME/REVISION` or `NAME/PRECISION`
    state: State
    files: int
    size: int  # bytes
    said: str  # what to do or to know; empty if nothing is


def verify_models(models: Path, names: Collection[str]) -> list[Checked]:
    """Read every file of some backbones.

    Raises:
        BadOptions: for an unknown name.
        Corrupt: if the lock itself cannot be used.
    """
    lock = Lock.read(models)
    return [line for name in names for line in _verify(lock, spec_of(name))]


def _verify(lock: Lock, spec: BackboneSpec) -> Iterator[Checked]:
    models, pin = lock.models, lock.pins.get(spec.source.repo)
    exported = [each for each in PRECISIONS if (models / spec.name / each).exists()]
    yield from _verify_sources(models, spec, pin, needed=not exported)
    yield from (_verify_backbone(models, spec, pin, precision) for precision in exported)
    for left in sorted((models / spec.name).glob(f"{ASIDE}*")):
        said = "an unfinished export: remove this if none is running"
        yield Checked(f"{spec.name}/{left.name}", "spare", *_measured(left), said)
    if not exported:
        how = f"`yuyin models export {spec.name}`" if pin else "`yuyin models pull paper`"
        yield Checked(f"{spec.name}/fp32", "absent" if pin else "missing", 0, 0, f"run {how}")


def _verify_sources(models: Path, spec: BackboneSpec, pin: Pin | None, *, needed: bool) -> Iterator[Checked]:
    top = f"{SOURCES}/{spec.name}"
    found = {path.name for path in (models / top).glob("*") if path.is_dir()}

    def check(folder: Path) -> str:
        if pin:
            check_source(folder, spec.source.repo, pin)
        return ""

    if pin and pin.revision in found:
        yield _checked(models, f"{top}/{pin.revision}", check)
    elif pin:
        said = "pull or import it again" if needed else "not needed to run what is exported"
        yield Checked(f"{top}/{pin.revision}", "missing" if needed else "absent", 0, 0, said)
    for name in sorted(found - {pin.revision if pin else ""}):
        why = "an unfinished pull: run it again, or remove this" if name.startswith(ASIDE) else "not pinned"
        yield Checked(f"{top}/{name}", "spare", *_measured(models / top / name), why)


def _verify_backbone(models: Path, spec: BackboneSpec, pin: Pin | None, precision: str) -> Checked:
    def check(_: Path) -> str:
        backbone = Backbone.open(models, spec.name, precision)
        check_contents(backbone.graph)
        made_from = backbone.manifest.get("source", {}).get("revision")
        if pin is None or made_from in (None, pin.revision):
            return ""
        return f"made from {made_from}, not from the pinned {pin.revision}: export it again"

    return _checked(models, f"{spec.name}/{precision}", check)


def _checked(models: Path, part: str, check: Callable[[Path], str]) -> Checked:
    folder = models / part
    try:
        said = check(folder)
    except ArtifactError as error:
        return Checked(part, "changed", *_measured(folder), str(error))
    except OSError as error:  # what else is there may be whole
        said = f"cannot be read ({error}): check the disk, remove the folder, and pull or import it again"
        return Checked(part, "changed", *_measured(folder), said)
    return Checked(part, "whole", *_measured(folder), said)


def _measured(folder: Path) -> tuple[int, int]:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)
