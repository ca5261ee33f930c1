import hmac
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import Corrupt, Forbidden
from service.edge import links as module
from service.edge.links import Link, Links


def test_the_signature_is_an_hmac_of_expiry_and_id(tmp_path: Path) -> None:
    links = Links(tmp_path)
    link = links.sign("a/b ü")
    secret = (tmp_path / "media-links.key").read_bytes()
    assert link.signature == hmac.new(secret, f"{link.expires}\na/b ü".encode(), "sha256").hexdigest()
    links.check("a/b ü", link)


def test_an_hour_and_at_most_a_minute_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = Links(tmp_path)
    for now_s in (1_800_000_000.0, 1_800_000_059.9, 1_800_000_001.5):
        monkeypatch.setattr(module.time, "time", lambda now_s=now_s: now_s)
        link = links.sign("x")
        assert 3600 <= link.expires - now_s <= 3660
        monkeypatch.setattr(module.time, "time", lambda end=link.expires: end - 0.5)
        links.check("x", link)
        monkeypatch.setattr(module.time, "time", lambda end=link.expires: float(end))
        with pytest.raises(Forbidden, match="expired"):
            links.check("x", link)


@given(
    other=st.text(),
    shift=st.integers(-(2**40), 2**40),
    at=st.integers(0, 63),
    digit=st.sampled_from("0123456789abcdef"),
)
def test_nothing_else_opens(
    tmp_path_factory: pytest.TempPathFactory, other: str, shift: int, at: int, digit: str
) -> None:
    links = Links(tmp_path_factory.getbasetemp())
    link = links.sign("mine")
    forged = [
        ("mine", Link(link.expires + shift, link.signature)),
        (other, link),
        ("mine", Link(link.expires, link.signature[:at] + digit + link.signature[at + 1 :])),
        ("mine", Link(link.expires, other)),
    ]
    for track_id, attempt in forged:
        if (track_id, attempt) != ("mine", link):
            with pytest.raises(Forbidden):
                links.check(track_id, attempt)


def test_processes_that_start_at_once_agree_on_the_secret_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    start = "import sys, pathlib; from service.edge.links import Links"
    sign = f"{start}; l = Links(pathlib.Path(sys.argv[1])).sign('x')"
    command = [sys.executable, "-P", "-c", f"{sign}; print(l.expires, l.signature)", str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in running:
        expires, signature = process.communicate()[0].split()
        Links(tmp_path).check("x", Link(int(expires), signature))
    assert [file.name for file in tmp_path.iterdir()] == ["media-links.key"]
    assert stat.S_IMODE((tmp_path / "media-links.key").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "fault", ["no folder", "a folder in its place", "empty", "too short", "no hard links", "full disk"]
)
def test_a_secret_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    store = tmp_path / "missing" if fault == "no folder" else tmp_path
    file = store / "media-links.key"
    if fault == "a folder in its place":
        file.mkdir()
    elif fault in ("empty", "too short"):
        file.write_bytes(b"" if fault == "empty" else b"x" * 31)
    elif fault == "no hard links":

        def refuse(*_: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(module.os, "link", refuse)
    elif fault == "full disk":

        def fail(_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(module.os, "fsync", fail)
    before = set(tmp_path.iterdir())
    with pytest.raises(Corrupt, match=r"media-links\.key"):
        Links(store).sign("x")
    with pytest.raises(Corrupt, match=r"media-links\.key"):
        Links(store).check("x", Link(1, "00"))
    assert set(tmp_path.iterdir()) == before, "half a secret was left behind"


def test_a_secret_that_others_could_read_is_closed_to_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A backup that was put back without its rights."""
    link = Links(tmp_path).sign("x")
    file = tmp_path / "media-links.key"
    file.chmod(0o644)
    with caplog.at_level("WARNING"):
        Links(tmp_path).check("x", link)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [record.name for record in caplog.records] == ["yuyin.service"]
    assert file.read_bytes().hex() not in caplog.text
