"""A key as it is made is a key that the server takes."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from model.errors import Forbidden
from service.edge.keys import load_keys
from service.settings import Settings


def made(*words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "yuyin", "keys", "new", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_what_is_printed_opens_what_was_asked_for(tmp_path: Path) -> None:
    status, said, _ = made("farm's own", "--scope", "admin", "--days", "30")
    assert status == 0
    key = re.findall(r"^key .*: (\S+)$", said, re.MULTILINE)[0]
    (tmp_path / "keys.json").write_text(
        re.findall(r"^for the server: YUYIN_KEYS='(.*)'$", said, re.MULTILINE)[0]
    )
    ring = load_keys(Settings(keys_file=tmp_path / "keys.json"))
    ring.require(key, "admin")
    with pytest.raises(Forbidden):
        ring.require(key, "recommend")
    assert ring.caller(key) == "farm's own"
    expires_at = ring.entries["farm's own"].expires_at
    assert expires_at is not None
    assert abs(expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=2)
    assert key not in json.dumps(ring.entries["farm's own"].model_dump(mode="json"))


@pytest.mark.parametrize("words", [("--scope", "root"), ("--days", "0"), ("--scope", "recommend,admin")])
def test_a_key_that_no_server_would_take_is_not_made(words: tuple[str, ...]) -> None:
    status, said, why = made("x", *words)
    assert (status, said) == (2, "")
    assert words[0] in why
