"""A function and its arguments in, results as they are ready out, on this many processes."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from model.errors import BadOptions

Job = TypeVar("Job")
Result = TypeVar("Result")


def as_ready(
    function: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[int, Result]]:
    """Run `function(job)` for every job: (number of the job, its result), in the order of completion.

    Processes are spawned, not forked: a fork of a process with threads may hang. One process, or one
    job, runs here and now. Jobs that have not begun are given up when the caller stops listening.

    Raises:
        BadOptions: if the system ended a process; of `processes` there are too many for the memory.
    """
    if processes <= 1 or len(jobs) <= 1:
        for number, job in enumerate(jobs):
            yield number, function(job)
        return
    with ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn"), _die_quietly) as pool:
        number_of = {pool.submit(function, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(number_of):
                yield number_of[future], future.result()
        except BrokenProcessPool as error:
            raise BadOptions(
                "the system ended a worker process, as it does when memory runs out: run it again with fewer "
                "--processes, what is finished is kept"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _die_quietly() -> None:
    """Ctrl-C reaches the workers too, unless all of us are deaf to it; the parent says what is to be said."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
