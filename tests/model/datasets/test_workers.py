import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.datasets.workers import as_ready
from model.errors import BadOptions


def _square(x: int) -> int:
    return x * x


def _killed_at_three(x: int) -> int:
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_job_gives_its_own_result(processes: int, count: int) -> None:
    found = dict(as_ready(_square, range(count), processes))
    assert found == {number: number**2 for number in range(count)}


def test_a_process_that_the_system_ends_is_one_sentence() -> None:
    with pytest.raises(BadOptions, match="fewer --processes"):
        list(as_ready(_killed_at_three, range(6), 2))


SLEEPERS = """
import os, sys, time
from model.datasets.workers import as_ready

def doze(x):
    os.write(1, b"begun\\n")
    time.sleep(60)

if __name__ == "__main__":
    try:
        list(as_ready(doze, range(4), 2))
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_ctrl_c_ends_the_workers_without_a_word(tmp_path: Path) -> None:
    script = tmp_path / "sleepers.py"
    script.write_text(SLEEPERS)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        assert [parent.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
        began_s = time.monotonic()
        os.killpg(parent.pid, signal.SIGINT)
        _, said = parent.communicate(timeout=30)
    assert (parent.returncode, said) == (130, "")
    assert time.monotonic() - began_s < 20
