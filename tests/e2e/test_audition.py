"""The demo's page as a visitor meets it: the composed pool, the shipped bundle, real cuts and broken files.

`make screenshot` lets the second test write the picture of the README.
"""

import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.slow

SYNC_MS = 40
CUTS = ("video/synthetic_ads/hat_01.mp4", "video/mmaction2/demo/demo.mp4", "video/torchcodec/nasa_13013.mp4")
WORDS = {
    "video/made/text_named.mp4": "This file is no video",
    "video/made/zero_bytes.mp4": "This file is empty",
    "video/media/mp4/sample_audio_only_15s.mp4": "There is no picture in this file",
    "video/media/drm/sample_fragmented_clearkey.mp4": "This video is protected",
    "video/media/mp4/sample_malformed_free_box.mp4": "This video cannot be read",
}


@pytest.fixture(scope="module")
def address(shop, serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    command = [sys.executable, "-m", "yuyin", "demo", "--port", "0", "--store", str(shop.store)]
    with serving(command, tmp_path_factory.mktemp("page") / "log") as address:
        yield address


def test_real_cuts_are_heard_in_step_and_broken_ones_are_explained(
    visit, address: str, shared_data: Path
) -> None:
    page = visit(address)
    for name in CUTS:
        page.set_input_files("#file", shared_data / name)
        expect(page.locator("#seen")).to_contain_text(Path(name).name, timeout=30_000)
        page.locator("#tracks .hear").first.click()
        page.wait_for_function("() => document.querySelector('#stage').dataset.driftMs !== ''")
        drift_ms = []
        for _ in range(20):
            time.sleep(0.15)
            shown = page.locator("#stage").get_attribute("data-drift-ms")
            drift_ms += [float(shown)] if shown else []
        middle, largest = statistics.median(drift_ms), max(map(abs, drift_ms))
        print(f"{name}: drift median {middle:.1f} ms, largest {largest:.1f} ms")
        assert len(drift_ms) >= 12
        assert abs(middle) <= SYNC_MS
        page.get_by_role("button", name="Another cut").click()
    for name, words in WORDS.items():
        page.set_input_files("#file", shared_data / name)
        expect(page.get_by_role("alert")).to_contain_text(words, timeout=30_000)
        assert "{" not in page.locator("main").inner_text()
        page.get_by_role("alert").get_by_role("button", name="Choose another cut").click()


def test_a_picture_of_the_page(visit, address: str, tmp_path: Path) -> None:
    page = visit(address, width_px=1440, height_px=860, color_scheme="dark")
    page.locator(".samples button").first.click()
    expect(page.locator("#tracks canvas").nth(5)).to_be_visible()
    page.locator("#tracks .hear").first.click()
    page.wait_for_function("() => document.querySelector('#picture').currentTime > 3.2")
    page.evaluate("() => document.activeElement.blur()")
    place = Path(os.environ.get("YUYIN_SCREENSHOT", tmp_path / "audition.png"))
    page.screenshot(path=place)
    assert place.read_bytes().startswith(b"\x89PNG")
    assert page.locator("#tracks .hear:visible").count() == 10
