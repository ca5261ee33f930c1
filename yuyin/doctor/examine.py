"""Groups of checks and a store in, the lines of a report out, each group in a process of its own.

A wheel that was built for another CPU ends its process with SIGILL, and a mount that is gone holds it for
ever: neither may end the doctor. A child answers check by check; the one during which it dies or falls
silent has failed, and another child goes on with those behind it.
"""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from yuyin.doctor import machine, media, runtime, serving, store
from yuyin.doctor.finding import INSTALL, Check, Finding, Group, Line

GROUPS = (machine.GROUP, media.GROUP, runtime.GROUP, serving.GROUP, store.GROUP, runtime.TRAINING_GROUP)
OPTIONAL = frozenset(group.name for group in GROUPS if group.optional)
SIDE_BY_SIDE = 3
MESSAGE_BYTES = 1 << 16


def examine(folder: Path, begun: Callable[[str], None], groups: tuple[Group, ...] = GROUPS) -> Iterator[Line]:
    """Every line, in the order of the groups.

    Args:
        folder: the store.
        begun: called with a group's name when its checks begin.
        groups: of `GROUPS`.
    """

    def lines(group: Group) -> list[Line]:
        begun(group.name)
        return list(_lines(group, folder))

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for several in pool.map(lines, groups):
            yield from several


def _lines(group: Group, folder: Path) -> Iterator[Line]:
    waiting = list(group.checks)
    while waiting:
        for finding in _findings(group.name, waiting, folder):
            name = waiting.pop(0).name
            if finding is not None:
                yield Line(group.name, name, **asdict(finding))


def _findings(group: str, checks: list[Check], folder: Path) -> Iterator[Finding | None]:
    """What one child finds; the last one is how it ended if that was before its time."""
    with _child(group, checks, folder) as (answers, process):
        for check in tuple(checks):
            answers.settimeout(check.limit_s)
            try:
                answer = answers.recv(MESSAGE_BYTES)
            except TimeoutError:
                yield Finding(check.unanswered, f"no answer in {check.limit_s:g} s", check.fix)
                return
            if not answer:
                yield Finding(check.unanswered, _death(process.wait()), check.fix)
                return
            found = json.loads(answer)
            if found and "raised" in found:
                yield Finding(check.unanswered, found["raised"], found["fix"] or check.fix)
                return
            yield Finding(**found) if found else None


@contextmanager
def _child(
    group: str, checks: list[Check], folder: Path
) -> Iterator[tuple[socket.socket, "subprocess.Popen[bytes]"]]:
    """A process that answers these checks one by one; killed if it still runs at the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    module = [sys.executable, "-P", "-m", "yuyin.doctor"]
    with ours:
        with theirs:
            process = subprocess.Popen(
                [*module, str(theirs.fileno()), str(folder), group, *(check.name for check in checks)],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # codecs talk; what a check has to say comes through the socket
            )
        try:
            yield ours, process
        finally:
            process.kill()
            process.wait()


def _death(code: int) -> str:
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    why = ": a library was built for another CPU" if -code == signal.SIGILL else ""
    return f"the check crashed ({how}{why})"


def _cure(error: BaseException) -> str:
    """What helps against an error wherever it is met; empty if that depends on the check."""
    if isinstance(error, ImportError):
        return INSTALL
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return "free some space for temporary files, or set TMPDIR to a folder that can be written"
    return ""


def answer_from(arguments: list[str]) -> None:
    """The child's whole life: descriptor, store, group and the names of its checks in, messages out."""
    descriptor, folder, group, *names = arguments
    answers = socket.socket(fileno=int(descriptor))

    def report(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        text = f"{kind.__name__}: {error}"[: MESSAGE_BYTES // 4]
        answers.send(json.dumps({"raised": text, "fix": _cure(error)}).encode())

    sys.excepthook = report  # whatever a check raises is its answer
    checks = {check.name: check for each in GROUPS if each.name == group for check in each.checks}
    for name in names:
        finding = checks[name].ask(Path(folder))
        answers.send(json.dumps(asdict(finding) if finding else None).encode())
