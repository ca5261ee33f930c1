"""Two writers never: within a process, between processes, and free again when the holder dies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from index_builder.lease import lease, pointer
from model.errors import StoreLocked


def test_second_writer_is_told_who_holds_it(tmp_path: Path) -> None:
    with lease(tmp_path / "store"), pytest.raises(StoreLocked, match=str(os.getpid())):
        lease(tmp_path / "store").__enter__()
    with lease(tmp_path / "store"):
        pass


def test_the_pointer_lock_is_another(tmp_path: Path) -> None:
    with lease(tmp_path), pointer(tmp_path):
        pass


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from index_builder.lease import lease\n"
        f"with lease(Path({str(tmp_path)!r})):\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked, match=str(holder.pid)):
            lease(tmp_path).__enter__()
        holder.kill()
    with lease(tmp_path):
        pass
