"""A running service with the tiny store and the demo's cuts."""

from pathlib import Path
from typing import Any

import pytest

from model.bundle import shipped_cuts
from service.settings import Settings


@pytest.fixture
def shop(live: Any, store: Path) -> str:
    """The address of a service with the tiny store and the demo's cuts."""
    return str(live(Settings(store=store, samples=shipped_cuts())).url)


@pytest.fixture
def cut(tmp_path: Path, clip: bytes) -> Path:
    """4 s with one cut, as a file of the visitor's."""
    path = tmp_path / "rough cut.mp4"
    path.write_bytes(clip)
    return path
