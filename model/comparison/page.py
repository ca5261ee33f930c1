"""A report and the evidence behind it in, the one self-contained page that shows it out."""

from collections.abc import Sequence
from importlib.resources import files

from model.comparison.looks import looks_of
from model.comparison.pictures import inside
from model.comparison.plan import LOOKED_INTO
from model.comparison.report import DIRECTIONS, Evidence, Report, TableReport
from model.comparison.tables import PRIMARY
from model.comparison.text import (
    caption,
    contest_line,
    course_header,
    course_rows,
    header,
    notes,
    protocol_header,
    protocol_rows,
    table_rows,
)
from model.evaluation.forest import ForestRow, forest_numbers, forest_plot
from model.evaluation.html import Html, join, numbers, section, table, tag
from model.evaluation.lines import Line, line_numbers, recall_line, recall_lines_plot
from model.evaluation.page import POLICY
from model.evaluation.pool import Direction
from model.evaluation.report import TASK, percent

CURVES = ("yuyin_plus", "yuyin", "yuyin-literal", "mrcmv", "cmvae", "cbvmr", "dcca", "cca")  # at most eight


def page(report: Report, known: Evidence) -> str:
    """The whole document."""
    style = (files("model.evaluation") / "page.css").read_text("utf-8")
    name = ", ".join(each["name"] for each in report.data)
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Comparison: {name}"),
        tag("style", Html(style)),
    )
    looks = {row: looks_of(known.found[row][0][0].looks) for row in LOOKED_INTO if row in known.found}
    parts = [
        _header(report, name),
        *(_table(report, each) for each in report.tables),
        _protocols(report),
        _curves(report, known),
        *inside(report, looks),
        _courses(report),
        _reading(),
        _footer(report),
    ]
    document = tag("html", tag("head", join(head)), tag("body", tag("main", join(parts))), lang="en")
    return f"<!doctype html>\n{document}\n"


def _header(report: Report, name: str) -> Html:
    lines = [tag("li", contest_line(report, each)) for each in report.contests]
    said = [tag("h1", "Comparison ", tag("span", name)), tag("p", _best(report), class_="headline")]
    return tag("header", *said, *([tag("ul", *lines, class_="quiet")] if lines else []))


def _best(report: Report) -> str:
    """Who finds the most, in one sentence."""
    found = {row.label: row.figures[PRIMARY]["V->M"]["R@10"] for row in report.rows.values() if row.figures}
    name, best = max(found.items(), key=lambda each: each[1].value)
    chance = report.chance[PRIMARY]["V->M"]["R@10"].value
    return (
        f"Of {len(found)} rows {name} finds the most: the right clip is among the first 10 for "
        f"{percent(best.value)} of videos (95 % interval {100 * best.low:.1f} to {percent(best.high)}; "
        f"guessing {percent(chance)})."
    )


def _table(report: Report, each: TableReport) -> Html:
    shown = table(header(report), table_rows(report, each), caption=f"{each.title}, protocol {PRIMARY}")
    parts = [tag("p", caption(report, each)), shown]
    parts += [tag("ul", *(tag("li", note) for note in notes(report, each)), class_="quiet")]
    forest = [_forest(report, each, direction) for direction in DIRECTIONS if each.beside.get(direction)]
    if forest:
        parts += [part for picture, folded in forest for part in (_wide(picture), folded)]
    return section(each.name, each.title, *parts)


def _forest(report: Report, each: TableReport, direction: Direction) -> tuple[Html, Html]:
    reference = report.rows[each.reference].label if each.reference in report.rows else each.reference
    rows = [
        ForestRow(
            report.rows[name].label, found.difference.value, found.difference.low, found.difference.high
        )
        for name, found in each.beside[direction].items()
        if name in report.rows
    ]
    axis = f"R@10 {direction} less that of {reference}"
    said = f"{each.title}, {TASK[direction]}: difference in R@10 to {reference}, with 95 % intervals."
    name = f"forest-{each.name}-{'music' if direction == 'V->M' else 'video'}"
    drawn = forest_plot(rows, name, said, axis=axis, meaning=reference)
    return tag("figure", tag("h3", TASK[direction]), drawn), numbers(axis, *forest_numbers(rows, axis=axis))


def _protocols(report: Report) -> Html:
    said = (
        "strict: right is the own clip among all of the split; shared: any clip of its track; dedup: one "
        "entry a track; yuyin_batched: as strict in pools of 1,024 and the rest, to read beside the paper's "
        "figures; catalog: every track of all splits; cold: as strict among pairs whose track training did "
        "not hear."
    )
    absent = {f"{protocol}: {why}" for row in report.rows.values() for protocol, why in row.absent.items()}
    return section(
        "protocols",
        "R@10 under every protocol",
        tag("p", said),
        table(protocol_header(), protocol_rows(report), caption="R@10, mean over seeds"),
        *(tag("p", f"n/a: {why}", class_="quiet") for why in sorted(absent)),
    )


def _courses(report: Report) -> Html:
    shown = table(course_header(), course_rows(report), caption="Means over seeds; settings by data set")
    return section("courses", "How every row was trained", shown)


def _curves(report: Report, known: Evidence) -> Html:
    parts = []
    for direction in DIRECTIONS:
        lines = _lines(report, known, direction)
        title = f"{TASK[direction]}: recall at K from 1 to 100, strict."
        name = f"curves-{'music' if direction == 'V->M' else 'video'}"
        drawn = recall_lines_plot(lines, name, title)
        parts.append(_wide(tag("figure", tag("h3", TASK[direction]), drawn)))
        parts.append(numbers(f"Recall, {direction}", *line_numbers(lines)))
    return section("curves", "The longer the list, the likelier it holds the right one", *parts)


def _wide(picture: Html) -> Html:
    """A picture on a line of its own: its words stay legible."""
    return tag("div", picture, class_="pictures")


def _lines(report: Report, known: Evidence, direction: Direction) -> list[Line]:
    key = (PRIMARY, direction)
    tracks = known.tracks[key]
    chosen = [name for name in CURVES if name in known.rows] or list(known.rows)[: len(CURVES)]
    lines = [recall_line(report.rows[name].label, known.rows[name].rankings(key), tracks) for name in chosen]
    for name, values in known.oracles.items():
        found = recall_line(name, values.rankings(key), tracks)
        lines.append(Line(name, found.k, found.value, None, "oracle"))
    blind = recall_line("guessing", known.blind.rankings(key), tracks)
    return [*lines, Line("guessing", blind.k, blind.value, None, "chance")]


def _reading() -> Html:
    items = (
        (
            "tuned alike",
            "every system has as many trials over learning rate, weight decay and dropout or margin, chosen "
            "by R@10 on the evaluation part; its ablation rows reuse the winner.",
        ),
        ("as published", "the paper's own recipe, nothing tuned."),
        (
            "95 % interval",
            "what other queries might have given, whole tracks drawn at once; seeds are averaged before.",
        ),
        (
            "p",
            "of the paired difference, by flipping the signs of whole tracks, adjusted over the rows of its "
            "table (Holm).",
        ),
        ("n/a", "the data set lacks what the row reads; nothing was put in its place."),
        ("stopped", "the time limit ended training before its last epoch: more time might have given more."),
        (
            "pseudo-tokens",
            "a system of sequences sees a vector that was pooled beforehand as 8 pieces of it.",
        ),
    )
    terms = (part for term, meaning in items for part in (tag("dt", term), tag("dd", meaning)))
    return section("reading", "How to read this", tag("dl", *terms, class_="terms"))


def _footer(report: Report) -> Html:
    facts = {
        "data": "; ".join(_data(each) for each in report.data),
        **{k: _said(v) for k, v in report.facts.items()},
    }
    items = (part for name, value in facts.items() for part in (tag("dt", name), tag("dd", value)))
    return tag("footer", tag("h2", "What was compared"), tag("dl", *items, class_="facts"))


def _data(each: dict[str, object]) -> str:
    made = f"{each['kind']}, {each['id']}"
    return f"{each['name']} ({made}), profile {each['profile']}, pairs {_said(each['pairs'])}"


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(str(each) for each in value)
    return str(value)
