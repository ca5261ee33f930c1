"""What the pages may load and run, as a browser holds them to it."""

from collections.abc import Callable
from typing import Any

import pytest

Visit = Callable[..., Any]

# Told to the page itself: a console may be silent about what a policy merely reports.
WATCH = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


def inject(page: Any) -> None:
    """As markup that somebody smuggled into a title would: a script, a style, an image and a frame."""
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.smuggled = true";
        const style = document.createElement("style");
        style.textContent = "body { display: none }";
        const image = document.createElement("img");
        image.src = "https://evil.example/x.png";
        const frame = document.createElement("iframe");
        frame.src = "https://evil.example/";
        document.body.append(script, style, image, frame);
        document.body.insertAdjacentHTML("beforeend", "<p onclick='1' style='color: red'>x</p>");
    }""")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_keeps_to_its_policy_and_what_is_smuggled_in_does_not_run(
    browser: Any, shop: str, path: str
) -> None:
    context = browser.new_context(base_url=shop)
    context.add_init_script(WATCH)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path)
    page.wait_for_selector("#samples:not([hidden])" if path == "/" else "#errors table")
    assert page.evaluate("window.violations") == []
    assert [text for text in said if "Content Security Policy" in text] == []

    inject(page)
    page.wait_for_function("window.violations.length >= 5")
    assert page.evaluate("window.smuggled") is None
    assert page.evaluate("getComputedStyle(document.body).display") != "none"
    found = set(page.evaluate("window.violations"))
    assert {"script-src-elem", "style-src-elem", "img-src", "style-src-attr"} <= found
    assert [text for text in said if "Content Security Policy" in text], "it would have been seen"
    context.close()


def test_the_docs_show_a_command_for_each_route(visit: Visit, shop: str) -> None:
    page = visit(shop)
    page.goto("/docs")
    page.wait_for_selector("#errors table")
    shown = page.locator("#routes pre").all_text_contents()
    operations = page.locator("#routes details").count()
    assert operations >= 20
    assert len([text for text in shown if text.startswith("curl ")]) == operations
