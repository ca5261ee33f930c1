"""How soon is the service ready, and how much memory does it hold?

A store and a clip in, a Markdown row out: seconds from the start of `yuyin serve` to the first 200 of
/readyz, and MB of the server with its fork server, RSS (all pages) and PSS (shared pages once), before and
after requests.
"""

import argparse
import statistics
from pathlib import Path

from rows import p50_p95, serve, table


def measure(store: Path, clip: Path, runs: int, requests: int) -> list[str]:
    """Start, ask and stop the server `runs` times; medians of the memory, p50 / p95 of the start."""
    body = clip.read_bytes()
    ready_s: list[float] = []
    idle: list[tuple[float, float]] = []
    used: list[tuple[float, float]] = []
    for _ in range(runs):
        with serve(store) as server:
            ready_s.append(server.ready_s)
            idle.append(server.memory_mb())
            for _ in range(requests):
                server.post("/v1/recommend", body)
            used.append(server.memory_mb())
    return [str(runs), p50_p95(ready_s, 2), _mb(idle), _mb(used)]


def _mb(found: list[tuple[float, float]]) -> str:
    rss, pss = (statistics.median(values) for values in zip(*found, strict=True))
    return f"{rss:.0f} / {pss:.0f}"


def columns(requests: int) -> list[str]:
    """Of the cells of `measure`."""
    after = f"after {requests} requests, RSS / PSS MB"
    return ["starts", "ready, p50 / p95 s", "idle, RSS / PSS MB", after]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store with a current snapshot, such as the demo's")
    parser.add_argument("clip", type=Path, help="a short video to ask with")
    parser.add_argument("--runs", type=int, default=5, help="starts; default 5")
    parser.add_argument("--requests", type=int, default=50, help="per start; default 50")
    given = parser.parse_args()
    cells = measure(given.store, given.clip, given.runs, given.requests)
    table([*columns(given.requests), "clip"], [[*cells, given.clip.name]])


if __name__ == "__main__":
    main()
