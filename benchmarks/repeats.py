"""How many repeats of one question a second does a server look up, with the same 1 MB raw body each time?

A store and a clip in, a Markdown row out. Clients are connections of this machine, which shares its cores
with the server; each sends as soon as it has its answer.
"""

import argparse
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rows import p50_p95, serve, table

BODY_BYTES = 1_000_000


def repeat(port: int, body: bytes, until_s: float) -> list[float]:
    """The ms of each request for the same on one open connection, until then.

    Raises:
        ConnectionError: if an answer was not looked up.
    """
    head = "POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
    request, took_ms = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body, []
    address = ("127.0.0.1", port)
    with socket.create_connection(address, timeout=60) as connection, connection.makefile("rb") as answers:
        while (began_s := time.perf_counter()) < until_s:
            connection.sendall(request)
            status, found = answers.readline(), {}
            while (line := answers.readline().lower()).strip():
                name, _, value = line.partition(b":")
                found[name] = value.strip()
            if b" 200 " not in status or found.get(b"x-yuyin-cache") != b"hit":
                raise ConnectionError(f"not looked up: {status.decode()!r}, {found}")
            answers.read(int(found[b"content-length"]))
            took_ms.append((time.perf_counter() - began_s) * 1000)
    return took_ms


def repeats(port: int, body: bytes, clients: int, seconds: float) -> list[float]:
    """The same of several at once; raises what was raised in any of them."""
    until_s = time.perf_counter() + seconds
    with ThreadPoolExecutor(clients) as pool:
        asked = [pool.submit(repeat, port, body, until_s) for _ in range(clients)]
    return [took_ms for one in asked for took_ms in one.result()]


def measure(port: int, body: bytes, clients: int, seconds: float) -> list[str]:
    """The cells of a row."""
    took_ms = repeats(port, body, clients, seconds)
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
