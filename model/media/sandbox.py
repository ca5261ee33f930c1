"""Limits in, this process confined to them out: resource limits, a system call filter, no network.

Three layers, so that no single one is trusted: FFmpeg is told which demuxers it may use and that there are
no protocols (`model.media.container`), resource limits leave no descriptor to open anything with, and the
kernel refuses every call that a decoder does not need. The first two hold everywhere; `attempts` says what
the third adds on this machine.
"""

import ctypes
import errno
import math
import os
import resource
import signal
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.errors import NoSandbox
from model.media.seccomp import Filter
from model.media.streams import VideoLimits

Policy = Literal["require", "prefer"]

TOO_COSTLY = frozenset({signal.SIGXCPU, signal.SIGPROF, signal.SIGALRM, signal.SIGKILL, signal.SIGXFSZ})
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_CAPABILITIES_V3 = 0x20080522


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps a decoder in on this machine, found by trying."""

    calls_filtered: bool
    off_network: bool  # in a namespace without any
    possible: tuple[str, ...]  # what a confined process managed to do and must not; empty where all holds


def leave_network() -> bool:
    """Move this process, for good, to where there is no network, then drop every capability.

    For the fork server, once: its children are born there and pay nothing. Containers often forbid it; then
    the filter alone holds.

    Returns:
        whether there is no network any more.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # Whoever may not make a network namespace may own one in a user namespace of its own.
    moved = any(libc.unshare(flags) == 0 for flags in (_NEW_USER | _NEW_NET, _NEW_NET))
    header, nothing = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0), (ctypes.c_uint32 * 6)()
    libc.capset(header, nothing)  # a user without any may drop them too
    return moved


def die_with_parent(libc: ctypes.CDLL, parent: int) -> None:
    """Have the kernel kill this process when `parent`, its parent of one thread, ends."""
    libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:  # it ended before
        os._exit(1)


def confine(
    limits: VideoLimits, keep: Collection[int], calls: Filter | None = None, policy: Policy = "prefer"
) -> bool:
    """Take from this process, for good, what decoding one video does not need.

    Every descriptor but the standard ones and `keep` is closed: others' videos and answers among them.
    CPU time by two clocks (the interval timer knows fractions of a second, the resource limit cannot be put
    off), wall time by an alarm, memory above what the process has now, core dumps, being read by others, and
    every new descriptor: no file and no socket can be opened from here on. Each clock ends the process by its
    signal's default action, in the kernel, whatever the decoder is busy with. New processes are refused by
    the filter: RLIMIT_NPROC counts a decoder's threads with all others of the user, and not at all for root.

    Returns:
        whether the filter is in force.

    Raises:
        NoSandbox: if the kernel takes no filter and the policy is to require one.
    """
    for number in (signal.SIGPROF, signal.SIGALRM, signal.SIGXCPU, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.max_cpu_s)
    signal.setitimer(signal.ITIMER_REAL, limits.max_wall_s)
    cpu_s = math.ceil(limits.max_cpu_s) + 1
    _limit(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    memory_bytes = _mapped_bytes() + limits.max_memory_bytes
    _limit(resource.RLIMIT_AS, memory_bytes, memory_bytes)
    _limit(resource.RLIMIT_FSIZE, limits.max_memory_bytes, limits.max_memory_bytes)  # the result's own size
    _limit(resource.RLIMIT_CORE, 0, 0)
    close_all_but(keep)
    _limit(resource.RLIMIT_NOFILE, 0, 0)
    return _enforce(calls, policy)


def _enforce(calls: Filter | None, policy: Policy) -> bool:
    refusal = "no table of its system calls is known for this processor"
    if calls is not None:
        calls.libc.prctl(_PR_SET_DUMPABLE, ctypes.c_ulong(0))
        try:
            calls.enforce()
        except OSError as error:
            refusal = f"the kernel refuses it ({errno.errorcode.get(error.errno or 0, error.errno)})"
        else:
            return True
    if policy == "require":
        raise NoSandbox(
            f"decoding needs a system call filter and there is none ({refusal}): "
            "allow seccomp to this container, or accept less with YUYIN_SANDBOX=prefer"
        )
    return False


def close_all_but(keep: Collection[int]) -> None:
    """Close every descriptor but `keep` and the standard ones."""
    after = 3  # standard input, output and error
    for descriptor in (*sorted(keep), os.sysconf("SC_OPEN_MAX")):
        os.closerange(after, descriptor)
        after = descriptor + 1


def attempts() -> tuple[str, ...]:
    """What this process can still do of what a confined one must not; tries each."""
    tried: dict[str, Callable[[], object]] = {
        "open a file": lambda: os.close(os.open("/", os.O_RDONLY)),
        "open a socket": lambda: socket.socket().close(),
        "start a process": _fork,
        "signal a process": lambda: os.kill(os.getppid(), 0),
    }
    return tuple(what for what, attempt in tried.items() if _works(attempt))


def _works(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _fork() -> None:
    if child := os.fork():
        os.waitpid(child, 0)
    else:
        os._exit(0)


def _limit(what: int, soft: int, hard: int) -> None:
    """Set a limit, or keep the stricter one that the machine's owner has set."""
    _, ceiling = resource.getrlimit(what)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(what, (soft, hard))


def _mapped_bytes() -> int:
    """Address space in use, which counts the shared libraries that every process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
