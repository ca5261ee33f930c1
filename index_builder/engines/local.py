"""A function and tasks in, one outcome for each out, computed by processes of this machine.

Processes of our own rather than `concurrent.futures`: there, a worker that dies breaks every task in
flight and hides which one killed it; its workers outlive an engine that is killed (each holds the write
end of the queue it waits on); and they import the caller's `__main__`, which a notebook or a piped script
does not have. Here a worker is a bare interpreter with one socket: it ends when the engine does.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


_END: Any = object()  # no task is this


@dataclass(frozen=True, slots=True)
class Done(Generic[T, R]):
    """A task that gave a value."""

    task: T
    value: R


@dataclass(frozen=True, slots=True)
class Lost(Generic[T]):
    """A task that took its process with it."""

    task: T
    reason: str


class _Worker:
    """One process, idle or at one task."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `stop`
        command = [sys.executable, "-P", "-m", "index_builder.engines.worker", str(theirs.fileno())]
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
        )
        theirs.close()
        self.connection = Connection(ours.detach())

    def stop(self, *, kill: bool = False) -> str:
        """End the process and say how it ended."""
        self.connection.close()
        if kill:
            self._process.kill()
        status = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        self._said.close()
        if status < 0:
            return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}: {lines[-1] if lines else 'without a word'}"


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    """A worker at its task."""

    worker: _Worker
    task: T
    since_s: float

    def outcome(self, answered: bool, limit_s: float) -> Done[T, Any] | Lost[T]:
        """Read the answer; a worker without one is stopped."""
        if not answered:
            self.worker.stop(kill=True)
            return Lost(self.task, f"its process was stopped after {limit_s:g} s")
        try:
            return Done(self.task, self.worker.connection.recv())
        except (EOFError, ConnectionResetError):
            return Lost(self.task, f"its process {self.worker.stop()}")


def run(
    function: Callable[[T], R], tasks: Iterable[T], *, processes: int, limit_s: float
) -> Generator[Done[T, R] | Lost[T]]:
    """Compute `function` of every task, in any order.

    Args:
        function: importable by name; its process has one thread for arithmetic.
        tasks: drawn one by one, when a process is free for it.
        processes: at most so many at once.
        limit_s: wall clock of one task, against hangs.

    Yields:
        One outcome a task. A task whose process dies, raises or hangs is `Lost`; the others go on.
    """
    waiting = iter(tasks)
    idle: list[_Worker] = []
    busy: list[_Job[T]] = []
    try:
        while True:
            while len(busy) < processes and (task := next(waiting, _END)) is not _END:
                busy.append(_start(function, task, idle))
            if not busy:
                return
            left_s = min(job.since_s for job in busy) + limit_s - time.monotonic()
            ready = wait([job.worker.connection for job in busy], max(0.0, left_s))
            late_s = time.monotonic() - limit_s
            for job in [j for j in busy if j.worker.connection in ready or j.since_s <= late_s]:
                busy.remove(job)
                outcome = job.outcome(job.worker.connection in ready, limit_s)
                if isinstance(outcome, Done):
                    idle.append(job.worker)
                yield outcome
    finally:
        for job in busy:
            job.worker.stop(kill=True)
        for worker in idle:
            worker.stop()


def _start(function: Callable[[T], Any], task: T, idle: list[_Worker]) -> _Job[T]:
    """Give a task to an idle worker, or to a new one."""
    worker = idle.pop() if idle else _Worker()
    try:
        worker.connection.send((function, task))
    except (BrokenPipeError, ConnectionResetError):  # it died at leisure, which is nobody's fault
        worker.stop(kill=True)
        worker = _Worker()
        worker.connection.send((function, task))
    return _Job(worker, task, time.monotonic())
