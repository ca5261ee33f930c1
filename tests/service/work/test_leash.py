import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# a command that starts a worker of its own and, in `parent` mode, waits for ever
FAMILY = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(worker.pid, flush=True)
time.sleep(0 if sys.argv[1] == "leave" else 60)
sys.exit(7)
"""


def leash(*command: str) -> "subprocess.Popen[str]":
    start = [sys.executable, "-P", "-m", "service.work.leash", *command]
    return subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def gone(pid: int, within_s: float = 5.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":  # dead; whoever adopted it has not looked yet
            return True
        time.sleep(0.02)
    return False


def test_the_status_and_the_output_pass_through() -> None:
    with leash(sys.executable, "-c", "print('hello'); raise SystemExit(3)") as child:
        assert child.stdout is not None
        assert child.stdout.read() == "hello\n"  # not `communicate`: it would let go of stdin first
        assert child.wait(timeout=10) == 3


def test_everything_ends_when_the_holder_lets_go() -> None:
    with leash(sys.executable, "-c", FAMILY, "parent") as child:
        assert child.stdout is not None
        assert child.stdin is not None
        worker = int(child.stdout.readline())
        child.stdin.close()
        assert child.wait(timeout=10) != 0
    assert gone(worker)


def test_everything_ends_when_the_holder_is_killed() -> None:
    holder_code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-P", "-m", "service.work.leash", sys.executable, "-c", FAMILY, "parent"]
    start = [sys.executable, "-c", holder_code, *command]
    with subprocess.Popen(start, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pids = [int(holder.stdout.readline()), int(holder.stdout.readline())]
        os.kill(holder.pid, signal.SIGKILL)
        for pid in pids:
            assert gone(pid), pid


def test_what_the_command_leaves_behind_ends_too() -> None:
    with leash(sys.executable, "-c", FAMILY, "leave") as child:
        assert child.stdout is not None
        worker = int(child.stdout.readline())
        assert child.wait(timeout=10) == 7
    assert gone(worker)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_command_that_is_killed_fails(number: signal.Signals) -> None:
    code = f"import os; os.kill(os.getpid(), {int(number)})"
    with leash(sys.executable, "-c", code) as child:
        assert child.wait(timeout=10) == 128 + number
