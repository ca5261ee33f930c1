"""A command in, its exit status out; it and all it started end as soon as whoever holds our stdin is gone.

Run as `python -m service.work.leash COMMAND...`. The server keeps the other end of the pipe: whether it
stops, crashes or is killed, the pipe closes, and a reindex with its worker processes does not outlive it.
A death signal (prctl) would reach only the direct child, and hangs on the thread that started it.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

GRACE_S = 2.0  # a builder may be killed at any point and lose nothing; this is for its temporary files


def _end_with_stdin() -> None:
    os.read(0, 1)  # nothing is ever written: this returns when the other end closes
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run `command` in a process group of its own."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, _stay)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    status = child.wait()
    os.killpg(0, signal.SIGTERM)  # workers that a crashed builder left behind
    return status if status >= 0 else 128 - status


def _stay(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM is ours to send to the group; a handler, unlike SIG_IGN, is not inherited by the command."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
