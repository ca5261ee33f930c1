"""Settings in, several service processes on one port out, each started again when it dies.

They inherit one listening socket. What waits in its queue when a process dies is taken by the others, so that
only the requests inside that process fail; a port for each (SO_REUSEPORT) would drop its queue with it. Each
process reads its settings from a pipe that stays open: should this one be killed, the pipe closes, they end,
and the port is free for the next start. On another pipe each process says that its event loop turns; one that
falls silent is killed.
"""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.errors import BadOptions
from service.processes.listening import listen
from service.settings import Settings  # and no more of the service: this process is small

log = logging.getLogger("yuyin.service")

LOOK_S = 0.1
HUNG_S = 10.0  # without a pulse, once there was one; half a second apart otherwise
LATE_S = 15.0  # beyond the time to drain, for a process to end by itself
BAD_START = 2  # exit status of a process that would fail again just so
SOON_S = 10.0  # a process that dies younger than this is started again after a pause
PAUSES_S = (0.0, 0.5, 1.0, 2.0, 5.0)  # by how often it died so in a row


def check(settings: Settings) -> None:
    """Raise `BadOptions` unless so many processes may run."""
    if settings.processes > 1 and settings.redis_url is None:
        raise BadOptions(
            f"YUYIN_PROCESSES={settings.processes} needs YUYIN_REDIS_URL: limits, idempotency keys, jobs and "
            "notices of several processes meet only there; set it, or serve with one process"
        )


@dataclass(slots=True, eq=False)
class _Place:
    """One of the processes, whichever holds the place now."""

    child: "subprocess.Popen[str] | None" = None
    pulse: int | None = None  # our end of its pipe
    silent_looks: int | None = None  # since the last pulse; None before the first and after the last
    began_s: float = 0.0
    failures: int = 0
    start_at_s: float = field(default_factory=time.monotonic)

    @property
    def pause_s(self) -> float:
        """How long to wait before the next start."""
        return PAUSES_S[min(self.failures, len(PAUSES_S) - 1)]


class Supervisor:
    """Keeps `settings.processes` alive until it is told to stop."""

    def __init__(self, settings: Settings) -> None:
        check(settings)
        self._settings = settings
        self._stop = threading.Event()
        self._places = [_Place() for _ in range(settings.processes)]
        self._listening = listen(settings)
        self._metrics = Path(tempfile.mkdtemp(prefix="yuyin-metrics-"))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening[0].getsockname()[1])

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        log.info("serving", extra={"port": self.port, "processes": len(self._places)})
        status = 0
        while not self._stop.wait(LOOK_S):
            for place in self._places:
                if self._look(place) == BAD_START:
                    status = BAD_START
                    self._stop.set()
        self._end()
        return status

    def _look(self, place: _Place) -> int | None:
        """Start what is due; the exit status of what just ended."""
        now_s = time.monotonic()
        if place.child is None:
            if now_s >= place.start_at_s:
                self._try_to_start(place, now_s)
            return None
        status = place.child.poll()
        if status is None:
            _feel(place)
            return None
        _let_go(place)
        place.failures = place.failures + 1 if now_s - place.began_s < SOON_S else 0
        died = {"pid": place.child.pid, "status": status, "pause_s": place.pause_s}
        log.error("a service process died", extra=died)
        place.child, place.start_at_s = None, now_s + place.pause_s
        return status

    def _try_to_start(self, place: _Place, now_s: float) -> None:
        try:
            self._start(place)
            place.began_s = now_s
        except OSError as error:  # too many processes or files, too little memory: the others go on meanwhile
            place.failures += 1
            place.start_at_s = now_s + place.pause_s
            log.error("no service process can be started", exc_info=error, extra={"pause_s": place.pause_s})

    def _start(self, place: _Place) -> None:
        place.pulse, theirs = os.pipe()
        os.set_blocking(place.pulse, False)
        descriptors = (theirs, *(each.fileno() for each in self._listening))
        metrics_file = str(self._metrics / f"{self._places.index(place)}.json")
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "service.processes.process", metrics_file]
                + [str(each) for each in descriptors],
                stdin=subprocess.PIPE,
                pass_fds=descriptors,
                text=True,
                start_new_session=True,  # Ctrl-C reaches this process alone, which passes it on
            )
        except OSError:
            os.close(place.pulse)
            raise
        finally:
            os.close(theirs)
        assert child.stdin is not None
        with suppress(BrokenPipeError):  # it is dead already, which the next look finds
            child.stdin.write(json.dumps(_one_of(self._settings)) + "\n")
            child.stdin.flush()
        log.info("a service process starts", extra={"pid": child.pid})
        place.child, place.silent_looks = child, None

    def _end(self) -> None:
        """Let all finish what they are at, then end them."""
        for listening in self._listening:
            listening.close()
        places = [place for place in self._places if place.child is not None]
        for place in places:
            _let_go(place)
        children = [place.child for place in places if place.child is not None]
        end_s = time.monotonic() + self._settings.drain_s + LATE_S
        for child in children:
            try:
                child.wait(max(0.1, end_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(self._metrics, ignore_errors=True)


def _feel(place: _Place) -> None:
    """Kill a process whose event loop has not turned for `HUNG_S`.

    Counted in looks, not by the clock: a machine that was paused with all of us on it has missed neither.
    """
    assert place.child is not None
    assert place.pulse is not None
    try:
        felt = os.read(place.pulse, 4096)
        place.silent_looks = 0 if felt else None  # it has closed its end: it is about to end
    except BlockingIOError:
        if place.silent_looks is not None:
            place.silent_looks += 1
    if place.silent_looks is not None and place.silent_looks * LOOK_S > HUNG_S:
        log.error("a service process hangs", extra={"pid": place.child.pid})
        place.child.kill()
        place.silent_looks = None


def _let_go(place: _Place) -> None:
    assert place.child is not None
    assert place.child.stdin is not None
    assert place.pulse is not None
    with suppress(BrokenPipeError):  # it died before it had read its settings
        place.child.stdin.close()
    os.close(place.pulse)


def _one_of(settings: Settings) -> dict[str, Any]:
    """The settings of one process: its share of what the machine may have in flight, and the real address."""
    given = settings.model_dump(mode="json")
    if settings.redis_url is not None:
        given["redis_url"] = settings.redis_url.get_secret_value()  # a dump shows stars
    for bound in ("in_flight", "queue"):
        given[bound] = -(-given[bound] // settings.processes)
    return given
