"""What goes wrong while somebody works on the audition page, and where the focus and the sound are then."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from service.settings import Settings

Visit = Callable[..., Page]

HEARD = "() => document.querySelector('#stage').dataset.driftMs !== ''"
SILENT = """() => [...document.querySelectorAll("audio")]
  .every((one) => one.paused || one.muted || one.volume === 0)"""
PROBLEM = {"code": "internal", "status": 500, "detail": "x", "request_id": "r"}
SYNC_MS = 40

# Notes for each frame how far each sound that is heard is from its row's moment under the picture.
WATCH = """() => {
  window.drifts_ms = [];
  const row = (audio) => [...document.querySelectorAll(".track")]
    .find((one) => decodeURIComponent(audio.src).includes(`/${one.dataset.trackId}/`));
  const look = () => {
    for (const audio of document.querySelectorAll("audio")) {
      if (audio.paused || audio.muted || audio.volume === 0) continue;
      const start_s = Number(row(audio).querySelector(".wave").getAttribute("aria-valuenow"));
      if (!picture.seeking) window.drifts_ms.push(1000 * (audio.currentTime - start_s - picture.currentTime));
    }
    requestAnimationFrame(look);
  };
  look();
}"""


def load(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)
    expect(page.locator("#tracks h3")).to_have_count(5)


def hear(page: Page, nth: int = 0) -> None:
    page.locator("#tracks .hear").nth(nth).click()
    page.wait_for_function(HEARD)


def test_another_cut_while_the_answer_is_on_its_way_is_no_error(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    held = threading.Event()
    page.route("**/v1/media-links", lambda route: (held.wait(1), route.continue_()))
    with page.expect_response("**/v1/media-links"):
        with page.expect_request("**/v1/media-links"):
            page.set_input_files("#file", cut)
        page.get_by_role("button", name="Another cut").click()
        held.set()
    page.wait_for_timeout(200)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#message")).to_be_hidden()


def test_an_error_that_takes_the_controls_away_takes_the_sound_away(
    visit: Visit, shop: str, cut: Path
) -> None:
    page = visit(shop)
    load(page, cut)
    hear(page)
    answer = {"status": 500, "content_type": "application/problem+json", "json": PROBLEM}
    page.route("**/v1/recommend*", lambda route: route.fulfill(**answer))
    page.keyboard.press("f")
    page.locator(".chip").first.click()
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on the server")
    page.wait_for_function(SILENT)
    assert page.evaluate("() => picture.paused")


def test_a_network_that_goes_away_leaves_the_list_to_be_heard(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    load(page, cut)
    hear(page)
    page.context.set_offline(True)
    page.keyboard.press("f")
    page.locator(".chip").first.click()
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    assert page.locator("#tracks h3").count() == 5
    assert not page.evaluate("() => picture.paused")


def test_a_file_that_was_exported_anew_is_not_blamed_on_the_network(
    visit: Visit, shop: str, cut: Path
) -> None:
    page = visit(shop)
    load(page, cut)
    time.sleep(1.1)  # file times count in seconds on some systems
    cut.write_bytes(cut.read_bytes() + b"\0" * 100)
    page.keyboard.press("f")
    page.locator(".chip").first.click()
    expect(page.get_by_role("alert")).to_contain_text("It has changed since you chose it")


def test_a_page_of_the_network_in_place_of_an_answer_has_words(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    page.route(
        "**/v1/recommend*", lambda route: route.fulfill(content_type="text/html", body="<html>sign in</html>")
    )
    page.set_input_files("#file", cut)
    expect(page.get_by_role("alert")).to_contain_text("answered in its place")


def test_leaving_out_what_is_heard_goes_on_with_the_next_and_keeps_the_place(
    visit: Visit, shop: str, cut: Path
) -> None:
    page = visit(shop)
    load(page, cut)
    expected = page.locator("#tracks h3").nth(2).text_content()
    hear(page, 1)
    page.locator("#tracks .away").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tracks h3")).to_have_count(4)
    expect(page.locator(".current h3")).to_have_text(str(expected))
    expect(page.locator("#tracks .away").nth(1)).to_be_focused()
    page.get_by_role("button", name="Another cut").click()
    load(page, cut)  # what was said of one cut is not said of the next


def test_show_more_adds_rows_and_leads_to_the_first_of_them(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    answer = page.request.post("/v1/recommend", data=cut.read_bytes()).json()
    real = page.request.post("/v1/media-links", data={"track_ids": ["alpha"]}).json()["alpha"]
    rows = [
        answer["results"][0] | {"rank": i + 1, "track_id": f"t{i}", "title": f"No. {i}"} for i in range(23)
    ]
    asked: list[str] = []

    def give(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(json=answer | {"results": rows})

    page.route("**/v1/recommend*", give)
    page.route("**/v1/media-links", lambda route: route.fulfill(json={row["track_id"]: real for row in rows}))
    page.set_input_files("#file", cut)
    expect(page.locator("#tracks h3")).to_have_count(10)
    first = page.locator("#tracks .track").first.element_handle()
    page.locator("#more").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tracks h3")).to_have_count(20)
    expect(page.locator("#tracks .hear").nth(10)).to_be_focused()
    page.locator("#tracks .away").nth(3).click()
    expect(page.locator("#tracks h3")).to_have_text([f"No. {i}" for i in range(21) if i != 3])
    page.locator("#more").click()
    expect(page.locator("#tracks h3")).to_have_count(22)
    expect(page.locator("#more")).to_be_hidden()
    page.get_by_role("button", name="Bring back 1 left out").click()
    expect(page.locator("#tracks h3")).to_have_text([f"No. {i}" for i in range(23)])
    assert len(asked) == 1  # the cut is looked at once
    assert page.evaluate("(first) => document.contains(first)", first)  # rows are kept, not made anew


def test_space_pauses_what_is_heard_wherever_the_mouse_clicked_before(
    visit: Visit, shop: str, cut: Path
) -> None:
    page = visit(shop)
    load(page, cut)
    hear(page)
    page.keyboard.press("ArrowDown")
    expect(page.locator(".current .rank")).to_have_text("2")
    page.keyboard.press("Space")
    page.wait_for_function("() => picture.paused")
    expect(page.locator(".current .rank")).to_have_text("2")


def test_a_track_that_never_arrives_does_not_leave_the_one_before_in_its_place(
    visit: Visit, shop: str, cut: Path
) -> None:
    page = visit(shop)
    load(page, cut)
    hear(page)
    page.route("**/audio?*", lambda route: None)
    page.keyboard.press("ArrowDown")
    page.wait_for_function(SILENT, timeout=5_000)
    assert not page.evaluate("() => picture.paused")


def test_what_is_heard_is_in_step_through_switches_seeks_and_pauses(
    visit: Visit, shop: str, cut: Path
) -> None:
    page = visit(shop)
    load(page, cut)
    hear(page)
    page.evaluate(WATCH)
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "Space", "Space", "ArrowLeft", "3", "Home"):
        page.keyboard.press(key)
        page.wait_for_timeout(600)
    drifts_ms = page.evaluate("() => window.drifts_ms")
    assert len(drifts_ms) > 60
    late = [drift_ms for drift_ms in drifts_ms if abs(drift_ms) > SYNC_MS]
    assert len(late) <= 0.02 * len(drifts_ms), late


def test_a_file_that_does_not_say_its_length_takes_it_from_the_service(
    visit: Visit, shop: str, tmp_path: Path
) -> None:
    path = tmp_path / "screen recording.webm"
    with av.open(str(path), "w", format="webm", options={"live": "1"}) as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for i in range(75):
            picture = np.full((180, 320, 3), 3 * i, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    page = visit(shop)
    load(page, path)
    expect(page.locator("#clock")).to_have_text("0:00 / 0:03")
    assert float(page.locator("#seek").get_attribute("max") or "") == pytest.approx(3, abs=0.1)


def test_a_store_whose_secret_cannot_be_made_is_no_bare_error(
    visit: Visit, live: Any, built_store: Path, tmp_path: Path, cut: Path
) -> None:
    store = tmp_path / "store"
    shutil.copytree(built_store, store)
    (store / "media-links.key").unlink(missing_ok=True)
    (store / "media-links.key").mkdir()
    page = visit(live(Settings(store=store)).url)
    page.set_input_files("#file", cut)
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on the server")
    expect(page.locator("#message code")).to_contain_text("corrupt, request")
