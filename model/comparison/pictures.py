"""What was seen inside trained systems in, sections that show it out: the paper's Figs. 5 to 7, gates."""

from collections.abc import Mapping

from model.comparison.looks import Looks, Map
from model.comparison.report import Report
from model.evaluation.histograms import gate_plot
from model.evaluation.html import Html, section, tag
from model.evaluation.plots import similarity_plot
from model.evaluation.report import percent
from model.evaluation.scatter import FlatMap, scatter_plot
from model.evaluation.similarity import Similarity


def inside(report: Report, looks: Mapping[str, Looks]) -> list[Html]:
    """A section for each row that was looked into."""
    sections = []
    for row, seen in looks.items():
        label = report.rows[row].label
        panels = [*_densities(row, seen), *_gates(row, seen), *_maps(row, seen)]
        if panels:
            sections.append(
                section(f"inside-{row}", f"Inside {label}", tag("div", *panels, class_="pictures"))
            )
    return sections


def _densities(row: str, seen: Looks) -> list[Html]:
    named = (("before", "before the projection", seen.before), ("after", "in the common space", seen.after))
    return [
        _figure(
            f"Cosines {where}",
            similarity_plot(
                found, f"cosines-{row}-{name}", f"Densities of the cosine {where}: {_apart(found)}"
            ),
            _apart(found),
        )
        for name, where, found in named
        if found is not None
    ]


def _apart(found: Similarity) -> str:
    return (
        f"a matched pair outscores an unmatched one {percent(found.matched_wins)} of the time; "
        f"d′ = {found.d_prime:.2f}, overlap {percent(found.overlap)} (Fig. 6)."
    )


def _gates(row: str, seen: Looks) -> list[Html]:
    if not seen.gates:
        return []
    said = "; ".join(f"{name} {values.mean():.3f}" for name, values in seen.gates.items())
    return [
        _figure(
            "Gates of the fusion",
            gate_plot(dict(seen.gates), f"gates-{row}", f"Mean gate: {said}."),
            f"Means: {said}.",
        )
    ]


def _maps(row: str, seen: Looks) -> list[Html]:
    named = (
        ("music", "Music before the projection (Fig. 5)", seen.music),
        ("space", "Both sides in the common space (Fig. 7)", seen.space),
    )
    return [_map(row, name, title, found) for name, title, found in named if found is not None]


def _map(row: str, name: str, title: str, found: Map) -> Html:
    said = (
        f"of the ten nearest neighbours {percent(found.separation.purity)} have the same category (at random "
        f"{percent(found.separation.chance)}); silhouette {found.separation.silhouette:.3f}."
    )
    shapes = found.sides if name == "space" else None
    flat = FlatMap(found.points, found.labels, shapes)
    return _figure(title, scatter_plot(flat, f"map-{row}-{name}", f"{title}: {said}"), said)


def _figure(title: str, picture: Html, said: str) -> Html:
    return tag("figure", tag("h3", title), picture, tag("p", said[0].upper() + said[1:], class_="quiet"))
