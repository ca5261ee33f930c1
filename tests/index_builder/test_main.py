"""What the service starts: JSON lines on standard output, an exit status, a clean end when told to stop."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from index_builder.lease import lease
from index_builder.snapshot import current, gc


def command(store: Path, pool: Path, bundle: Path, *more: str) -> list[str]:
    arguments = ["build", "--store", str(store), "--pool", str(pool), "--bundle", str(bundle), *more]
    return [sys.executable, "-P", "-m", "index_builder", *arguments]


def told(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_build_tells_how_it_goes(store: Path, pool: Path, bundle: Path) -> None:
    done = subprocess.run(command(store, pool, bundle), capture_output=True, text=True, check=False)
    *progress, last = told(done.stdout)
    assert done.returncode == 1  # broken.mp3 was left out
    assert done.stderr == ""
    assert {event["event"] for event in progress} == {"progress"}
    assert set(progress[0]) == {"event", "stage", "done", "total", "progress", "eta_s"}
    assert (last["event"], last["snapshot"]) == ("done", current(store))
    assert last["skipped"][1]["name"] == "broken.mp3"


def test_bad_input_and_a_locked_store_have_their_own_end(store: Path, pool: Path, bundle: Path) -> None:
    done = subprocess.run(
        command(store, pool / "nowhere", bundle), capture_output=True, text=True, check=False
    )
    assert (done.returncode, told(done.stdout)[-1]["code"]) == (2, "bad_pool")
    with lease(store):
        done = subprocess.run(command(store, pool, bundle), capture_output=True, text=True, check=False)
    assert (done.returncode, told(done.stdout)[-1]["code"]) == (1, "store_locked")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_told_to(
    tmp_path: Path, pool: Path, bundle: Path, signal_number: signal.Signals
) -> None:
    store = tmp_path / "store"
    with subprocess.Popen(command(store, pool, bundle), stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            if json.loads(line)["stage"] == "embed":
                break
        time.sleep(0.3)  # the workers start
        workers = _children(child.pid)
        child.send_signal(signal_number)
        last = told(child.stdout.read())[-1]
        assert (child.wait(), last["event"], last["code"]) == (1, "error", "cancelled")
        assert child.stderr.read() == ""
    assert workers
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    assert current(store) is None
    assert gc(store).leftovers <= 2  # a worker that was stopped in the middle of a preview


def test_it_ends_when_nobody_listens(store: Path, pool: Path, bundle: Path) -> None:
    with subprocess.Popen(command(store, pool, bundle), stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(timeout=60) == 1
    with lease(store):
        pass


def _children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(entry.name))
    return found
