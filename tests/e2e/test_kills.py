"""`kill -9` of any one process under light load: only what was inside it fails, and all is whole in 5 s."""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SECONDS = 40.0
PAUSE_S = 2.0  # of work between two kills
WHOLE_S = 5.0  # issue 6; on a machine with other work on all cores it took longer once
CALLERS = 3
KINDS = ("decoder", "service process", "worker", "redis", "service process", "decoder", "redis", "worker")


@dataclass
class Seen:
    """All requests and all kills, on one clock."""

    said: list[tuple[float, float, Any]] = field(default_factory=list)  # began, ended, what came of it
    kills: list[tuple[float, str]] = field(default_factory=list)

    def excused(self, began_s: float, ended_s: float, said: Any) -> bool:
        """Whether a request was in a process that was killed."""
        during = {kind for at_s, kind in self.kills if began_s <= at_s <= ended_s}
        if said.status == 0:
            return "service process" in during
        return said.code == "video_too_costly" and "decoder" in during


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_any_process_may_be_killed_at_any_time(
    benchmark_module: Any, shared_data: Path, tmp_path: Path
) -> None:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine: apt-get install redis-server")
    fleet, callers, load = (benchmark_module(name) for name in ("fleet", "callers", "load"))
    media = shared_data / "video"
    stock = fleet.make_stock(tmp_path)
    crowd = callers.Crowd.of(media, stock, load.references(stock, media))
    seen, stop = Seen(), threading.Event()
    with fleet.fleet(tmp_path, stock) as running:
        port = running.serve(processes=2)
        running.start_worker().said("the worker waits for jobs")
        fleet.wait_until(lambda: whole(fleet, running, port))

        def keep_calling(seed: int) -> None:
            caller = callers.Caller(port, seed, crowd)
            while not stop.is_set():
                began_s = time.monotonic()
                said = caller.call_well()
                seen.said.append((began_s, time.monotonic(), said))

        threads = [threading.Thread(target=keep_calling, args=(seed,)) for seed in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            took_s = kill_and_mend(fleet, running, port, seen)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    failed = [one for one in seen.said if one[2].status != 200 or one[2].fault]
    assert [one[2] for one in failed if not seen.excused(*one)] == []
    assert len(failed) <= CALLERS * sum(kind in ("service process", "decoder") for _, kind in seen.kills)
    assert sum(said.status == 200 for _, _, said in seen.said) > 10 * len(took_s)
    assert max(took_s) < WHOLE_S
    assert {kind for _, kind in seen.kills} == set(KINDS)


def kill_and_mend(fleet: Any, running: Any, port: int, seen: Seen) -> list[float]:
    """Kill one after another, in a random order that holds all kinds; returns the s until all was whole."""
    took_s: list[float] = []
    rng, until_s = random.Random(6), time.monotonic() + SECONDS
    while time.monotonic() < until_s or len(took_s) < len(KINDS):
        if len(took_s) % len(KINDS) == 0:
            order = rng.sample(KINDS, len(KINDS))
        time.sleep(rng.uniform(0, PAUSE_S))
        mend = Killing(fleet, running, rng).of(order[len(took_s) % len(KINDS)], seen)
        mend()
        took_s.append(fleet.wait_until(lambda: whole(fleet, running, port), 60, seen.kills[-1]))
        print(f"whole {took_s[-1]:.1f} s after the end of: {seen.kills[-1]}")
        assert fleet.ask(port, "/livez").status == 200
    return took_s


@dataclass(frozen=True)
class Killing:
    fleet: Any
    running: Any
    rng: random.Random

    def of(self, kind: str, seen: Seen) -> Callable[[], object]:
        """Kill one of this kind; returns how it is started again where nobody else does that."""
        match kind:
            case "worker":
                self._kill(self.running.worker.pid, kind, seen)
                self.running.worker.process.wait()
                return lambda: self.running.start_worker().said("the worker waits for jobs")
            case "redis":
                self._kill(self.running.redis.pid, kind, seen)
                self.running.redis.process.wait()
                time.sleep(self.rng.uniform(0, 1.5))  # requests are answered meanwhile
                return lambda: self.running.start_redis()
            case "decoder":
                self.fleet.wait_until(self.running.decoders)
                with suppress(IndexError):
                    self._kill(self.rng.choice(self.running.decoders()), kind, seen)
            case _:
                self._kill(self.rng.choice(self.running.service_processes()), kind, seen)
        return lambda: None

    def _kill(self, pid: int, kind: str, seen: Seen) -> None:
        seen.kills.append((time.monotonic(), kind))
        with suppress(ProcessLookupError):  # a decoder that was done
            os.kill(pid, signal.SIGKILL)
        self.fleet.wait_until(lambda: not self.fleet.alive(pid))  # else all may look whole before it is dead


def whole(fleet: Any, running: Any, port: int) -> bool:
    """Two service processes that have started, and whoever answers says that all is well."""
    (server,) = running.servers
    started = len(server.lines("Application startup complete."))
    if len(running.service_processes()) != 2 or started != len(server.lines("a service process starts")):
        return False
    for _ in range(6):
        answer = fleet.ask(port, "/readyz", timeout_s=5)
        if answer.status != 200 or answer.json["status"] != "ready":
            return False
    return True
