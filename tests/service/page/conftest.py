"""A running service with the tiny store and the demo's cuts."""

from pathlib import Path
from typing import Any

import pytest

from model.bundle import shipped_cuts
from service.settings import Settings


@pytest.fixture
def shop(live: Any, built_store: Path) -> str:
    """The address of a service with the tiny store and the demo's cuts."""
    return str(live(Settings(store=built_store, samples=shipped_cuts())).url)
