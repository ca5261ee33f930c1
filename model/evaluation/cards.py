"""The best and worst found videos of a measurement in, a section with their factors side by side out."""

import os
from pathlib import Path
from urllib.parse import quote

import numpy as np

from model.evaluation.examples import Example, best_and_worst
from model.evaluation.factors import MINUS, UNKNOWN, Factors, factors_of
from model.evaluation.html import Html, join, table, tag
from model.evaluation.run import Measurement
from model.evaluation.words import noun


def cards(measured: Measurement, folder: Path) -> Html:
    """What it found and what it missed; media that are there are linked as seen from `folder`."""
    best, worst = best_and_worst(measured.scores, measured.column("track_id"))
    wanted = sorted({i for each in best + worst for i in (each.pair, each.rival) if i is not None})
    factors = factors_of(measured.dataset, measured.rows[np.array(wanted)])
    place = {i: n for n, i in enumerate(wanted)}
    said = (
        f"Each {noun(measured.dataset)} beside the clip that it came with and the best scored clip of "
        f"another track. Factors are {factors.source}."
    )
    parts = [tag("h2", "What it finds, and what it misses", id="examples-h"), tag("p", said)]
    for title, style, chosen in (("Found best", "found", best), ("Missed most", "missed", worst)):
        if chosen:
            shown = [_card(measured, each, factors, place, folder, style) for each in chosen]
            parts += [tag("h3", title), tag("div", *shown, class_="cards")]
    if not worst:
        parts.append(tag("p", "Nothing was missed: every own clip stands first."))
    return tag("section", join(parts), id="examples", aria_labelledby="examples-h")


def _card(
    measured: Measurement,
    example: Example,
    factors: Factors,
    place: dict[int, int],
    folder: Path,
    style: str,
) -> Html:
    i = example.pair
    header: tuple[str, ...] = ("", f"the {noun(measured.dataset)}", "its own clip", "best other track")
    rows = _rows(measured, example, factors, place, folder)
    if not any(row[1] for row in rows):  # neither a file nor a factor of any picture
        header, *rows = [(row[0], *row[2:]) for row in (header, *rows)]
    title = Path(str(measured.column("video_path")[i])).name or str(measured.column("pair_id")[i])
    place_said = f"rank {example.rank:g} of {len(measured.rows)}"
    return tag(
        "article",
        tag("h4", title),
        tag("p", tag("span", place_said, class_=style), " ", _about(measured, i, title), class_="about"),
        table(header, rows, caption=f"Scores and factors of {title}"),
    )


def _rows(
    measured: Measurement, example: Example, factors: Factors, place: dict[int, int], folder: Path
) -> list[tuple[str, ...]]:
    """Name, advert, own clip and rival: where to hear them, their scores, and their factors."""
    i = example.pair
    rows: list[tuple[str, ...]] = [
        (
            "clip",
            _video_link(measured, i, folder),
            _music_link(measured, i, folder),
            UNKNOWN if example.rival is None else _music_link(measured, example.rival, folder),
        ),
        (
            "score",
            "",
            _number(example.score),
            UNKNOWN if example.rival_score is None else _number(example.rival_score),
        ),
    ]
    for factor in factors.items:
        rival = UNKNOWN if example.rival is None else factor.music[place[example.rival]]
        rows.append((factor.name, factor.picture[place[i]], factor.music[place[i]], rival))
    return rows


def _about(measured: Measurement, i: int, title: str) -> str:
    """Category, tag and id, each once; the id only where the title does not say it."""
    words = dict.fromkeys(str(measured.column(name)[i]) for name in ("category", "tag", "pair_id"))
    if title.startswith(pair_id := str(measured.column("pair_id")[i])):
        words.pop(pair_id)
    return " · ".join(word for word in words if word)


def _number(score: float) -> str:
    return f"{score:.3f}".replace("-", MINUS)


def _video_link(measured: Measurement, i: int, folder: Path) -> str:
    return _link(measured, str(measured.column("video_path")[i]), "watch it", folder, "")


def _music_link(measured: Measurement, i: int, folder: Path) -> str:
    start_s, length_s = (float(measured.column(name)[i]) for name in ("start_s", "length_s"))
    span = f"#t={start_s:g},{start_s + length_s:g}"
    path = str(measured.column("music_path")[i])
    return _link(measured, path, Path(path).stem or str(measured.column("track_id")[i]), folder, span)


def _link(measured: Measurement, path: str, label: str, folder: Path, span: str) -> str:
    """A relative link where the file is there, else of music the label alone."""
    media = measured.dataset.folder / path
    if not path or not media.is_file():
        return label if span else ""
    seen = Path(os.path.relpath(media.resolve(), folder.resolve())).as_posix()
    return tag("a", label, href=quote(seen) + span)
