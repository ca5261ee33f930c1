"""Does the server's memory stay flat over thousands of requests of different lengths?

A store and a clip in, a Markdown row out: resident MB of the server with all its children after the first
hundred requests, at its most and at the end. It sends the first 2, 4, 7 and 11 s of the clip, made small, so
that the networks and not the decoder are what works.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from clips import make_short
from rows import Server, serve, table

WARM, EVERY = 100, 50
LENGTHS_S = (2, 4, 7, 11)


def watched(server: Server, bodies: list[bytes], requests: int, in_flight: int) -> list[float]:
    """MB between lots of `EVERY` requests, from the first `WARM` on."""
    found: list[float] = []
    with ThreadPoolExecutor(in_flight) as clients:
        for done in range(0, requests, EVERY):
            lot = [bodies[i % len(bodies)] for i in range(done, min(done + EVERY, requests))]
            list(clients.map(lambda body: server.post("/v1/recommend", body), lot))
            if done + EVERY >= WARM:
                found.append(server.memory_mb()[0])
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store with a current snapshot")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=4)
    given = parser.parse_args()
    with TemporaryDirectory() as folder, serve(given.store) as server:
        bodies = [path.read_bytes() for path in make_short(given.clip, Path(folder), LENGTHS_S)]
        found = watched(server, bodies, given.requests, given.in_flight)
    cells = [f"{given.requests}, {given.in_flight} in flight", *(f"{mb:.0f}" for mb in found[:1])]
    cells += [f"{max(found):.0f}", f"{found[-1]:.0f}", f"**{max(found) / found[0]:.3f}**"]
    table(["requests", f"after {WARM}, MB", "most, MB", "at the end, MB", "most / after the first"], [cells])


if __name__ == "__main__":
    main()
