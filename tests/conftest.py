"""Fixtures that every test may use."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real media beside the checkout; see its README for licences."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside this checkout: the checks on real media cannot run")
    return SHARED_DATA
