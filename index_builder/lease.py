"""A store in, the right to write to it out: two builders never write at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.errors import StoreLocked


@contextmanager
def lease(store: Path) -> Iterator[None]:
    """Hold STORE/lock for the whole of a build or clean-up; the kernel frees it when the holder dies.

    Raises:
        StoreLocked: if another process holds it.
    """
    with _locked(store / "lock", wait=False):
        yield


@contextmanager
def pointer(store: Path) -> Iterator[None]:
    """Hold STORE/lock-current for the moment in which CURRENT or what it may name changes."""
    with _locked(store / "lock-current", wait=True):
        yield


@contextmanager
def rights(store: Path) -> Iterator[None]:
    """Hold STORE/rights/lock while a version of the rights is made from the one before; others wait."""
    with _locked(store / "rights" / "lock", wait=True):
        yield


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "unknown"
            raise StoreLocked(
                f"process {holder} is writing to {path.parent}: wait for it to end, or stop it"
            ) from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
