"""Fixtures that every test may use: real media, and the system's Chromium."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real media beside the checkout; see its README for licences."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no ../shared/data beside this checkout: the checks on real media cannot run")
    return SHARED_DATA


# Without these Chromium looks for its maker's hosts; without a GPU and as root the first two are needed.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Skips where there is none, unless YUYIN_NEED_BROWSER says that there must be (CI on Debian does).

    Of one module, not of the session: while Playwright runs, its event loop counts as this thread's, and
    `asyncio.run` of any test after it would fail.
    """
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        reason = "no Chromium on this machine: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("YUYIN_NEED_BROWSER") else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: "Browser") -> Iterator[Callable[..., Any]]:
    """Opens an address; afterwards no page may have raised an error or asked another host for anything."""
    pages: list[tuple[Any, str, list[str]]] = []

    def open_page(url: str, *, width_px: int = 1280, height_px: int = 800, **context: Any) -> Any:
        viewport = {"width": width_px, "height": height_px}
        page = browser.new_context(base_url=url, viewport=viewport, **context).new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if _is_fault(said) else None)
        page.on("request", lambda asked: faults.append(asked.url) if _is_foreign(asked.url, url) else None)
        pages.append((page, url, faults))
        page.goto(url)
        return page

    yield open_page
    for page, _, faults in pages:
        page.context.close()
        assert faults == []


def _is_fault(said: Any) -> bool:
    """Refused requests are logged by the browser itself; the page has words for them."""
    return said.type == "error" and "Failed to load resource" not in said.text


def _is_foreign(asked: str, url: str) -> bool:
    return not asked.startswith((url, "blob:", "data:"))
