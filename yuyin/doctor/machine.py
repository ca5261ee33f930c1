"""The machine in, whether it is large enough to serve out."""

import math
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from rich.filesize import decimal

from yuyin.doctor.ceilings import Ceilings, ceilings
from yuyin.doctor.finding import Check, Finding, Group

PYTHONS = ((3, 11), (3, 14))  # first and last that the constraints are resolved for
SERVICE_BYTES = 500_000_000  # measured: 0.25 GB with a small store, and as much for one 8K picture
STORE_ROOM_BYTES = 1_000_000_000  # a new snapshot stands beside the old one until a clean-up
FILES, FILES_MIN = 1024, 128  # a connection and its upload take three; the first is the usual default


def python(_: Path) -> Finding:
    """The interpreter's version."""
    return judge_python((sys.version_info.major, sys.version_info.minor), sys.version.split()[0])


def judge_python(version: tuple[int, int], text: str) -> Finding:
    """Whether a version is one that YuYin is installed with."""
    first, last = PYTHONS
    if first <= version <= last:
        return Finding("ok", f"Python {text}")
    wanted = f"install it with Python {first[0]}.{first[1]} to {last[0]}.{last[1]}"
    return Finding("missing" if version < first else "degraded", f"Python {text} is untried", wanted)


def cores(store: Path) -> Finding:
    """Cores that the affinity mask and the control groups leave, against videos worked on at once."""
    from yuyin.doctor.serving import settings_or_defaults

    usable = float(len(os.sched_getaffinity(0)))
    quota = _ceilings().cores
    usable = usable if quota is None else min(usable, quota)
    return judge_cores(usable, os.cpu_count() or 1, settings_or_defaults(store).in_flight)


def judge_cores(usable: float, seen: int, in_flight: int) -> Finding:
    """More videos at once than two per core make each other wait, and fill memory meanwhile."""
    found = f"{usable:g} of {seen} usable, {in_flight} videos worked on at once"
    sensible = 2 * math.ceil(usable)
    if in_flight <= sensible:
        return Finding("ok", found)
    return Finding("degraded", found, f"set YUYIN_IN_FLIGHT={sensible}, or give it more cores")


def memory(store: Path) -> Finding:
    """Memory that is free, or all that a control group allows if that is less."""
    from yuyin.doctor.serving import settings_or_defaults

    rows = (line.split() for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    available_bytes = next(int(row[1]) * 1024 for row in rows if row[0] == "MemAvailable:")
    chosen = settings_or_defaults(store)
    per_video = chosen.limits.max_memory_bytes
    return judge_memory(available_bytes, _ceilings().memory_bytes, per_video, chosen.in_flight)


def judge_memory(
    available_bytes: int, ceiling_bytes: int | None, video_bytes: int, in_flight: int
) -> Finding:
    """The service itself must fit; so should one video that takes all the memory it may."""
    capped = ceiling_bytes is not None and ceiling_bytes < available_bytes
    room_bytes = ceiling_bytes if capped and ceiling_bytes is not None else available_bytes
    at_limit = max(0, room_bytes - SERVICE_BYTES) // video_bytes
    found = (
        f"{decimal(room_bytes)} {'allowed by the control group' if capped else 'available'}: the service and "
        f"{at_limit} videos at their limit of {decimal(video_bytes)} each ({in_flight} may run at once)"
    )
    if at_limit >= 1:
        return Finding("ok", found)
    if room_bytes < SERVICE_BYTES:
        return Finding("missing", found, f"give it {decimal(SERVICE_BYTES + video_bytes)} of memory")
    lower = room_bytes - SERVICE_BYTES
    fix = f"give it {decimal(SERVICE_BYTES + video_bytes)}, or set YUYIN_LIMITS__MAX_MEMORY_BYTES={lower}"
    return Finding("degraded", found, fix)


def open_files(_: Path) -> Finding:
    """How many descriptors one process may hold."""
    return judge_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def judge_open_files(limit: int) -> Finding:
    """Every connection, upload and music file that is being sent takes one."""
    if limit == resource.RLIM_INFINITY or limit >= FILES:
        return Finding("ok", "no limit" if limit == resource.RLIM_INFINITY else f"{limit:,} at once")
    fix = f"run `ulimit -n {FILES}` first, or raise LimitNOFILE of the service"
    return Finding("missing" if limit < FILES_MIN else "degraded", f"only {limit} at once", fix)


def uploads(store: Path) -> Finding:
    """Room in the folder for temporary files, where an upload lies while it is worked on."""
    from yuyin.doctor.serving import settings_or_defaults

    chosen = settings_or_defaults(store)
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        fix = "mount a tmpfs at /tmp, or set TMPDIR to a folder that can be written"
        return Finding("missing", "no folder for temporary files can be written", fix)
    free_bytes = shutil.disk_usage(folder).free
    return judge_uploads(folder, free_bytes, chosen.limits.max_bytes, chosen.in_flight)


def judge_uploads(folder: str, free_bytes: int, max_bytes: int, in_flight: int) -> Finding:
    """One upload must fit; all that are worked on at once should."""
    fit = free_bytes // max_bytes
    found = f"{decimal(free_bytes)} free in {folder}: {fit} uploads of {decimal(max_bytes)}"
    if fit >= in_flight:
        return Finding("ok", found)
    fix = f"free {decimal(in_flight * max_bytes)}, set TMPDIR, or lower YUYIN_LIMITS__MAX_BYTES"
    return Finding("degraded" if fit else "missing", f"{found}, {in_flight} may come at once", fix)


def store_disk(store: Path) -> Finding:
    """Room and rights where the store is, or will be."""
    folder = next(each for each in (store.absolute(), *store.absolute().parents) if each.is_dir())
    return judge_store_disk(folder, shutil.disk_usage(folder).free, os.access(folder, os.W_OK))


def judge_store_disk(folder: Path, free_bytes: int, writable: bool) -> Finding:
    """A store that cannot grow still serves."""
    found = f"{decimal(free_bytes)} free in {folder}"
    if not writable:
        fix = "reindexing needs to write there: mount it writable, or give this user the right"
        return Finding("degraded", f"{found}, read-only for this user", fix)
    if free_bytes >= STORE_ROOM_BYTES:
        return Finding("ok", found)
    fix = f"free {decimal(STORE_ROOM_BYTES)} there; `yuyin index gc` removes old snapshots"
    return Finding("degraded", found, fix)


def _ceilings() -> Ceilings:
    return ceilings(Path("/proc/self/cgroup").read_text("utf-8"))


GROUP = Group(
    "machine",
    (
        Check("Python", python),
        Check("cores", cores),
        Check("memory", memory),
        Check("open files", open_files),
        Check("room for uploads", uploads),
        Check("room for the store", store_disk),
    ),
)
