"""What of this machine's cores do concurrent requests get, and how unequal are their waits?

A store and a clip in, a Markdown row out: the CPU seconds of one request alone, the bound that they set
(cores / CPU seconds), the throughput with so many requests in flight as a share of that bound, and the
slowest request over the mean. Clients and server share the machine; the clients' own CPU time is noise.
"""

import argparse
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from clips import make_clips
from rows import Server, serve, table


def alone(server: Server, body: bytes, requests: int) -> tuple[float, float]:
    """CPU seconds and wall seconds of a request that nothing disturbs, means."""
    server.post("/v1/recommend", body)  # warms
    cpu_s, began_s = server.cpu_s(), time.perf_counter()
    for _ in range(requests):
        server.post("/v1/recommend", body)
    return (server.cpu_s() - cpu_s) / requests, (time.perf_counter() - began_s) / requests


def together(server: Server, body: bytes, requests: int, in_flight: int) -> tuple[float, list[float]]:
    """Requests a second, and the seconds that each one took."""

    def timed(_: int) -> float:
        began_s = time.perf_counter()
        server.post("/v1/recommend", body)
        return time.perf_counter() - began_s

    began_s = time.perf_counter()
    with ThreadPoolExecutor(in_flight) as clients:
        spent_s = list(clients.map(timed, range(requests)))
    return requests / (time.perf_counter() - began_s), spent_s


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store with a current snapshot")
    parser.add_argument("--make", type=Path, required=True, metavar="CLIP", help="15 s of 720p made of this")
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--in-flight", type=int, default=8)
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with TemporaryDirectory() as folder, serve(given.store) as server:
        body = make_clips(given.make, Path(folder))[0].read_bytes()
        cpu_s, wall_s = alone(server, body, 5)
        per_s, spent_s = together(server, body, given.requests, given.in_flight)
        memory_mb = server.memory_mb()[0]
    bound_per_s = cores / cpu_s
    cells = [
        f"{given.requests}, {given.in_flight} in flight",
        f"{cpu_s:.2f} / {wall_s:.2f}",
        f"{bound_per_s:.2f}",
        f"{per_s:.2f}",
        f"**{per_s / bound_per_s:.2f}**",
        f"{statistics.mean(spent_s):.2f}",
        f"**{max(spent_s) / statistics.mean(spent_s):.2f}**",
        f"{memory_mb:.0f}",
    ]
    columns = ["requests", "one alone, CPU / wall s", "bound, 1/s", "got, 1/s", "got / bound"]
    table([*columns, "mean, s", "slowest / mean", "RSS, MB"], [cells])


if __name__ == "__main__":
    main()
