"""A process in, the name under which it holds leases out; and whether a name's process is surely dead.

A lease that ran out shows that its holder is dead or hung, after some seconds. On the same machine a look
into /proc shows it at once, so that what a killed server left open need not wait for that.
"""

import hashlib
import os
import socket
from pathlib import Path


def me() -> str:
    """HOST:PID:BIRTH:MACHINE of this process; no other process has had it, or will have it."""
    return f"{socket.gethostname()}:{os.getpid()}:{_birth(os.getpid())}:{_machine()}"


def surely_dead(holder: str) -> bool:
    """Whether the process called `holder` has ended; False if it lives, or where nobody here can tell."""
    parts = holder.rsplit(":", 3)
    if len(parts) != 4 or parts[3] != _machine() or not parts[1].isdigit():
        return False
    return _birth(int(parts[1])) != parts[2]


def _birth(pid: int) -> str:
    """When a process started, in clock ticks since boot: tells it from a later one with its number."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return "none"
    return "none" if state == "Z" else rest[18]  # a zombie only waits for its parent to look


def _machine() -> str:
    """One boot of one kernel and one space of process numbers: containers on a host differ."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot, space = socket.gethostname(), str(os.getuid())
    return hashlib.sha256(f"{boot} {space}".encode()).hexdigest()[:12]
