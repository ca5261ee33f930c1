import math
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.datasets.workers import as_ready
from model.errors import BadOptions


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_job_gives_its_own_result(processes: int, count: int) -> None:
    found = dict(as_ready(math.exp2, range(count), processes))  # a worker cannot import a test's functions
    assert found == {number: 2.0**number for number in range(count)}


def test_a_process_that_the_system_ends_is_one_sentence() -> None:
    harmless, deadly = signal.SIGCONT, signal.SIGKILL
    with pytest.raises(BadOptions, match="fewer --processes") as refused:
        list(as_ready(signal.raise_signal, [harmless, harmless, deadly, harmless], 2))
    assert "No module" not in "".join(traceback.format_exception(refused.value))


SLEEPERS = """
import os, signal, sys, time
from model.datasets.workers import as_ready

def doze(x):
    os.write(1, b"begun\\n")
    time.sleep(60)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, HANDLER)
    try:
        list(as_ready(doze, range(4), 2))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_ctrl_c_ends_the_workers_without_a_word(tmp_path: Path) -> None:
    with _interrupted(tmp_path, "signal.default_int_handler") as parent:
        _, said = parent.communicate(timeout=40)  # a worker that goes on sleeps for 60 s
    assert (parent.returncode, said) == (130, "")


def test_who_was_started_deaf_to_ctrl_c_goes_on(tmp_path: Path) -> None:
    """As a shell starts what stands before an ampersand."""
    with _interrupted(tmp_path, "signal.SIG_IGN") as parent:
        with pytest.raises(subprocess.TimeoutExpired):
            parent.wait(3)
        os.killpg(parent.pid, signal.SIGKILL)


@contextmanager
def _interrupted(folder: Path, handler: str) -> "Iterator[subprocess.Popen[str]]":
    """Two workers asleep and their parent, all of whom Ctrl-C has just reached."""
    script = folder / "sleepers.py"
    script.write_text(SLEEPERS.replace("HANDLER", handler))
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
        os.killpg(parent.pid, signal.SIGINT)
        yield parent
