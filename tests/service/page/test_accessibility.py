"""What axe-core finds on each state of the page, in both colours; and what a keyboard reaches."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from model.bundle import shipped_cuts
from service.edge.keys import new_key
from service.settings import KeyEntry, Settings

Visit = Callable[..., Page]


def findings(page: Page) -> list[str]:
    """Serious and critical ones, each with the element; axe adds styles, which the page's policy forbids."""
    page.wait_for_timeout(250)  # colours fade in
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("colours", ["dark", "light"])
def test_no_state_of_the_page_has_a_serious_fault(
    visit: Visit, live: Any, built_store: Path, tmp_path: Path, colours: str
) -> None:
    url = live(Settings(store=built_store, samples=shipped_cuts())).url
    page = visit(url, color_scheme=colours, bypass_csp=True)
    expect(page.locator(".samples button").first).to_be_visible()
    assert findings(page) == []
    page.locator(".samples button").first.click()
    expect(page.locator("#tracks canvas").first).to_be_visible()
    page.locator("#begin").click()
    page.locator("#open-filters").click()
    page.locator(".chip").first.click()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    assert findings(page) == []
    page.get_by_role("button", name="Shortcuts").click()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Another cut").click()
    wrong = tmp_path / "empty.mp4"
    wrong.touch()
    page.set_input_files("#file", wrong)
    expect(page.locator("#message")).to_contain_text("This file is empty")
    assert findings(page) == []


def test_nor_has_the_form_for_the_key(visit: Visit, live: Any, built_store: Path) -> None:
    keys = {"editor": KeyEntry(sha256=new_key()[1])}
    page = visit(live(Settings(store=built_store, keys=keys)).url, bypass_csp=True)
    expect(page.get_by_label("API key")).to_be_focused()
    assert findings(page) == []


def test_a_keyboard_alone_is_enough(visit: Visit, shop: str) -> None:
    page = visit(shop)
    expect(page.locator(".samples button").first).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.closest('.samples') !== null"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#tracks .hear").first).to_be_visible()
    page.keyboard.press("Space")
    expect(page.locator(".current .rank")).to_have_text("1")
    page.wait_for_function("() => !document.querySelector('#picture').paused")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(page.locator(".current .rank")).to_have_text("2")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.className || document.activeElement.id"))
    assert {"hear", "wave", "seek", "music-level", "own-level"} <= reached
