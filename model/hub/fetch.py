"""One file of a commit in, that file whole on disk and its sha256 out; goes on from what is there already."""

import errno
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from model.artifact import sha256_of
from model.errors import Corrupt, NotInstalled
from model.hub.remote import Commit, Hub, Interrupted

TRIES = 3  # in a row that bring nothing
PAUSE_S = 1.0
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[int], None]  # takes how many bytes of the file are here


def fetch(hub: Hub, commit: Commit, name: str, place: Path, progress: Progress) -> str:
    """Bring a file to `place` and check it against what the hub says of it.

    Returns:
        Its sha256.

    Raises:
        Corrupt: if it is not what the hub lists; the file is removed, so that the next run begins again.
        NotInstalled: if the connection breaks for good or the disk is full; the part that came stays.
    """
    wanted = commit.files[name]
    if size_of(place) > wanted.size:
        place.unlink()
    for kept in (size_of(place), 0):  # what was kept may have been damaged: that is worth a second time
        _complete(hub, commit, name, place, progress)
        found = sha256_of(place)
        if found == wanted.sha256 or (wanted.sha256 is None and git_sha1_of(place) == wanted.git_sha1):
            return found
        place.unlink()
        if not kept:
            break
    raise Corrupt(
        f"{name} of {commit.repo} at {commit.revision[:8]} came with sha256 {found}, but the hub lists "
        f"{wanted.sha256 or 'the git hash ' + wanted.git_sha1}: something between changed it; try again, or "
        "with another HF_ENDPOINT"
    )


def git_sha1_of(path: Path) -> str:
    """The hash by which git, and so the hub, knows a small file."""
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _complete(hub: Hub, commit: Commit, name: str, place: Path, progress: Progress) -> None:
    """Append until the file has its size; a broken connection is taken up again while it brings bytes."""
    size, failures, most = commit.files[name].size, 0, 0
    place.touch()
    progress(size_of(place))
    while (before := size_of(place)) < size:
        error = Interrupted(
            f"{hub.endpoint} sends only {before} of {size} bytes of {commit.repo}/{name}: try again later, "
            "the same command goes on from what is there"
        )
        try:
            with _space(place, size - before):
                _append(hub, commit, name, place, progress)
        except Interrupted as broken:
            error = broken
        failures = 0 if size_of(place) > max(before, most) else failures + 1
        most = max(most, before)  # a hub that sends too little is not to be asked for ever
        if failures == TRIES:
            raise error
        time.sleep(PAUSE_S if failures else 0)


def _append(hub: Hub, commit: Commit, name: str, place: Path, progress: Progress) -> None:
    size = commit.files[name].size
    with place.open("r+b") as file, hub.download(commit, name, size_of(place)) as (start, chunks):
        file.truncate(start)
        file.seek(start)
        for chunk in chunks:
            file.write(
                chunk[: size - file.tell()]
            )  # a longer file has another hash, and no claim to the disk
            file.flush()  # what is written survives a kill
            progress(file.tell())
            if file.tell() == size:
                break


@contextmanager
def _space(place: Path, missing: int) -> Iterator[None]:
    """Say what to do when the disk is full; what was written stays."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NotInstalled(
            f"no space is left for {place.name}, which lacks {missing / 1e6:.1f} MB: free some, or name "
            "another folder with --models; the same command goes on from what is there"
        ) from error


def size_of(place: Path) -> int:
    """Bytes that are there."""
    return place.stat().st_size if place.exists() else 0
