"""Are frames faster each alone on a core, or each on all cores?

The graph of a backbone in (`MODELS/inception-v3/fp32/model.onnx`; an untrained one takes as long), a Markdown
row for each way and number of requests in flight out: p50 / p95 in ms of a request of so many frames, frames
a second of all requests together, and the most memory that the process ever held. One at a time is what an
editor feels on an idle machine, eight are a busy one. The ways take turns, each in a process of its own.
"""

import argparse
import os
import re
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rows import p50_p95, table

from model.runtime.accelerator import Accelerator
from model.runtime.graph_network import GraphNetwork
from model.runtime.session import open_session

IN_FLIGHT = (1, 8)
COLUMNS = ("session", "in flight", "requests", "request, ms", "frames/s", "peak, MB")


class Way:
    """A network in a process of its own."""

    network: GraphNetwork  # there
    frames: np.ndarray

    @classmethod
    def open(cls, graph: Path, threads: int, frames: int) -> None:
        """Open and warm the network, draw the frames of a request."""
        (x,) = open_session(graph, Accelerator("cpu")).inputs
        drawn = np.random.default_rng(0).standard_normal((frames, *(each or 1 for each in x.shape[1:])))
        cls.frames = drawn.astype(x.dtype)
        cls.network = GraphNetwork(graph, Accelerator("cpu", threads=threads))
        cls.network.warm()

    @classmethod
    def ask(cls, in_flight: int) -> tuple[float, list[float]]:
        """Wall seconds of as many requests as are in flight, and those of each."""

        def timed(_: int) -> float:
            began_s = time.perf_counter()
            cls.network(cls.frames)
            return time.perf_counter() - began_s

        began_s = time.perf_counter()
        with ThreadPoolExecutor(in_flight) as requests:
            spent_s = list(requests.map(timed, range(in_flight)))
        return time.perf_counter() - began_s, spent_s

    @classmethod
    def peak_mb(cls) -> float:
        """The most that the process ever held."""
        return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


def measure(graph: Path, ways: dict[str, int], in_flight: int, rounds: int, frames: int) -> list[list[str]]:
    """The cells of each way."""
    with ExitStack() as stack:
        processes = {}
        for name, threads in ways.items():
            given = (graph, threads, frames)
            pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=Way.open, initargs=given)
            processes[name] = stack.enter_context(pool)
        for process in processes.values():
            process.submit(Way.ask, in_flight).result()  # warms its threads
        found: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in processes}
        for _ in range(rounds):
            for name, process in processes.items():
                found[name].append(process.submit(Way.ask, in_flight).result())
        return [
            [
                name,
                str(in_flight),
                str(rounds * in_flight),
                p50_p95([1000 * s for _, each in found[name] for s in each]),
                f"{rounds * in_flight * frames / sum(wall_s for wall_s, _ in found[name]):.1f}",
                f"{process.submit(Way.peak_mb).result():.0f}",
            ]
            for name, process in processes.items()
        ]


def main() -> None:
    """Print the table."""
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("graph", type=Path, help="the model.onnx of a backbone")
    parser.add_argument("--frames", type=int, default=15, help="of a request; default 15")
    parser.add_argument("--rounds", type=int, default=10, help="default 10")
    given = parser.parse_args()
    ways = {f"1 thread, {cores} runs at once": 1, f"{cores} threads, 1 run at once": cores}
    rows = []
    for in_flight in IN_FLIGHT:
        rows += measure(given.graph, ways, in_flight, given.rounds, given.frames)
    table(COLUMNS, rows, ("numpy", "onnxruntime"))


if __name__ == "__main__":
    main()
