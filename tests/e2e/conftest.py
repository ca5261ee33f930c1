"""The demo's store, built once for all end-to-end tests, and the real clips that are played to it."""

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from index_builder.search import Match, rank
from index_builder.snapshot import Snapshot, current
from model.bundle import Bundle
from model.errors import MediaError
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from model.media.streams import VideoLimits, VideoRecipe, VideoStreams
from model.media.video import read_video
from yuyin.cli.demo import prepare

LIMITS = VideoLimits()
SHORTEST_S = 5.0
READY_WITHIN_S = 420  # the figure that counts is in the README; this bounds a shared machine


@dataclass(frozen=True)
class Shop:
    """A store that is ready to answer."""

    store: Path
    snapshot: Snapshot
    bundle: Bundle

    def features(self, video: VideoStreams) -> dict[str, Sequence]:
        return {name: extract(video) for name, extract in load_profile(self.bundle.profile).video.items()}

    def query(self, features: dict[str, Sequence]) -> NDArray[np.float32]:
        return self.bundle.embed_video(features)

    def top(self, features: dict[str, Sequence], length_s: float, k: int = 10) -> list[Match]:
        return rank(self.snapshot, self.query(features), length_s, top_k=k)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The demo as `yuyin demo` makes it: pool, index, bundle."""
    store = tmp_path_factory.mktemp("demo") / "store"
    prepare(store, processes=2)
    chosen = current(store)
    assert chosen is not None
    snapshot = Snapshot.open(store, chosen)
    return Shop(store, snapshot, Bundle.open(store / "bundles" / snapshot.bundle_id))


@pytest.fixture(scope="session")
def clips(shared_data: Path) -> dict[str, VideoStreams]:
    """Every real clip of at least 5 s that can be decoded, by name."""
    found: dict[str, VideoStreams] = {}
    for path in sorted((shared_data / "video").rglob("*")):
        if not path.is_file():
            continue
        try:
            video = read_video(path, VideoRecipe(), LIMITS)
        except MediaError:
            continue
        if video.info.duration_s >= SHORTEST_S:
            found[path.relative_to(shared_data).as_posix()] = video
    assert len(found) >= 15
    return found


@pytest.fixture(scope="session")
def serving() -> Callable[..., AbstractContextManager[str]]:
    """A server's command and a file for what it says in, its address out; the server ends with the block."""
    return _serving


@contextmanager
def _serving(command: list[str], log: Path, **given: Any) -> Iterator[str]:
    """Args: `given` goes to `Popen`."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, **given)
    try:
        yield _address(log, process)
    finally:
        process.terminate()
        try:
            status = process.wait(60)
        finally:
            process.kill()
            process.wait()
    assert status in (0, -signal.SIGTERM)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the server says that it listens, once it does."""
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text("utf-8"))
        if found:
            return found.group(1)
        time.sleep(0.2)
    raise AssertionError(log.read_text("utf-8"))


@pytest.fixture
def clip_bytes(shared_data: Path) -> bytes:
    """A short real advert."""
    clips = sorted((shared_data / "video" / "synthetic_ads").glob("*.mp4"))
    return min(clips, key=lambda path: path.stat().st_size).read_bytes()
