"""The audition page in a real browser against a real service."""

import hashlib
import re
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from service.edge.keys import new_key
from service.errors import STATUS
from service.settings import KeyEntry, Settings
from service.stores.feedback import read_feedback

Visit = Callable[..., Page]

SOUND = """() => {
  const picture = document.querySelector("#picture");
  const heard = [...document.querySelectorAll("audio")].filter((one) => !one.paused && one.volume > 0);
  return { time_s: picture.currentTime, playing: !picture.paused,
           music_s: heard.map((one) => one.currentTime),
           title: document.querySelector(".current h3")?.textContent ?? null };
}"""
HEARD = "() => document.querySelector('#stage').dataset.driftMs !== ''"
SYNC_MS = 40


def choose(page: Page, nth: int = 0) -> None:
    """Take one of the demo's cuts and wait for the tracks."""
    page.locator(".samples button").nth(nth).click()
    expect(page.locator("#tracks .hear").first).to_be_visible()


def give(page: Page, path: Path) -> None:
    page.set_input_files("#file", path)


def titles(page: Page) -> list[str]:
    return page.locator("#tracks h3").all_text_contents()


def test_two_clicks_and_the_best_track_is_heard_under_the_picture_in_step(visit: Visit, shop: str) -> None:
    page = visit(shop)
    choose(page)  # the first click
    start_s = starts(page)[0]
    page.locator("#tracks .hear").first.click()  # the second
    page.wait_for_function(HEARD)
    seen = []
    for _ in range(20):
        time.sleep(0.1)
        sound = page.evaluate(SOUND)
        if len(sound["music_s"]) == 1:
            seen.append(1000 * (sound["music_s"][0] - start_s - sound["time_s"]))
    assert len(seen) >= 15, "the music was not heard most of the time"
    assert abs(statistics.median(seen)) <= SYNC_MS
    assert sum(abs(drift_ms) <= SYNC_MS for drift_ms in seen) >= 0.9 * len(seen), seen


def starts(page: Page) -> list[float]:
    """What the rows' sliders say: the moment to start from."""
    return [float(one.get_attribute("aria-valuenow") or "") for one in page.locator("#tracks .wave").all()]


def test_the_picture_keeps_playing_while_tracks_are_switched(visit: Visit, shop: str) -> None:
    page = visit(shop)
    choose(page)
    page.locator("#begin").click()
    page.wait_for_function(HEARD)
    page.evaluate(
        "() => { window.stops = 0; picture.addEventListener('pause', () => { window.stops += 1; }); }"
    )
    before = page.evaluate(SOUND)
    for key, rank in (("ArrowDown", 2), ("4", 4), ("ArrowUp", 3)):
        page.keyboard.press(key)
        expect(page.locator(".current .rank")).to_have_text(str(rank))
        page.wait_for_function(HEARD)
    after = page.evaluate(SOUND)
    assert after["playing"]
    assert after["time_s"] != before["time_s"]
    assert page.evaluate("() => window.stops") == 0
    assert after["title"] == titles(page)[2]
    page.keyboard.press("Space")
    page.wait_for_function("() => picture.paused")
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((one) => one.paused)")


def test_the_list_is_what_the_service_answers(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    give(page, cut)
    expect(page.locator("#tracks .hear").first).to_be_visible()
    answer = ask(page, cut)
    assert titles(page) == [result["title"] for result in answer["results"]]
    assert starts(page) == [pytest.approx(r["segments"][0]["start_s"], abs=0.05) for r in answer["results"]]
    assert "rough cut.mp4 · 4.0 s · 320 × 180 · 25 fps · 1 cut" in page.locator("#seen").text_content()
    lines = page.locator("#cuts i")
    assert lines.count() == len(answer["video"]["cuts_s"]) == 1
    assert page.locator("#tracks canvas").count() >= len(answer["results"])
    drove = [", ".join(reason["factor"] for reason in result["reasons"]) for result in answer["results"]]
    assert any(drove)
    rows = page.locator("#tracks > li").all()
    assert ["".join(row.locator(".why dd").all_text_contents()) for row in rows] == drove
    share = page.locator("#tracks .match").first.get_attribute("title")
    assert f"than {int(answer['results'][0]['percentile'] * 100)} % of unrelated pictures" in (share or "")


def test_what_an_editor_does_with_tracks_is_noted_and_who_is_not(
    visit: Visit, shop: str, store: Path, cut: Path
) -> None:
    page = visit(shop)
    give(page, cut)
    before = list(read_feedback(store))  # of pages that other tests opened on the store that this one copies
    for button in (".hear >> nth=0", ".copy >> nth=1", ".away >> nth=1"):
        with page.expect_response("**/v1/feedback") as noted:
            page.locator(f"#tracks {button}").click()
        assert noted.value.status == 201
    page.locator("#tracks .hear").first.click()  # heard again: that is no second note
    kept = [each for each in read_feedback(store) if each not in before]
    best, second = ask(page, cut)["results"][:2]
    said = sorted((each.event, each.track_id, each.rank) for each in kept)
    assert said == [
        ("exported", second["track_id"], 2),
        ("played", best["track_id"], 1),
        ("rejected", second["track_id"], 2),
    ]
    assert {each.video_sha256 for each in kept} == {hashlib.sha256(cut.read_bytes()).hexdigest()}
    assert {each.start_s for each in kept} <= {r["segments"][0]["start_s"] for r in (best, second)}


def test_a_click_on_the_waveform_starts_the_music_there(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    give(page, cut)
    row = page.locator(".track", has=page.get_by_role("heading", name="Title 4"))  # 26 s
    row.locator(".hear").click()
    row.locator("canvas").first.wait_for()
    box = row.locator(".wave").bounding_box()
    assert box is not None
    row.locator(".wave").click(position={"x": box["width"] / 2, "y": 10})
    assert float(row.locator(".wave").get_attribute("aria-valuenow") or "") == pytest.approx(13, abs=0.3)
    expect(row.locator(".facts")).to_contain_text("(moved)")
    page.wait_for_function(HEARD)
    sound = page.evaluate(SOUND)
    assert sound["music_s"][0] - sound["time_s"] == pytest.approx(13, abs=0.4)
    row.locator(".wave").press("Home")
    expect(row.locator(".facts")).not_to_contain_text("moved")
    row.locator(".wave").press("ArrowRight")
    expect(row.locator(".facts")).to_contain_text("(moved)")


def test_filters_narrow_the_list_and_words_say_what_left_it_empty(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    give(page, cut)
    expect(page.locator("#tracks h3")).to_have_count(5)
    page.keyboard.press("f")
    page.get_by_role("button", name=re.compile("^happy")).click()
    expect(page.locator("#tracks h3")).to_have_count(2)
    assert sorted(titles(page)) == ["Title 3", "Title 4"]
    expect(page.locator("#said")).to_contain_text("Left out: 3 by mood.")
    page.get_by_role("button", name=re.compile("^rock")).click()
    expect(page.locator("#tracks h3")).to_have_count(1)
    page.get_by_role("spinbutton", name="Tempo from, bpm").fill("999")
    expect(page.get_by_role("heading", name="No track passes these filters")).to_be_visible()
    expect(page.locator(".nothing")).to_contain_text("Left out: 5 by tempo.")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator("#tracks h3")).to_have_count(5)
    page.get_by_role("button", name="Not this one: leave out Title 0").click()
    expect(page.locator("#tracks h3")).to_have_count(4)
    page.get_by_role("button", name="Bring back 1 left out").click()
    expect(page.locator("#tracks h3")).to_have_count(5)


def test_filters_that_cannot_be_are_explained(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    give(page, cut)
    expect(page.locator("#tracks h3")).to_have_count(5)
    page.keyboard.press("f")
    page.get_by_role("spinbutton", name="Tempo from, bpm").fill("120")
    page.get_by_role("spinbutton", name="Tempo to, bpm").fill("90")
    expect(page.get_by_role("alert")).to_contain_text("These filters cannot be used")
    page.get_by_role("alert").get_by_role("button", name="Clear the filters").click()
    expect(page.locator("#tracks h3")).to_have_count(5)


def test_a_file_that_is_no_video_gets_words_and_a_way_on(visit: Visit, shop: str, tmp_path: Path) -> None:
    page = visit(shop)
    wrong = tmp_path / "notes.mp4"
    wrong.write_text("dear editor")
    give(page, wrong)
    message = page.locator("#message")
    expect(message).to_contain_text("This file is no video")
    assert "{" not in message.inner_text()
    message.get_by_role("button", name="Choose another cut").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    choose(page)


def test_every_error_that_a_visitor_can_meet_has_words_of_its_own(visit: Visit, shop: str) -> None:
    page = visit(shop)
    told = page.evaluate(
        "async (codes) => { const { explain } = await import('/page/words.js');"
        " return Object.fromEntries(codes.map((code) => [code, explain({ code, detail: 'x' }).title])); }",
        sorted(STATUS),
    )
    documented = page.request.get(f"{shop}/openapi.json").json()["paths"]["/v1/recommend"]["post"][
        "responses"
    ]
    of_others = ("400", "404", "409")  # of uploads and features, which the page does not send
    told_of = [documented[status]["description"] for status in documented if status not in of_others]
    met = {code for description in told_of for code in description.split(", ") if code in STATUS}
    never = {"unauthenticated", "no_audio_stream", "bad_pool", "bad_dataset"}  # a form; never for a cut
    never |= {code for code in met if code.startswith(("idempotency_", "uploads_"))}  # not asked for here
    nameless = {code for code in met - never if told[code] == told["internal"]}
    assert len(met) > 10
    assert nameless == set()


def test_a_network_that_is_away_is_said_and_trying_again_works(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    expect(page.locator("#drop")).to_be_visible()
    page.context.set_offline(True)
    give(page, cut)
    expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
    page.context.set_offline(False)
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.locator("#tracks h3")).to_have_count(5)
    expect(page.locator("#message")).to_be_hidden()


def test_a_busy_server_is_asked_again_by_itself(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    refusals = iter([True, True, False])
    problem = {"code": "overloaded", "status": 429, "detail": "full", "request_id": "r"}

    def refuse(route: Route) -> None:
        if next(refusals):
            route.fulfill(
                status=429,
                headers={"Retry-After": "1"},
                content_type="application/problem+json",
                json=problem,
            )
        else:
            route.continue_()

    page.route("**/v1/recommend*", refuse)
    give(page, cut)
    expect(page.locator("#said")).to_contain_text("busy")
    expect(page.locator("#tracks h3")).to_have_count(5, timeout=15_000)


def test_a_service_without_music_says_so_and_the_page_goes_on_when_there_is(
    visit: Visit, live: Any, built_store: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    page = visit(live(Settings(store=store, follow_s=0.2)).url)
    expect(page.get_by_role("alert")).to_contain_text("There is no music to search yet")
    shutil.copytree(built_store, store, dirs_exist_ok=True)
    expect(page.locator("#drop")).to_be_visible(timeout=15_000)
    expect(page.locator("#pool")).to_have_text("5 tracks ready")
    expect(page.locator("#message")).to_be_hidden()


def test_where_keys_are_set_the_page_asks_for_one_and_the_music_is_heard_with_it(
    visit: Visit, live: Any, built_store: Path, cut: Path
) -> None:
    key, sha256 = new_key()
    entry = KeyEntry(sha256=sha256, scopes=frozenset({"recommend"}))
    page = visit(live(Settings(store=built_store, keys={"editor": entry})).url)
    field = page.get_by_label("API key")
    field.fill(key[:-1])
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("This key is not known here")
    field.fill(key)
    page.get_by_role("button", name="Go on").click()
    give(page, cut)
    page.locator("#tracks .hear").first.click()
    page.wait_for_function(HEARD)
    assert page.locator("#tracks canvas").count() >= 5
    assert key not in page.evaluate("() => JSON.stringify(localStorage) + document.cookie")


def test_a_cut_that_the_browser_cannot_show_is_still_scored_and_the_music_plays(
    visit: Visit, shop: str, tmp_path: Path
) -> None:
    path = tmp_path / "master.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("prores_ks", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv422p10le"
        for i in range(75):
            picture = np.full((180, 320, 3), i * 3, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    page = visit(shop)
    give(page, path)
    expect(page.locator("#blind")).to_contain_text("This browser cannot show this kind of video")
    page.locator("#tracks .hear").first.click()
    page.wait_for_function(HEARD)
    expect(page.locator("#clock")).to_contain_text("/ 0:03")
    page.keyboard.press("Space")
    page.wait_for_function("() => [...document.querySelectorAll('audio')].every((one) => one.paused)")


def ask(page: Page, cut: Path) -> dict[str, Any]:
    """What the service answers to a program."""
    headers = {"Content-Type": "video/mp4"}
    answer: dict[str, Any] = page.request.post("/v1/recommend", data=cut.read_bytes(), headers=headers).json()
    return answer


def changed(page: Page, cut: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Give the service's own answer to `cut`, changed on the way."""
    answer = ask(page, cut)
    change(answer)
    page.route("**/v1/recommend*", lambda route: route.fulfill(json=answer))


def test_a_pool_in_which_nothing_fits_is_said_plainly(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    changed(page, cut, lambda answer: answer.update(no_good_match=True, warnings=["truncated"]))
    give(page, cut)
    expect(page.locator("#notices")).to_contain_text("Nothing in this pool fits this cut well")
    expect(page.locator("#notices")).to_contain_text("The end of this file is missing")


def test_a_hostile_title_stays_text(visit: Visit, shop: str, cut: Path) -> None:
    page = visit(shop)
    hostile = '<img src=x onerror="window.broken=1"><b>"\'&'

    def rename(answer: dict[str, Any]) -> None:
        answer["results"][0] |= {"title": hostile, "artist": hostile, "key": hostile}

    changed(page, cut, rename)
    give(page, cut)
    expect(page.locator("#tracks h3").first).to_have_text(hostile)
    assert page.locator("#tracks img").count() == 0
    assert page.evaluate("() => window.broken") is None


def test_another_cut_starts_again_in_silence(visit: Visit, shop: str) -> None:
    page = visit(shop)
    choose(page)
    page.locator("#begin").click()
    page.wait_for_function(HEARD)
    page.get_by_role("button", name="Another cut").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("() => [...document.querySelectorAll('audio, #picture')].every((one) => one.paused)")
    choose(page, 1)
    expect(page.locator("#tracks h3")).to_have_count(5)


def test_the_cut_s_own_sound_comes_back_as_loud_as_it_was(visit: Visit, shop: str) -> None:
    page = visit(shop)
    choose(page)
    own = page.get_by_role("slider", name="The cut’s own sound")
    for level, after in (("0", 1.0), ("0.4", 0.4)):
        own.fill(level)
        page.locator("#results").focus()
        for _ in range(1 if level == "0" else 2):
            page.keyboard.press("m")
        assert page.evaluate("() => picture.volume") == pytest.approx(after)
        assert float(own.input_value()) == pytest.approx(after)


def test_the_chosen_colours_are_kept(visit: Visit, shop: str) -> None:
    page = visit(shop, color_scheme="dark")
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light colours").click()
    light = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == light
    assert (
        visit(shop, color_scheme="light").evaluate("() => getComputedStyle(document.body).backgroundColor")
        == light
    )


@pytest.mark.parametrize(("width_px", "height_px"), [(390, 844), (3840, 2160)])
def test_it_fits_a_phone_and_a_wall(visit: Visit, shop: str, width_px: int, height_px: int) -> None:
    page = visit(shop, width_px=width_px, height_px=height_px)
    choose(page)
    page.locator("#open-filters").click()
    assert page.evaluate("() => document.documentElement.scrollWidth") == width_px
    small = page.locator("button:visible").evaluate_all(
        "(all) => all.filter((b) => Math.min(b.offsetWidth, b.offsetHeight) < 24).map((b) => b.textContent)"
    )
    assert small == []  # WCAG 2.2, 2.5.8: targets of 24 px at least
    font_px = page.evaluate("() => parseFloat(getComputedStyle(document.body).fontSize)")
    assert font_px >= (15 if width_px < 1000 else 24)
