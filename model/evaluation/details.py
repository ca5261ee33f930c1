"""What was measured in, the sections of its page that look behind its recall out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.evaluation.axes import MINUS
from model.evaluation.embed import Embedded
from model.evaluation.geometry import Geometry, geometry
from model.evaluation.histograms import gate_plot, hubness_plot, rank_bins, rank_plot
from model.evaluation.html import Html, join, numbers, section, table, tag
from model.evaluation.listener import AudioDistance
from model.evaluation.metrics import expected_rank
from model.evaluation.order import Order
from model.evaluation.pool import Case, Direction, Pool, cases, directions
from model.evaluation.quality import Figure, Labels
from model.evaluation.report import TASK, arrow, headline_k, percent
from model.evaluation.run import Measurement
from model.evaluation.scatter import FlatMap, scatter_plot
from model.evaluation.space import Separation, drawn_rows, flat_map, separation
from model.evaluation.usage import usage

MAP_PAIRS = 500  # of a map: t-SNE of 1,000 points takes seconds, of all of a large split minutes
NO_VALUE = "n/a"


def beyond(measured: Measurement, found: Sequence[Figure]) -> Html:
    """The figures of whole lists, both ways of each beside each other."""
    names = [figure.name for figure in found]
    rows = [
        (
            f"{figure.name}, {arrow(figure.direction)}",
            f"{figure.value:.3f}",
            NO_VALUE if figure.low is None else f"{figure.low:.3f} to {figure.high:.3f}",
            NO_VALUE if figure.chance is None else f"{figure.chance:.3f}",
        )
        for figure in sorted(found, key=lambda figure: names.index(figure.name))
    ]
    said = (
        "Recall asks for the first right answer. Here are whole lists: what else of the same track, category "
        "or popularity they hold, and whether they use all that there is or the same few again and again. "
        "Chance is what random scores get."
    )
    parts = [tag("p", said), table(("figure", "value", "95 %", "chance"), rows, caption="Whole lists")]
    if measured.heard is not None:
        parts.append(_heard(measured.heard))
    if measured.embedded is not None:
        parts.append(_geometry(geometry(measured.embedded.videos, _clips(measured.embedded))))
    return section("beyond", "What the lists are like", *parts)


def labels(measured: Measurement) -> Labels:
    """What a measurement knows of its pairs."""
    tracks, heard = measured.column("track_id"), measured.trained
    popularity = None
    if heard is not None:
        names, counts = np.unique(heard, return_counts=True)
        known = dict(zip(names.tolist(), counts.tolist(), strict=True))
        popularity = np.array([known.get(track, 0) for track in tracks.tolist()], np.float64)
    return Labels(tracks, measured.column("category"), popularity)


def _heard(found: AudioDistance) -> Html:
    floor = NO_VALUE if found.floor is None else f"{found.floor:.2f}"
    return tag(
        "p",
        f"To the ear of {found.encoder}, which the system does not read, the first choice lies "
        f"{found.value:.2f} (95 %: {found.low:.2f} to {found.high:.2f}) from the right clip; a clip drawn at "
        f"random {found.chance:.2f}, the nearest one of another track {floor}.",
    )


def _geometry(found: Geometry) -> Html:
    said = (
        f"The common space: matched pairs lie {found.alignment:.3f} apart in squared distance (alignment; 0 "
        f"is together, 2 unrelated); uniformity is {found.uniformity_video:.2f} of the videos and "
        f"{found.uniformity_music:.2f} of the clips (0 where all coincide, near -4 where spread out); the "
        f"middles of both sides are {found.modality_gap:.3f} apart (modality gap)."
    )
    return tag("p", said.replace("-", MINUS), class_="quiet")


def _clips(embedded: Embedded) -> NDArray[np.float64]:
    """(n, d) unit mean of each clip's segments."""
    sums = np.add.reduceat(embedded.segments.astype(np.float64), embedded.offsets[:-1], axis=0)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12), np.float64)


def ranks(measured: Measurement) -> Html:
    """Where right answers stand, and how often each candidate is shown."""
    k = headline_k(measured.evaluation)
    pool = Pool(measured.scores, measured.column("track_id"))
    placed = [_ranked(case) for case in cases(pool, ["strict"])]
    hubs = [_hubs(direction, scores, k) for direction, scores in directions(measured.scores)]
    return section(
        "ranks",
        "Where right answers stand, and who stands before them",
        tag(
            "p",
            "A candidate that is in very many lists is a hub: it suits everything, so it suits nothing, and "
            "takes the place of what is right.",
        ),
        tag("div", *(picture for picture, _ in placed), class_="pictures"),
        tag("div", *(picture for picture, _ in hubs), class_="pictures"),
        *(folded for _, folded in (*placed, *hubs)),
    )


def _ranked(case: Case) -> tuple[Html, Html]:
    place, candidates = expected_rank(case.found), int(case.candidates.max())
    edges = rank_bins(candidates)
    counts, _ = np.histogram(place, edges)
    top = float((place <= 10).mean())
    task = TASK[case.direction]
    said = f"{task}: ranks of the right answers, on a log axis; {percent(top)} stand among the first 10."
    drawn = rank_plot(place, candidates, f"ranks-plot-{_side(case.direction)}", said)
    rows = [
        (f"{first} to {end - 1}", f"{count}", f"{len(place) * (end - first) / candidates:.1f}")
        for first, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    picture = tag("figure", tag("h3", f"{task}: ranks"), drawn)
    return picture, numbers(f"Ranks, {arrow(case.direction)}", ("rank", "queries", "guessing"), rows)


def _hubs(direction: Direction, scores: NDArray[np.float64], k: int) -> tuple[Html, Html]:
    used = usage(Order.of(scores), k)
    what = "Clips" if direction == "V->M" else "Videos"
    said = (
        f"{what} by how many lists of {k} they are in: the most shown is in {used.shown.max():.0f} of "
        f"{len(scores)}, skewness {used.skewness:.2f}, {percent(used.coverage)} are shown at all."
    )
    drawn = hubness_plot(used.shown, len(scores), k, f"hubs-plot-{_side(direction)}", said)
    times, counts = np.unique(np.round(used.shown).astype(int), return_counts=True)
    rows = [(f"{time}", f"{count}") for time, count in zip(times, counts, strict=True)]
    picture = tag("figure", tag("h3", f"{what}: in how many lists"), drawn)
    return picture, numbers(f"{what} shown", (f"lists of {k}", what.lower()), rows)


def gates(measured: Measurement) -> Html | None:
    """How far the weighted fusion module opens for each input; None where there is none."""
    if measured.inside is None or not measured.inside.gates:
        return None
    found = measured.inside.gates
    means = "; ".join(f"{name} {values.mean():.3f}" for name, values in found.items())
    quarters = [
        (name, *(f"{x:.3f}" for x in (values.mean(), *np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))))
        for name, values in found.items()
    ]
    said = f"Mean gate of each clip by input, mean over clips: {means}."
    return section(
        "gates",
        "What the fusion listens to",
        tag(
            "p",
            "The weighted fusion module multiplies every column of its inputs by a gate between 0 and 1 that "
            "depends on the clip. A gate that opens alike for every clip is a fixed weight.",
        ),
        tag(
            "div",
            tag("figure", tag("h3", "Mean gate, clip by clip"), gate_plot(found, "gates-plot", said)),
            class_="pictures",
        ),
        numbers("Gates", ("input", "mean", "least", "25 %", "median", "75 %", "most"), quarters),
    )


def maps(measured: Measurement) -> Html | None:
    """Flat maps of the common space and of the music representation; None without vectors."""
    if measured.embedded is None:
        return None
    named = measured.column("category")
    categories = np.where(named == "", "no category", named)
    rows = drawn_rows(categories, max(1, MAP_PAIRS // len(np.unique(categories))))
    both = np.concatenate([measured.embedded.videos[rows], _clips(measured.embedded)[rows]])
    sides = np.repeat(["video", "music"], len(rows))
    drawn = [_map("Both sides in the common space", "space", both, np.tile(categories[rows], 2), sides)]
    if measured.inside is not None:
        heard = measured.inside.music[rows]
        drawn.append(_map("Music before the projection", "music", heard, categories[rows], None))
    return section(
        "maps",
        "Do categories keep apart?",
        tag(
            "p",
            "t-SNE of up to 500 pairs, no category more than its share of them: neighbours stay neighbours, "
            "distances, sizes and gaps mean nothing. What can be measured stands below each map.",
        ),
        tag("div", *drawn, class_="pictures"),
    )


def _map(
    title: str,
    name: str,
    vectors: NDArray[np.floating],
    of: NDArray[np.str_],
    shapes: NDArray[np.str_] | None,
) -> Html:
    if len(vectors) < 3:
        return tag("p", "Too few points for a map.")
    words = _apart(separation(vectors, of))
    said = f"{title}: {len(vectors)} points, coloured by category. {words}"
    picture = scatter_plot(FlatMap(flat_map(vectors), of, shapes), f"map-{name}", said)
    return tag("figure", join([tag("h3", title), picture, tag("p", words, class_="quiet")]))


def _apart(found: Separation | None) -> str:
    if found is None:
        return "There is one category only."
    silhouette = f"{found.silhouette:.3f}".replace("-", MINUS)
    return (
        f"Of the ten nearest neighbours {percent(found.purity)} have the same category (at random "
        f"{percent(found.chance)}); silhouette {silhouette}."
    )


def _side(direction: Direction) -> str:
    return "music" if direction == "V->M" else "video"
