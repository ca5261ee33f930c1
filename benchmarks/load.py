"""Does the service stay right, honest and small under twice the load that it admits, with its index swapped?

A folder of real media in, a Markdown row out. Two service processes with Redis and a worker are called in a
closed loop by twice as many good and bad callers as have a place, and every 20 s another snapshot comes in
force, by activation or by a reindex. Every answer is compared with one that was worked out beforehand in this
process, every refusal has to be one that is promised; in the end memory, descriptors and files have to be
what they were after warming up. Whatever was not is listed; then the exit status is 1.
"""

import argparse
import json
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from callers import IDLE_S, MAX_BYTES, OPTIONS, Caller, Crowd, References, Said, lasting, short_clips
from fastapi.testclient import TestClient
from fleet import POOLS, Fleet, Stock, ask, children, descriptors, fleet, make_stock, resident_mb, wait_until
from rows import table

from service.app import create_app
from service.settings import Settings

PROCESSES = 2
IN_FLIGHT, QUEUE = 4, 4  # of both together
TIMES = 2  # callers for each place
SWAP_S = 20.0
PAUSE_S = 0.05  # of a caller between two requests; those who are refused do not wait as they are told to
WARM_SHARE = 0.3  # of the time, before memory is looked at for the first time
GROWN, SPARE_MB = 1.05, 4.0  # what a process may have grown by; the second is for the small ones
SETTLED_S = 30.0
METRICS = "yuyin-metrics-"  # the supervisor's folder, as long as it lives
SHOWN = 20  # faults that are printed


@dataclass
class Found:
    """What came of it, from all threads."""

    said: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    swaps: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, said: Said) -> None:
        """Count one answer."""
        with self._lock:
            self.said[f"{said.status} {said.code or said.kind}"] += 1
            if said.fault:
                self.faults.append(f"{said.kind}: {said.fault}")

    def swap(self, port: int, stock: Stock, number: int) -> None:
        """Swap, and count it or what went wrong."""
        try:
            self.swaps[swap(port, stock, number)] += 1
        except Exception as error:  # or the swaps would end here, and nobody would hear of it
            self.faults.append(f"swap: {error!r}")


def references(stock: Stock, media: Path) -> References:
    """Every good answer, by one service in this process that does one thing at a time."""
    found = {}
    for snapshot in stock.snapshots.values():
        (stock.store / "CURRENT").write_text(snapshot)
        app = create_app(Settings(store=stock.store))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            for name, clip in short_clips(media).items():
                for number, options in enumerate(OPTIONS):
                    asked = {"options": json.dumps(options)}
                    answer = client.post("/v1/recommend", content=clip, params=asked)
                    if answer.status_code != 200:
                        raise ValueError(f"{name}: {answer.text}")
                    found[name, number, snapshot] = lasting(answer.json())
    return found


def swap(port: int, stock: Stock, number: int) -> str:
    """Bring the other snapshot into force, in turn by activation and by a reindex; returns how."""
    pool = POOLS[number % 2]
    if number % 4 < 2:
        answer = ask(port, f"/admin/snapshots/{stock.snapshots[pool]}/activate", {})
        if answer.status != 200:
            raise ValueError(f"activate: {answer.status} {answer.body.decode()}")
        return "activate"
    answer = ask(port, "/admin/reindex", {"pool": pool})
    if answer.status != 202:
        raise ValueError(f"reindex: {answer.status} {answer.body.decode()}")
    place = answer.headers["location"]

    def ended() -> bool:
        return ask(port, place).json["state"] not in ("queued", "running")

    wait_until(ended, 120, "reindex")
    job = ask(port, place).json
    if job["state"] != "done":
        raise ValueError(f"reindex: {job}")
    return "reindex"


@contextmanager
def calling(port: int, crowd: Crowd, stock: Stock, found: Found, *, seed: int) -> Iterator[None]:
    """Callers and swaps, until the block ends; all have ended then."""
    stop = threading.Event()

    def call(number: int) -> None:
        caller = Caller(port, seed + number, crowd)
        while not stop.is_set():
            found.add(caller.call())
            stop.wait(PAUSE_S)

    def swap_now_and_then() -> None:
        number = 0
        while not stop.wait(SWAP_S):
            found.swap(port, stock, number)
            number += 1

    callers = TIMES * (IN_FLIGHT + QUEUE)
    threads = [threading.Thread(target=call, args=(number,)) for number in range(callers)]
    threads.append(threading.Thread(target=swap_now_and_then))
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@dataclass(frozen=True, slots=True)
class Held:
    """What one process has of its machine."""

    name: str
    resident_mb: float
    descriptors: int


def held(running: Fleet) -> dict[int, Held]:
    """Of every lasting process: service processes, their decoders' fork servers, supervisor, worker."""
    (server,) = running.servers
    names = {server.pid: "supervisor"}
    for one in children(server.pid):
        names[one] = "service process"
        names |= dict.fromkeys(children(one), "fork server")
    if running.worker is not None:
        names[running.worker.pid] = "worker"
    return {
        pid: Held(name, resident_mb(pid), descriptors(pid, running.redis.port)) for pid, name in names.items()
    }


def settle(port: int, stock: Stock) -> None:
    """The same snapshot in force, nothing at work, memory given back: work ends with that, once a second."""
    ask(port, f"/admin/snapshots/{stock.snapshots[POOLS[0]]}/activate", {})
    for _ in range(3):
        time.sleep(1.2)
        for _ in range(8 * PROCESSES):  # whichever process takes them
            ask(port, "/v1/recommend", b"no video", timeout_s=30)


def left_behind(running: Fleet, port: int, stock: Stock, before: dict[int, Held]) -> list[str]:
    """What is there that was not there before, once all has had time to end."""
    until_s = time.monotonic() + SETTLED_S
    while True:
        settle(port, stock)
        faults = list(_more(running, before))
        if not faults or time.monotonic() > until_s:
            return faults


def _more(running: Fleet, before: dict[int, Held]) -> Iterator[str]:
    after = held(running)
    if after.keys() != before.keys():
        yield f"processes {sorted(before)} before, {sorted(after)} after"
    for pid in after.keys() & before.keys():
        now, then = after[pid], before[pid]
        if now.resident_mb > then.resident_mb * GROWN + SPARE_MB:
            yield f"{now.name}: {then.resident_mb:.0f} MB after warming up, {now.resident_mb:.0f} at the end"
        if now.descriptors > then.descriptors:
            yield f"{now.name}: {then.descriptors} descriptors after warming up, {now.descriptors} at the end"
    names = [path.name for path in running.temporary.iterdir()]
    if files := [name for name in names if not name.startswith(METRICS)]:
        yield f"temporary files {files[:5]}"
    store = Path(running.servers[0].environment["YUYIN_STORE"])
    if parts := [path.name for path in store.rglob("*") if path.name.startswith(".part-")]:
        yield f"half-written files {parts[:5]}"


def call_for(minutes: float, running: Fleet, crowd: Crowd, stock: Stock) -> tuple[Found, list[str]]:
    """Warm up, look, call on, look again; returns a line for each process too."""
    found, seconds = Found(), minutes * 60
    port = running.serve(processes=PROCESSES)
    running.start_worker().said("the worker waits for jobs")
    with calling(port, crowd, stock, found, seed=0):
        time.sleep(seconds * WARM_SHARE)
    settle(port, stock)
    before = held(running)
    with calling(port, crowd, stock, found, seed=1000):
        time.sleep(seconds * (1 - WARM_SHARE))
    found.faults += left_behind(running, port, stock, before)
    after = held(running)
    lines = [
        f"{now.name} {before[pid].resident_mb:.0f} to {now.resident_mb:.0f} MB"
        for pid, now in after.items()
        if pid in before
    ]
    return found, lines


def main() -> int:
    """Print the table and every fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("media", type=Path, help="a folder of real files, with synthetic_ads/*.mp4 in it")
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args()
    with suppress(ValueError, OSError):  # a caller's connection each, in this process
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    settings = {
        "YUYIN_IN_FLIGHT": str(IN_FLIGHT),
        "YUYIN_QUEUE": str(QUEUE),
        "YUYIN_LIMITS__MAX_BYTES": str(MAX_BYTES),
        "YUYIN_UPLOAD_IDLE_S": str(IDLE_S),
    }
    with TemporaryDirectory() as folder:
        stock = make_stock(Path(folder))
        crowd = Crowd.of(given.media, stock, references(stock, given.media))
        with fleet(Path(folder), stock, **settings) as running:
            found, lines = call_for(given.minutes, running, crowd, stock)
            if found.faults and os.environ.get("YUYIN_KEEP_LOGS"):
                sys.stderr.write("\n".join(server.log.read_text() for server in running.servers))
    counted = ", ".join(f"{said} {count}" for said, count in found.said.most_common())
    swaps = ", ".join(f"{way} {count}" for way, count in sorted(found.swaps.items()))
    cells = [f"{given.minutes:g}", str(TIMES * (IN_FLIGHT + QUEUE)), counted, swaps, "; ".join(lines)]
    table(
        ["minutes", "callers", "answers", "swaps", "memory", "faults"], [[*cells, f"**{len(found.faults)}**"]]
    )
    print("\n".join(found.faults[:SHOWN]), file=sys.stderr)
    return 1 if found.faults or not found.swaps else 0


if __name__ == "__main__":
    sys.exit(main())
