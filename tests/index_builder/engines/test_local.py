"""Tasks against plain calls; tasks that kill, raise in or hang their process cost only themselves."""

import math
import operator
import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest

from index_builder.engines.local import Done, Lost, run

LIMIT_S = 60.0


def call(*tasks: Any, processes: int = 2, limit_s: float = LIMIT_S) -> dict[int, Done[Any, Any] | Lost[Any]]:
    """Outcome by place of the task."""
    places = {id(task): i for i, task in enumerate(tasks)}
    found = {}
    for outcome in run(operator.call, tasks, processes=processes, limit_s=limit_s):
        found[places[id(outcome.task)]] = outcome
    return found


@pytest.mark.parametrize(("count", "processes"), [(0, 2), (1, 3), (7, 2)])
def test_gives_what_plain_calls_give(count: int, processes: int) -> None:
    found = call(*(partial(math.sqrt, i) for i in range(count)), processes=processes)
    assert {i: one.value for i, one in found.items() if isinstance(one, Done)} == {
        i: math.sqrt(i) for i in range(count)
    }


def test_a_task_that_dies_costs_only_itself() -> None:
    tasks = [
        partial(math.sqrt, 4),
        partial(signal.raise_signal, signal.SIGKILL),
        partial(signal.raise_signal, signal.SIGSEGV),
        partial(os._exit, 3),
        partial(math.sqrt, -1),
        partial(math.sqrt, 9),
    ]
    found = call(*tasks)
    assert [getattr(found[i], "value", None) for i in (0, 5)] == [2.0, 3.0]
    reasons = [found[i].reason for i in (1, 2, 3, 4)]
    assert "SIGKILL" in reasons[0]
    assert "SIGSEGV" in reasons[1]
    assert "status 3" in reasons[2]
    assert "ValueError" in reasons[3]


def test_a_task_that_hangs_is_stopped() -> None:
    found = call(partial(time.sleep, 600), partial(math.sqrt, 4), limit_s=4.0)
    assert isinstance(found[0], Lost)
    assert "4 s" in found[0].reason
    assert isinstance(found[1], Done)


def test_a_worker_has_one_thread_for_arithmetic_and_cannot_read_our_input() -> None:
    found = call(partial(os.getenv, "OMP_NUM_THREADS"), partial(sys.stdin.isatty))
    assert found[0].value == "1"


def test_workers_end_when_their_engine_is_killed() -> None:
    """The engine runs in a script that comes from standard input: it has no importable `__main__`."""
    script = (
        "import operator, os, signal, sys\n"
        "from functools import partial\n"
        "from index_builder.engines.local import run\n"
        "tasks = [partial(os.getpid), partial(os.getpid)]\n"
        "for outcome in run(operator.call, tasks, processes=1, limit_s=60):\n"
        "    sys.stdout.write(f'{outcome.value}\\n'); sys.stdout.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=script, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    worker = int(done.stdout)
    until = time.monotonic() + 20
    while time.monotonic() < until and _runs(worker):
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - may vanish between the two
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"
