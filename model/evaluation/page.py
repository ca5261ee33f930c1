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
from model.evaluation.html import Html, join, tag
from model.evaluation.quality import Figure, quality
from model.evaluation.report import headline, headline_k, verdict
from model.evaluation.run import Measurement, Subject

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
    figures = {
        **measured.evaluation.as_dict(),
        "lists": [asdict(figure) for figure in lists],
        "audio_distance": None if measured.heard is None else asdict(measured.heard),
        "facts": facts(measured, made),
    }
    write_file(folder / PAGE, page(measured, lists, folder, made).encode())
    write_json(folder / FIGURES, figures)
    return folder / PAGE


def page(measured: Measurement, lists: Sequence[Figure], folder: Path, made: datetime) -> str:
    """The whole document, as it is read from `folder`; `lists` are the figures of whole lists."""
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
    by_category, gates, maps = sections.categories(measured), details.gates(measured), details.maps(measured)
    body = (
        _header(measured, title),
        sections.figures(measured.evaluation),
        sections.recall(measured),
        sections.densities(measured),
        *([by_category] if by_category else []),
        cards(measured, folder),
        details.ranks(measured),
        details.beyond(measured, lists),
        *(each for each in (maps, gates) if each),
        sections.reading(),
        _footer(facts(measured, made)),
    )
    document = tag("html", tag("head", join(head)), tag("body", tag("main", join(body))), lang="en")
    return f"<!doctype html>\n{document}\n"


def _header(measured: Measurement, title: str) -> Html:
    return tag(
        "header",
        tag("h1", "Evaluation ", tag("span", title)),
        tag("p", headline(measured.evaluation, adverts(measured)), class_="headline"),
        tag("p", verdict(measured.evaluation)),
        sections.tiles(measured.evaluation),
    )


def _footer(known: dict[str, str]) -> Html:
    items = (part for name, value in known.items() for part in (tag("dt", name), tag("dd", value)))
    return tag("footer", tag("h2", "What was measured"), tag("dl", *items, class_="facts"))


def adverts(measured: Measurement) -> str:
    """What the adverts are to the system: seen in training, used to choose its epoch, or neither."""
    split = measured.evaluation.split
    if split == "test":
        return "unseen adverts"
    if measured.subject.training["dataset_id"] != measured.dataset.id:
        return "adverts of a dataset that it was not trained on"
    return {"train": "adverts that it was trained on"}.get(split, "adverts that its epoch was chosen by")


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
