"""Names of backbones in, their checkpoints in MODELS/sources out, each pinned in MODELS/models.lock.json.

A checkpoint appears there whole and checked or not at all. What a broken run left is continued by the next.
"""

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from model.artifact import ASIDE
from model.artifact import commit as move
from model.backbones.catalogue import BackboneSpec, spec_of
from model.errors import BadOptions, Corrupt, NotFound, NotInstalled
from model.hub.contents import check_contents
from model.hub.fetch import fetch, size_of
from model.hub.lock import Lock, Pin, PinnedFile
from model.hub.remote import BOT, COMMIT, PICKLES, Commit, Hub
from model.hub.sources import (
    WEIGHTS,
    Source,
    aside_folder,
    is_whole,
    source_folder,
    write_manifest,
    writing,
)

Progress = Callable[[str, int, int], None]  # takes a file's label, its bytes here, and all its bytes


def pull_sources(
    models: Path,
    names: Collection[str],
    progress: Progress,
    *,
    revisions: Mapping[str, str] | None = None,
    update: bool = False,
    hub: Hub | None = None,
) -> list[Source]:
    """Bring the checkpoints of backbones to MODELS/sources; what is there and whole needs no network.

    Args:
        models: the MODELS folder.
        names: of backbones.
        progress: called as bytes arrive.
        revisions: a branch, tag, `refs/pr/N` or commit for some of them, instead of the catalogue's.
        update: pin what that stands for now, instead of what was pinned.
        hub: where from; default: what the environment says.

    Raises:
        BadOptions: for an unknown name, or a revision that is not the pinned one without `update`.
        NotInstalled: if the hub cannot be read, the disk is full, or there are only pickles.
        NotFound: if the hub has no such repository, revision or file.
        Corrupt: if a file is not what the hub or the lock says.
        StoreLocked: if another pull or import runs.
    """
    specs, revisions = [spec_of(name) for name in names], revisions or {}
    if odd := sorted(set(revisions) - set(names)):
        raise BadOptions(f"--revision names {', '.join(odd)}: it takes {', '.join(names)}, as NAME=REVISION")
    with writing(models):
        lock = Lock.read(models)
        return [_pull(lock, spec, revisions.get(spec.name), update, progress, hub) for spec in specs]


def _pull(
    lock: Lock, spec: BackboneSpec, wanted: str | None, update: bool, progress: Progress, hub: Hub | None
) -> Source:
    repo, pin = spec.source.repo, lock.pins.get(spec.source.repo)
    fixed = pin if pin and not update else None
    if fixed and wanted in (None, fixed.revision):
        folder = source_folder(lock.models, spec.name, fixed.revision)
        if is_whole(folder, repo, fixed):
            return Source(spec.name, repo, fixed, folder, fresh=False, notes=())
        if not COMMIT.fullmatch(fixed.revision):
            raise NotInstalled(
                f"{spec.name} was imported from a folder, and {folder} is not whole: import it again, or "
                "pull it from the hub with --update"
            )
    hub = hub or Hub()
    commit, notes = _resolve(hub, spec, wanted or (fixed.revision if fixed else spec.source.revision))
    if fixed and commit.revision != fixed.revision:
        raise BadOptions(
            f"{spec.name} is pinned to {fixed.revision}, and {wanted} is {commit.revision}: "
            "add --update to move the pin, or leave --revision out"
        )
    known = pin if pin and pin.revision == commit.revision else None
    return _install(lock, spec, commit, known, notes, progress, hub)


def _resolve(hub: Hub, spec: BackboneSpec, revision: str) -> tuple[Commit, tuple[str, ...]]:
    """The commit that has all files, and what its user should know of it."""
    source = spec.source
    commit, notes = hub.commit(source.repo, revision), []
    if WEIGHTS not in commit.files:
        base, commit = commit, hub.conversion(commit, source.files) or commit
        notes.append(
            f"{source.repo} has no safetensors at {base.revision[:8]}: took those of {commit.asked}, made by "
            f"{BOT}, which is Hugging Face's own, and pinned to its commit {commit.revision[:8]}"
        )
    if WEIGHTS not in commit.files:
        raise NotInstalled(_only_pickles(spec, commit))
    if missing := [name for name in source.files if name not in commit.files]:
        raise NotFound(
            f"{source.repo} at {commit.revision[:8]} has no {', '.join(missing)}: name another revision with "
            f"--revision {spec.name}=REVISION"
        )
    if commit.licence and commit.licence != source.licence:
        notes.append(
            f"{source.repo} now says that its licence is {commit.licence}; it was {source.licence} when this "
            "version of YuYin was made: read it before you use it"
        )
    return commit, tuple(notes)


def _only_pickles(spec: BackboneSpec, commit: Commit) -> str:
    there = ", ".join(sorted(name for name in commit.files if name.endswith(PICKLES))) or "nothing we know"
    return (
        f"{commit.repo} at {commit.revision[:8]} has no {WEIGHTS} but {there}: pickles run code when they "
        "are opened, so YuYin takes none; name a revision that has it with "
        f"--revision {spec.name}=refs/pr/NUMBER, or convert it yourself and run "
        f"`yuyin models import FOLDER --as {spec.name}`"
    )


def _install(
    lock: Lock,
    spec: BackboneSpec,
    commit: Commit,
    known: Pin | None,
    notes: tuple[str, ...],
    progress: Progress,
    hub: Hub,
) -> Source:
    place = source_folder(lock.models, spec.name, commit.revision)
    if known and is_whole(place, commit.repo, known):
        return Source(spec.name, commit.repo, known, place, fresh=False, notes=notes)
    aside = _prepare(lock.models, spec, commit)
    files = {}
    for name in spec.source.files:
        size = commit.files[name].size
        if known and (sha256 := commit.files[name].sha256):
            known.check(commit.repo, name, sha256)  # before its bytes are paid for
        label = f"{spec.name}/{name}"
        sha256 = fetch(hub, commit, name, aside / name, _shown(progress, label, size))
        _accept(aside / name, commit.repo, sha256, known)
        files[name] = PinnedFile(sha256, size)
    asked = known.asked if known else commit.asked
    pin = Pin(commit.revision, asked, commit.licence or spec.source.licence, files)
    write_manifest(aside, spec, pin)
    lock.record(commit.repo, pin)  # a kill from here on leaves a whole folder aside, which the next run moves
    move(aside, place)
    for old in place.parent.glob(f"{ASIDE}*"):
        shutil.rmtree(old, ignore_errors=True)
    return Source(spec.name, commit.repo, pin, place, fresh=True, notes=notes)


def _prepare(models: Path, spec: BackboneSpec, commit: Commit) -> Path:
    """The folder to download into, with what is worth keeping of an earlier run or of a damaged source."""
    aside = aside_folder(models, spec.name, commit.revision)
    place = source_folder(models, spec.name, commit.revision)
    if place.exists() and not aside.exists():
        place.rename(aside)
    if place.exists():
        shutil.rmtree(place)
    aside.mkdir(parents=True, exist_ok=True)
    for path in aside.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in spec.source.files:
            path.unlink()
    missing = sum(commit.files[name].size - size_of(aside / name) for name in spec.source.files)
    if missing > (free := shutil.disk_usage(aside).free):
        raise NotInstalled(
            f"{spec.name} needs {missing / 1e6:.0f} MB more, and {models} has {free / 1e6:.0f} MB left: free "
            "some, or name another folder with --models"
        )
    return aside


def _shown(progress: Progress, label: str, size: int) -> Callable[[int], None]:
    return lambda here: progress(label, here, size)


def _accept(path: Path, repo: str, sha256: str, known: Pin | None) -> None:
    """Refuse, and remove, what the lock does not know or what is not of its kind."""
    try:
        if known:
            known.check(repo, path.name, sha256)
        check_contents(path)
    except Corrupt:
        path.unlink()
        raise
