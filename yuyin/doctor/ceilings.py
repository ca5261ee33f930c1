"""Control groups in, how much memory and how many cores this process may use out; versions 1 and 2.

A container sees its own group at the root of the mount although /proc/self/cgroup may name it by the host's
path; so every folder from the named one up to the root is looked at, and the strictest limit counts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_NO_LIMIT_BYTES = 1 << 60  # version 1 writes the largest multiple of a page where there is none


@dataclass(frozen=True, slots=True)
class Ceilings:
    """None where nothing limits."""

    memory_bytes: int | None
    cores: float | None


def ceilings(groups: str, root: Path = ROOT) -> Ceilings:
    """The limits in force.

    Args:
        groups: text of /proc/self/cgroup.
        root: where control groups are mounted.
    """
    memory = [
        limit
        for file in ("memory.max", "memory.limit_in_bytes")
        for (limit, *_) in _numbers(_folders(groups, root, "memory"), file)
        if limit < _NO_LIMIT_BYTES
    ]
    cores = [quota / period for quota, period in _numbers(_folders(groups, root, "cpu"), "cpu.max")]
    for folder in _folders(groups, root, "cpu"):
        quota = list(_numbers([folder], "cpu.cfs_quota_us"))
        period = list(_numbers([folder], "cpu.cfs_period_us"))
        cores += [q / p for (q,), (p,) in zip(quota, period, strict=False) if q > 0]
    return Ceilings(min(memory, default=None), min(cores, default=None))


def _folders(groups: str, root: Path, controller: str) -> Iterator[Path]:
    """Where the limits of one controller may stand."""
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / controllers if controllers else root
        folder = mount / path.lstrip("/")
        yield folder
        yield from (parent for parent in folder.parents if parent.is_relative_to(mount))


def _numbers(folders: Iterable[Path], file: str) -> Iterator[list[int]]:
    """What the files say, where they are there and do not say `max`."""
    for folder in folders:
        try:
            words = (folder / file).read_text("ascii").split()
        except OSError:
            continue
        if words[0] != "max":
            yield [int(word) for word in words]
