"""A function and its arguments in, results as they are ready out, on this many processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def as_ready(
    function: Callable[[Job], Result], jobs: Sequence[Job], processes: int
) -> Iterator[tuple[int, Result]]:
    """Run `function(job)` for every job: (number of the job, its result), in the order of completion.

    Processes are spawned, not forked: a fork of a process with threads may hang. One process, or one
    job, runs here and now. Jobs that have not begun are given up when the caller stops listening.
    """
    if processes <= 1 or len(jobs) <= 1:
        for number, job in enumerate(jobs):
            yield number, function(job)
        return
    with ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn")) as pool:
        number_of = {pool.submit(function, job): number for number, job in enumerate(jobs)}
        try:
            for future in as_completed(number_of):
                yield number_of[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
