"""One service process, started as `service.processes.supervisor` does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.settings import Settings


@contextmanager
def started(
    settings: Settings, metrics_file: Path, listening: socket.socket
) -> Iterator["subprocess.Popen[str]"]:
    """One whose metrics are there; left, nobody is there any more whom it serves."""
    felt, pulse = os.pipe()
    descriptors = (pulse, listening.fileno())
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "service.processes.process", *map(str, (metrics_file, *descriptors))],
        stdin=subprocess.PIPE,
        pass_fds=descriptors,
        text=True,
    )
    os.close(pulse)
    assert child.stdin is not None
    child.stdin.write(json.dumps(settings.model_dump(mode="json")) + "\n")
    child.stdin.flush()
    try:
        end_s = time.monotonic() + 60
        while not metrics_file.exists():
            assert child.poll() is None
            assert time.monotonic() < end_s, "no metrics come"
            time.sleep(0.02)
        yield child
        child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
        os.close(felt)


def test_whoever_ends_takes_its_metrics_along_and_the_last_orphan_their_folder(tmp_path: Path) -> None:
    settings = Settings(store=tmp_path / "store", processes=2)
    folder = tmp_path / "metrics"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with started(settings, folder / "0.json", listening) as drained:
            drained.send_signal(signal.SIGTERM)
            assert drained.wait(60) == -signal.SIGTERM
            assert list(folder.iterdir()) == []  # and the folder stays for the one that comes in its place
        with started(settings, folder / "0.json", listening):
            pass
    assert not folder.exists()
