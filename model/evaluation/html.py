"""Names, attributes and texts in, HTML out; a text is escaped unless it is `Html` already."""

from collections.abc import Iterable
from html import escape

VOID = ("meta", "br", "hr", "link")


class Html(str):
    """Markup; only `tag`, `join` and whoever vouches for a string makes one."""

    __slots__ = ()


def text(value: str) -> Html:
    """A text as markup: what would be a tag or an attribute's end no longer is."""
    return value if isinstance(value, Html) else Html(escape(value))


def join(parts: Iterable[str]) -> Html:
    """One after the other, a line each."""
    return Html("\n".join(text(part) for part in parts))


def tag(name: str, /, *children: str, **attributes: str) -> Html:
    """One element; in attribute names `_` stands for `-`, and one at the end is left off (`class_`)."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items()
    )
    if name in VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(text(child) for child in children)}</{name}>")


def table(
    header: Iterable[str], rows: Iterable[Iterable[str]], *, caption: str, class_: str = "", left: int = 1
) -> Html:
    """A table in a box of its own that scrolls where the page is narrower, and that keys reach.

    Args:
        header: of the columns.
        rows: as many cells each; the first `left` of them name the row.
        caption: what the table shows.
        class_: of the table.
        left: how many columns are names.
    """
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    body = [
        tag("tr", *(tag("th", c, scope="row") if i < left else tag("td", c) for i, c in enumerate(row)))
        for row in rows
    ]
    parts = (tag("caption", caption), tag("thead", head), tag("tbody", join(body)))
    whole = tag("table", *parts, class_=class_) if class_ else tag("table", *parts)
    return tag("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def section(name: str, title: str, *parts: str) -> Html:
    """A part of the page with its heading; `name` is its id."""
    return tag("section", tag("h2", title, id=f"{name}-h"), join(parts), id=name, aria_labelledby=f"{name}-h")


def numbers(what: str, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    """The numbers behind a picture, folded away."""
    return tag("details", tag("summary", f"{what}, in numbers"), table(header, rows, caption=what))
