"""What was measured in, the sections of its page out."""

from collections.abc import Sequence

import numpy as np

from model.evaluation.categories import CategoryRecall, category_recall
from model.evaluation.ceiling import NAMES, Ceiling
from model.evaluation.curve import RecallCurve, recall_curves
from model.evaluation.html import Html, numbers, section, table, tag
from model.evaluation.plots import category_plot, recall_plot, similarity_plot
from model.evaluation.pool import Direction, Protocol
from model.evaluation.protocol import CUTOFFS, Estimate, Evaluation
from model.evaluation.report import HEADER, TASK, arrow, headline_k, notes, percent, share, table_rows
from model.evaluation.run import Measurement
from model.evaluation.similarity import Similarity, similarity

RIGHT: dict[Protocol, str] = {"strict": "own clip", "shared": "any clip of its track"}


def tiles(evaluation: Evaluation) -> Html:
    """The three figures that a reader takes along."""
    k = headline_k(evaluation)
    there, back = (evaluation.result("strict", direction) for direction in ("V->M", "M->V"))
    return tag(
        "ul",
        _tile(
            f"Music for a video: right among the first {k}",
            percent(there.recall[k].value),
            _range(there.recall[k]),
        ),
        _tile(
            f"A video for music: right among the first {k}",
            percent(back.recall[k].value),
            _range(back.recall[k]),
        ),
        _tile(
            "Median rank of the right clip",
            f"{there.median_rank:g}",
            f"of {there.pool}; guessing {there.chance_median_rank:g}",
        ),
        class_="tiles",
    )


def _tile(label: str, value: str, beside: str) -> Html:
    return tag(
        "li",
        tag("span", label, class_="label"),
        tag("strong", value),
        tag("span", beside, class_="beside"),
    )


def _range(estimate: Estimate) -> str:
    return f"95 %: {100 * estimate.low:.1f} to {percent(estimate.high)}; guessing {percent(estimate.chance)}"


def figures(evaluation: Evaluation) -> Html:
    """The table of all figures, both ways."""
    rows = []
    for protocol, direction, *cells in table_rows(evaluation):
        name = f"{protocol}, {arrow(direction)}" if protocol else direction
        rows.append((name, *cells))
    return section(
        "figures",
        "How often the right one is among the first K",
        tag(
            "p",
            "R@K is the share of queries whose right answer is among the first K; MedR is the median rank of "
            "the right answer, MRR the mean of one over its rank. Under every figure stand its 95 % interval "
            "and what a scorer without knowledge would get.",
        ),
        table(
            ("protocol", *HEADER[2:]),
            rows,
            caption=f"Split {evaluation.split}: {evaluation.pairs} pairs, {evaluation.tracks} tracks",
            class_="figures",
        ),
        tag("ul", *(tag("li", note) for note in notes(evaluation)), class_="quiet"),
    )


def ceiling(evaluation: Evaluation, known: Sequence[Ceiling] | None) -> Html | None:
    """The system beside those who know; a line where their scores are lost, None where nobody knows."""
    title = "How much there is to find"
    if known is None:
        why = "The data set's oracle.npz is gone or of other pairs, so its ceiling is not shown."
        return section("ceiling", title, tag("p", why))
    if not known:
        return None
    best, k = next(iter(NAMES.values())), headline_k(evaluation)
    own = [Ceiling("this system", evaluation.result("strict", direction)) for direction in TASK]
    oracle = [each for each in known if each.name == best]
    reached = (
        f"{percent(mine.result.recall[k].value)} against {percent(its.result.recall[k].value)} "
        f"{arrow(mine.result.direction)}"
        for mine in own
        for its in oracle
        if _same_way(mine, its)
    )
    words = (
        f"This data set knows what its pairs were made from. The {best} ranks by that truth: the best there "
        "is. The feature reference ranks by what simple probes tell of it from the features: no bound, but a "
        f"level that can be reached. R@{k} of the system and of the oracle: {', '.join(reached)}."
    )
    rows = [_line(each) for own_way in own for each in (own_way, *known) if _same_way(each, own_way)]
    drawn = table(("protocol strict", *HEADER[2:]), rows, caption="The system beside those who know")
    return section("ceiling", title, tag("p", words), drawn)


def _same_way(one: Ceiling, other: Ceiling) -> bool:
    return one.result.direction == other.result.direction


def _line(ranked: Ceiling) -> tuple[str, ...]:
    found = ranked.result
    recalls = (share(found.recall[cutoff].value) for cutoff in CUTOFFS)
    median = f"{found.median_rank:g} of {found.pool}"
    return (f"{ranked.name}, {arrow(found.direction)}", *recalls, median, share(found.mrr.value))


def recall(measured: Measurement) -> Html:
    """The recall curves, one picture for each direction."""
    tracks = measured.column("track_id")
    curves = recall_curves(measured.scores, tracks)
    if len(np.unique(tracks)) == len(tracks):  # then both protocols ask the same
        curves = tuple(curve for curve in curves if curve.protocol == "strict")
    pictures = []
    for direction, task in TASK.items():
        chosen = [curve for curve in curves if curve.direction == direction]
        drawn = recall_plot(chosen, _named("recall", direction), _said(task, chosen[0]))
        pictures.append(tag("figure", tag("h3", task), drawn))
    return section(
        "recall",
        "The longer the list, the likelier it holds the right one",
        tag("div", *pictures, class_="pictures"),
        numbers("Recall at every K", *_curve_table(curves)),
    )


def _named(picture: str, direction: Direction) -> str:
    """Of a picture on the page: its ids begin so."""
    return f"{picture}-plot-{'music' if direction == 'V->M' else 'video'}"


def _said(task: str, curve: RecallCurve) -> str:
    points = [1, 10, 100, int(curve.k[-1])]
    at = [i for i, k in enumerate(curve.k) if k in points]
    values = ", ".join(f"{percent(float(curve.value[i]))} at {curve.k[i]}" for i in at)
    return f"{task}: share of queries whose own clip is among the first K: {values}."


def _curve_table(curves: Sequence[RecallCurve]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    header, columns = ["K"], [[f"{k}" for k in curves[0].k]]
    for curve in curves:
        name = f"{RIGHT[curve.protocol]}, {arrow(curve.direction)}"
        header += [name, "95 %", "chance"]
        columns += [
            [f"{x:.3f}" for x in curve.value],
            [f"{low:.3f} to {high:.3f}" for low, high in zip(curve.low, curve.high, strict=True)],
            [f"{x:.3f}" for x in curve.chance],
        ]
    return tuple(header), list(zip(*columns, strict=True))


def densities(measured: Measurement) -> Html:
    """Matched against unmatched pairs: Fig. 6, before the projection where the system lets one look."""
    tracks = measured.column("track_id")
    found = similarity(measured.scores, tracks)
    title = "Do pairs that belong together score higher?"
    if found is None:
        why = "Too few pairs, or pairs that all score the same: there are no densities to compare."
        return section("similarity", title, tag("p", why))
    before = None if measured.inside is None else similarity(measured.inside.scores, tracks)
    panels = [("In the common space", "similarity", found)]
    if before is not None:
        panels.insert(0, ("Before the projection", "similarity-before", before))
    return section(
        "similarity",
        title,
        tag("div", *(_panel(*panel) for panel in panels), _meaning(found), class_="pictures"),
        *(
            numbers(f"Densities, {words[0].lower() + words[1:]}", *_density_table(x))
            for words, _, x in panels
        ),
    )


def _panel(words: str, name: str, found: Similarity) -> Html:
    said = (
        f"{words}, densities of the cosine: matched pairs have the higher one in "
        f"{percent(found.matched_wins)} of comparisons, and the densities share {percent(found.overlap)} "
        "of their area."
    )
    return tag("figure", tag("h3", words), similarity_plot(found, f"{name}-plot", said))


def _density_table(found: Similarity) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows = zip(found.cosine, found.matched, found.unmatched, strict=True)
    return ("cosine", "matched", "unmatched"), [(f"{x:.3f}", f"{a:.4f}", f"{b:.4f}") for x, a, b in rows]


def _meaning(found: Similarity) -> Html:
    return tag(
        "div",
        _figure(found.matched_wins, "of the time a matched pair outscores an unmatched one. Guessing: 50 %."),
        _figure(found.overlap, "of their area is common to both densities. No difference at all: 100 %."),
        tag(
            "p",
            f"{found.matched_pairs:,} videos with their own clips, {found.unmatched_pairs:,} with clips of "
            f"other tracks; d′ = {found.d_prime:.2f}. Gaussian kernels, Scott's bandwidth.",
            class_="quiet",
        ),
        class_="words",
    )


def _figure(share: float, meaning: str) -> Html:
    return tag("p", tag("strong", percent(share)), " ", meaning)


def categories(measured: Measurement) -> Html | None:
    """R@10 by category; None if there is only one."""
    names = measured.column("category")
    if len(np.unique(names)) < 2:
        return None
    k = headline_k(measured.evaluation)
    found = category_recall(measured.scores, names, k)
    return section(
        "categories",
        f"Where it does well, and where not: right among the first {k}",
        tag(
            "p",
            "Bars are 95 % intervals after Wilson: where they overlap widely, the categories may be alike.",
        ),
        tag("div", *(_category_picture(found, k, direction) for direction in TASK), class_="pictures"),
        numbers("Categories", *_category_table(found, k)),
    )


def _category_picture(found: Sequence[CategoryRecall], k: int, direction: Direction) -> Html:
    shown = [each for each in found if each.direction == direction]
    values = "; ".join(f"{each.category} {percent(each.value)}" for each in shown)
    said = f"{TASK[direction]}: R@{k} by category: {values}."
    return tag(
        "figure", tag("h3", TASK[direction]), category_plot(shown, _named("categories", direction), said)
    )


def _category_table(found: Sequence[CategoryRecall], k: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows: list[tuple[str, ...]] = [
        (
            f"{each.category}, {arrow(each.direction)}",
            f"{each.queries}",
            percent(each.value),
            f"{100 * each.low:.0f} to {100 * each.high:.0f} %",
            percent(each.chance),
        )
        for each in found
    ]
    return ("own clip", "queries", f"R@{k}", "95 %", "chance"), rows


def reading(noun: str) -> Html:
    """What the words mean, and what no figure here says; `noun` is what to call a picture."""
    items = (
        ("own clip (strict)", f"right is the one clip that the {noun} came with, nothing else."),
        (
            "any clip of its track (shared)",
            "right is every clip of the pool that was cut from the same track, whatever "
            f"{noun} it lay under.",
        ),
        ("dedup", "right is the own track; every track is in the pool once, by its best clip."),
        (
            "yuyin_batched",
            "as strict, in pools of 1,024 and the rest: for reading beside tables of the YuYin paper only.",
        ),
        ("catalog", "right is the own track, among all tracks of the data set, those of training too."),
        ("cold", "as strict, of pairs whose track training never heard, among themselves."),
        ("the pool", "all clips of the split; every clip is a candidate for every video, and the reverse."),
        ("score", "mean cosine of the video's vector and those of the clip's 15 s segments."),
        (
            "95 % interval",
            f"from 2,000 bootstrap draws of whole tracks: two {noun}s over one song are not two witnesses. "
            "Where all queries hit or all miss, Wilson's, over the number of tracks.",
        ),
        ("chance", "the exact expectation of a scorer that calls everything equal; so are all ties counted."),
        (
            "what this is not",
            "a listening test. A clip that nobody chose may suit as well as the one that somebody did.",
        ),
    )
    terms = (part for term, meaning in items for part in (tag("dt", term), tag("dd", meaning)))
    return section("reading", "How to read this", tag("dl", *terms, class_="terms"))
