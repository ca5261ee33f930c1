"""How many repeats of one question a second does a server look up, with the same 1 MB raw body each time?

A store and a clip in, a Markdown row out. Clients are connections of this machine, which shares its cores
with the server; each sends as soon as it has its answer.
"""

import argparse
import statistics
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

from rows import p50_p95, serve, table

BODY_BYTES = 1_000_000


def repeat(port: int, body: bytes, until_s: float, took_ms: list[float]) -> None:
    """Ask the same on one connection until then; raises AssertionError unless each answer was looked up."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/octet-stream"}
    while time.perf_counter() < until_s:
        began_s = time.perf_counter()
        connection.request("POST", "/v1/recommend", body, headers)
        answer = connection.getresponse()
        answer.read()
        assert (answer.status, answer.headers["X-YuYin-Cache"]) == (200, "hit"), answer.status
        took_ms.append((time.perf_counter() - began_s) * 1000)
    connection.close()


def measure(port: int, body: bytes, clients: int, seconds: float) -> list[str]:
    """The cells of a row."""
    took_ms: list[float] = []
    until_s = time.perf_counter() + seconds
    threads = [threading.Thread(target=repeat, args=(port, body, until_s, took_ms)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = len(took_ms) / seconds
    return [
        str(clients),
        f"{seconds:g}",
        f"**{rate:.0f}**",
        p50_p95(took_ms, 2),
        f"{statistics.mean(took_ms):.2f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path, help="a store with a current snapshot, such as the demo's")
    parser.add_argument("clip", type=Path, help="a video of at most 1 MB: it is filled up to that")
    parser.add_argument("--seconds", type=float, default=10.0, help="per row; default 10")
    given = parser.parse_args()
    body = given.clip.read_bytes().ljust(BODY_BYTES, b"\0")
    with serve(given.store, cached=True) as server:
        server.post("/v1/recommend", body)
        rows = [measure(server.port, body, clients, given.seconds) for clients in (1, 2, 4, 8)]
    table(["clients", "s", "repeats/s", "p50 / p95, ms", "mean, ms"], rows)


if __name__ == "__main__":
    main()
