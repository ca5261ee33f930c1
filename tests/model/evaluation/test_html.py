"""Markup against Python's own parser: what goes in as text comes out as text."""

from html.parser import HTMLParser

import pytest

from model.evaluation.html import Html, join, table, tag

NASTY = ('<script>alert("1")</script>', "a & b", "'\"><img src=x onerror=y>", "&lt;", "")


class Reader(HTMLParser):
    """Collects tags, attributes and texts."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("nasty", NASTY)
def test_a_text_is_a_text_and_an_attribute_an_attribute(nasty: str) -> None:
    seen = Reader(tag("p", nasty, title=nasty, class_="c", aria_label="x"))
    assert seen.tags == ["p"]
    assert seen.attributes == [("title", nasty), ("class", "c"), ("aria-label", "x")]
    assert "".join(seen.texts) == nasty


def test_markup_is_not_escaped_twice() -> None:
    assert tag("p", tag("b", "1 < 2")) == "<p><b>1 &lt; 2</b></p>"
    assert join(["<", Html("<br>")]) == "&lt;\n<br>"
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_a_table_has_a_caption_headers_and_as_many_cells() -> None:
    seen = Reader(table(("k", "value"), [("1", "<.5>"), ("2", ".7")], caption="a < b"))
    assert seen.tags.count("tr") == 3
    assert [tag for tag in seen.tags if tag in ("th", "td")] == ["th", "th", "th", "td", "th", "td"]
    assert [text for text in seen.texts if text.strip()] == ["a < b", "k", "value", "1", "<.5>", "2", ".7"]
    assert ("tabindex", "0") in seen.attributes
