"""What was measured in, `report.html` and `evaluation.json` in a folder out.

The page is one file: it loads nothing, runs nothing, and works from a disk without a network.
"""

import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import numpy as np

from model.artifact import write_file, write_json
from model.evaluation import details, sections
from model.evaluation.cards import cards
from model.evaluation.ceiling import Ceiling, ceilings
from model.evaluation.html import Html, join, tag
from model.evaluation.quality import Figure, quality
from model.evaluation.report import headline, headline_k, verdict
from model.evaluation.run import Measurement, Subject
from model.evaluation.words import noun, queries

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PAGE, FIGURES = "report.html", "evaluation.json"


def write_report(measured: Measurement, folder: Path, made: datetime) -> Path:
    """Write both files, each whole or not at all, over those of an earlier report.

    Args:
        measured: what to report.
        folder: where; made if it is not there.
        made: when.

    Returns:
        The page.
    """
    lists = quality(measured.scores, details.labels(measured), headline_k(measured.evaluation))
    best = ceilings(measured)
    figures = {
        **measured.evaluation.as_dict(),
        "lists": [asdict(figure) for figure in lists],
        "ceilings": [{"name": each.name, **each.result.as_dict()} for each in best or ()],
        "audio_distance": None if measured.heard is None else asdict(measured.heard),
        "facts": facts(measured, made),
    }
    write_file(folder / PAGE, page(measured, lists, best, folder, made).encode())
    write_json(folder / FIGURES, figures)
    return folder / PAGE


def page(
    measured: Measurement,
    lists: Sequence[Figure],
    best: Sequence[Ceiling] | None,
    folder: Path,
    made: datetime,
) -> str:
    """The whole document.

    Args:
        measured: what it shows.
        lists: the figures of whole lists.
        best: what the data set knows of its ceiling, as `ceilings` has it.
        folder: where it is read from.
        made: when.
    """
    style = (files("model.evaluation") / "page.css").read_text("utf-8")
    title = f"{measured.subject.name} on {measured.dataset.folder.resolve().name}"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"Evaluation: {title}"),
        tag("style", Html(style)),
    )
    body = (
        _header(measured, title),
        sections.figures(measured.evaluation),
        sections.ceiling(measured.evaluation, best),
        sections.recall(measured),
        sections.densities(measured),
        sections.categories(measured),
        cards(measured, folder),
        details.ranks(measured),
        details.beyond(measured, lists),
        details.maps(measured),
        details.gates(measured),
        sections.reading(noun(measured.dataset)),
        _footer(facts(measured, made)),
    )
    document = tag(
        "html",
        tag("head", join(head)),
        tag("body", tag("main", join(each for each in body if each is not None))),
        lang="en",
    )
    return f"<!doctype html>\n{document}\n"


def _header(measured: Measurement, title: str) -> Html:
    parts = [
        tag("h1", "Evaluation ", tag("span", title)),
        tag("p", headline(measured.evaluation, queries(measured)), class_="headline"),
        tag("p", verdict(measured.evaluation)),
    ]
    if not measured.subject.trained_on(measured.dataset):
        said = (
            f"Whether the system saw these {noun(measured.dataset)}s in training is not known: it was "
            "trained on another data set or another split of it, or does not say on which."
        )
        parts.append(tag("p", said, class_="quiet"))
    return tag("header", *parts, sections.tiles(measured.evaluation))


def _footer(known: dict[str, str]) -> Html:
    items = (part for name, value in known.items() for part in (tag("dt", name), tag("dd", value)))
    return tag("footer", tag("h2", "What was measured"), tag("dl", *items, class_="facts"))


def facts(measured: Measurement, made: datetime) -> dict[str, str]:
    """Everything that one needs to find or repeat the measurement."""
    subject, dataset, found = measured.subject, measured.dataset, measured.evaluation
    return {
        subject.kind: subject.name,
        **_trained(subject),
        "dataset": f"{dataset.folder.resolve().name} ({dataset.manifest.get('kind', 'unknown kind')})",
        "dataset id": dataset.id,
        "split": f"{found.split}: {found.pairs} pairs, {found.tracks} tracks; the pool is all its clips",
        "measured at": made.strftime("%Y-%m-%d %H:%M %Z"),
        "software": (
            f"yuyin {version('yuyin')}, Python {platform.python_version()}, numpy {np.__version__}, "
            f"ONNX Runtime {version('onnxruntime')}"
        ),
    }


def _trained(subject: Subject) -> dict[str, str]:
    training = subject.training
    known = {
        "system": f"{subject.system}, profile {subject.profile}, preset {training['preset_name']}",
        "trained on": f"{training['pairs']['train']} pairs of dataset {training['dataset_id']}",
    }
    return known | ({"source commit": subject.source_commit} if subject.source_commit else {})
