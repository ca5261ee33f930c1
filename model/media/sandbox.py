"""Limits in, this process confined to them out; seccomp and namespaces, once there, go here too."""

import math
import os
import resource
import signal
from collections.abc import Collection
from pathlib import Path

from model.media.streams import VideoLimits

TOO_COSTLY = frozenset({signal.SIGXCPU, signal.SIGPROF, signal.SIGALRM, signal.SIGKILL, signal.SIGXFSZ})


def confine(limits: VideoLimits, keep: Collection[int]) -> None:
    """Take from this process, for good, what decoding one video does not need.

    Every descriptor but the standard ones and `keep` is closed: others' videos and answers among them.
    CPU time by two clocks (the interval timer knows fractions of a second, the resource limit cannot be put
    off), wall time by an alarm, memory above what the process has now, core dumps, and every new descriptor:
    no file and no socket can be opened from here on. Each clock ends the process by its signal's default
    action, in the kernel, whatever the decoder is busy with.
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
    _close_all_but(keep)
    _limit(resource.RLIMIT_NOFILE, 0, 0)


def _close_all_but(keep: Collection[int]) -> None:
    after = 3  # standard input, output and error
    for descriptor in (*sorted(keep), os.sysconf("SC_OPEN_MAX")):
        os.closerange(after, descriptor)
        after = descriptor + 1


def _limit(what: int, soft: int, hard: int) -> None:
    """Set a limit, or keep the stricter one that the machine's owner has set."""
    _, ceiling = resource.getrlimit(what)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(what, (soft, hard))


def _mapped_bytes() -> int:
    """Address space in use, which counts the shared libraries that every process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
