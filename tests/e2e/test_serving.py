"""A server that the tests here start ends with them, also where it never says that it listens."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BEGIN = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); "
LISTENS = "print('running on http://127.0.0.1:9', flush=True); time.sleep(60)"
STAMMERS = "sys.stdout.buffer.write(b'\\xff'); sys.stdout.flush(); time.sleep(60)"
ENDS = "print('no port is free')"


@pytest.fixture
def start(serving: Callable[..., Any], tmp_path: Path) -> Callable[[str], Any]:
    """Code in; the process that runs it writes its id into the file pid."""
    return lambda code: serving([sys.executable, "-c", BEGIN + code, str(tmp_path / "pid")], tmp_path / "log")


def is_there(tmp_path: Path) -> bool:
    return Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


def test_it_ends_with_the_block(start: Callable[[str], Any], tmp_path: Path) -> None:
    with start(LISTENS) as address:
        assert address == "http://127.0.0.1:9"
        assert is_there(tmp_path)
    assert not is_there(tmp_path)


def test_it_ends_where_its_address_cannot_be_read(start: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(UnicodeDecodeError), start(STAMMERS):
        pass
    assert not is_there(tmp_path)


def test_one_that_ends_by_itself_says_why(start: Callable[[str], Any]) -> None:
    with pytest.raises(AssertionError, match="no port is free"), start(ENDS):
        pass
