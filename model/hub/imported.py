"""A folder from another machine in, what MODELS lacks of it out; nothing in it is believed without a check.

Two kinds of folder: a MODELS folder with its lock, filled by `yuyin models pull` where there is a network;
or the files of one checkpoint, such as `save_pretrained` of transformers writes them.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model.artifact import ASIDE, content_id, new_folder, replace, sha256_of
from model.backbones.catalogue import BACKBONES, PRECISIONS, BackboneSpec, spec_of
from model.backbones.folder import Backbone
from model.errors import ArtifactError, BadOptions, Corrupt, NotInstalled
from model.hub.contents import check_contents
from model.hub.fetch import FULL
from model.hub.lock import LOCK, Lock, Pin, PinnedFile
from model.hub.remote import PICKLES
from model.hub.sources import (
    GRAPH,
    SOURCES,
    WEIGHTS,
    is_whole,
    source_folder,
    write_manifest,
    writing,
)

OPTIONAL = {"preprocessor_config.json"}  # says what the catalogue fixes anyway


@dataclass(frozen=True, slots=True)
class Imported:
    """One folder that is now in MODELS."""

    name: str  # of the backbone
    part: str  # `sources/NAME/REVISION` or `NAME/PRECISION`
    fresh: bool  # was not here before


def import_folder(
    models: Path, folder: Path, name: str | None = None, *, update: bool = False
) -> list[Imported]:
    """Copy what is whole and what it says it is from `folder` to `models`.

    Args:
        models: the MODELS folder to fill.
        folder: another MODELS folder, or a checkpoint's: weights as model.safetensors or model.onnx,
            config.json, and vocab.txt of a text backbone.
        name: which backbone the checkpoint is; None for a MODELS folder.
        update: replace what is pinned or exported here and differs.

    Raises:
        BadOptions: if the folder is neither, has only pickles, or differs from what is here without `update`.
        Corrupt: if a file is damaged, leads out of the folder, or is not of its kind or what a lock says.
        Mismatch: if an exported backbone is of another version.
        NotInstalled: if the disk is full.
        StoreLocked: if another pull or import runs.
    """
    if name is None and not (folder / LOCK).exists():
        raise BadOptions(
            f"{folder} has no {LOCK}, so it is no MODELS folder: say which checkpoint it is with --as, "
            f"one of {', '.join(BACKBONES)}"
        )
    with writing(models):
        for left in models.glob(f"{ASIDE}*"):
            shutil.rmtree(left, ignore_errors=True)
        if name is None:
            return list(_import_models(models, folder, update))
        return [_import_checkpoint(models, folder, spec_of(name), update)]


def _import_models(models: Path, folder: Path, update: bool) -> Iterable[Imported]:
    theirs, ours = Lock.read(folder), Lock.read(models)
    for spec in BACKBONES.values():
        pin = theirs.pins.get(spec.source.repo)
        if pin is not None:
            _agree(ours, spec, pin, update)
            found = source_folder(folder, spec.name, pin.revision)
            if found.exists():
                yield _import_source(ours, spec, pin, found, folder)
            else:
                ours.record(spec.source.repo, pin)
        for precision in PRECISIONS:
            if (folder / spec.name / precision).exists():
                yield _import_backbone(models, folder, spec, precision, update)


def _agree(lock: Lock, spec: BackboneSpec, pin: Pin, update: bool) -> None:
    """Refuse to move a pin unasked, or to give it other bytes at all."""
    ours = lock.pins.get(spec.source.repo)
    if ours and ours.revision == pin.revision:
        for name, file in pin.files.items():
            ours.check(spec.source.repo, name, file.sha256)
        if lost := sorted(ours.files.keys() - pin.files.keys()):
            raise Corrupt(
                f"{LOCK} of the folder lacks {', '.join(lost)} of {spec.source.repo} at {pin.revision[:8]}, "
                "which is pinned here: pull the folder again with this version of YuYin"
            )
    elif ours and not update:
        raise BadOptions(
            f"{spec.name} is pinned to {ours.revision} here, and the folder brings {pin.revision}: "
            "add --update to move the pin"
        )


def _import_source(lock: Lock, spec: BackboneSpec, pin: Pin, found: Path, folder: Path) -> Imported:
    place = source_folder(lock.models, spec.name, pin.revision)
    part = f"{SOURCES}/{spec.name}/{pin.revision}"
    if lock.pins.get(spec.source.repo) == pin and is_whole(place, spec.source.repo, pin):
        return Imported(spec.name, part, fresh=False)
    with new_folder(place.parent) as aside:
        for name in pin.files:
            _copy(found / name, aside / name, folder)
            pin.check(spec.source.repo, name, sha256_of(aside / name))
            check_contents(aside / name)
        write_manifest(aside, spec, pin)
        replace(aside, place)
        lock.record(spec.source.repo, pin)
    return Imported(spec.name, part, fresh=True)


def _import_checkpoint(models: Path, folder: Path, spec: BackboneSpec, update: bool) -> Imported:
    lock = Lock.read(models)
    with new_folder(models) as aside:
        for name in _names(folder, spec):
            _copy(folder / name, aside / name, folder)
        found = {path.name: PinnedFile(sha256_of(path), path.stat().st_size) for path in aside.iterdir()}
        ours = lock.pins.get(spec.source.repo)
        if ours and ours.files == found:  # the pinned files themselves, carried by hand
            pin = ours
        else:
            revision = f"imported-{content_id({name: file.sha256 for name, file in found.items()})}"
            pin = Pin(revision, "a folder", spec.source.licence, found)
        _agree(lock, spec, pin, update)
        return _import_source(lock, spec, pin, aside, aside)


def _names(folder: Path, spec: BackboneSpec) -> list[str]:
    weights = next((name for name in (WEIGHTS, GRAPH) if (folder / name).exists()), None)
    if weights is None:
        pickles = [path.name for path in sorted(folder.iterdir()) if path.suffix in PICKLES]
        raise BadOptions(
            f"{folder} has neither {WEIGHTS} nor {GRAPH}"
            + (
                f", and {', '.join(pickles)} runs code when it is opened, so it is not taken"
                if pickles
                else ""
            )
            + ": convert it where you trust it, with save_pretrained of transformers"
        )
    names = [weights, *(name for name in spec.source.files if name != WEIGHTS)]
    missing = [name for name in names if name not in OPTIONAL and not (folder / name).exists()]
    if missing:
        raise BadOptions(f"{folder} lacks {', '.join(missing)}: {spec.name} needs it, from the same source")
    return [name for name in names if (folder / name).exists()]


def _import_backbone(
    models: Path, folder: Path, spec: BackboneSpec, precision: str, update: bool
) -> Imported:
    place, part = models / spec.name / precision, f"{spec.name}/{precision}"
    with new_folder(models) as aside:
        copy = aside / spec.name / precision
        copy.mkdir(parents=True)
        for path in sorted((folder / part).iterdir()):
            _copy(path, copy / path.name, folder)
            check_contents(copy / path.name)
        theirs, ours = Backbone.open(aside, spec.name, precision).id, _id_here(models, spec.name, precision)
        if ours == theirs:
            return Imported(spec.name, part, fresh=False)
        if ours and not update:
            raise BadOptions(
                f"{part} is {ours} here and {theirs} in the folder, and what was computed with the one does "
                "not mix with the other: add --update to replace it"
            )
        replace(copy, place)
    return Imported(spec.name, part, fresh=True)


def _id_here(models: Path, name: str, precision: str) -> str | None:
    """None if there is none that could be used."""
    try:
        return Backbone.open(models, name, precision).id
    except ArtifactError:
        return None


def _copy(path: Path, copy: Path, folder: Path) -> None:
    """The file behind a link counts only if it lies in the folder too; `NotInstalled` if the disk is full."""
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        raise Corrupt(f"{path} leads out of {folder}: copy the file itself there, as `cp -L` does")
    if not real.is_file():
        raise Corrupt(f"{path} is no file: copy the folder again")
    try:
        shutil.copyfile(real, copy)
    except OSError as error:  # it names the file that is read
        if error.errno not in FULL:
            raise
        raise NotInstalled(
            f"no space is left for the {real.stat().st_size / 1e6:.1f} MB of {path.name}: free some, or name "
            "another folder with --models"
        ) from error
