"""The page as a browser would take it: parsed, followed, and compared with the figures it was made from."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from model.datasets.table import Dataset, write_pairs
from model.evaluation.cards import cards
from model.evaluation.embed import Embedded
from model.evaluation.geometry import geometry
from model.evaluation.inside import Inside
from model.evaluation.listener import AudioDistance
from model.evaluation.page import POLICY, write_report
from model.evaluation.protocol import evaluate_scores
from model.evaluation.report import headline, table_rows, verdict
from model.evaluation.run import Measurement, Subject
from model.evaluation.sections import reading
from model.evaluation.words import queries

MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
VOID = {"meta", "br"}
NASTY = "<script>alert('x')</script> & \"co\" $5_{a}$ 服装"


class Page(HTMLParser):
    """Tags with their attributes and all the text below, in their order; checks that they close."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[int] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.below: list[str] = []
        self.feed(markup)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        self.below.append("")
        if tag not in VOID:
            self.open.append(len(self.tags) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.tags[self.open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for i in self.open:
            self.below[i] += data

    def texts(self, *names: str) -> list[str]:
        return [text for (tag, _), text in zip(self.tags, self.below, strict=True) if tag in names]

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.tags if attribute in attributes]


def measured(
    folder: Path, make_dataset: Callable[..., Path], scores: np.ndarray, **columns: list[str]
) -> Measurement:
    """A dataset of as many pairs as `scores` has rows, as if it had been measured so."""
    n = len(scores)
    dataset = Dataset.open(make_dataset(folder, counts=(0, 0, n)))
    dataset.pairs.update({name: np.array(values) for name, values in columns.items()})
    write_pairs(folder, dataset.pairs)
    training = {"preset_name": "lite", "pairs": {"train": 9}, "dataset_id": "ab", "dataset_kind": "synth"}
    training["split_id"] = None
    subject = Subject("bundle", "0123456789abcdef", folder, "yuyin", "lite", training, "c0ffee")
    found = evaluate_scores(scores, dataset.pairs["track_id"], split="test")
    return Measurement(subject, dataset, np.arange(n), scores, found)


def looked_into(folder: Path, make_dataset: Callable[..., Path], n: int) -> Measurement:
    """A run of three categories, with vectors, gates and a listener to show."""
    rng = np.random.default_rng(n)
    categories = [f"{NASTY} {i % 3}" for i in range(n)]
    made = measured(folder, make_dataset, scores_of(n), category=categories)
    vectors = rng.normal(size=(2 * n, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    embedded = Embedded(np.arange(n), vectors[:n], vectors[n:], np.arange(n + 1))
    gates = {"audio": rng.uniform(0.2, 0.5, n), "emotion": rng.uniform(0.4, 0.9, n)}
    inside = Inside(scores_of(n, 0.1), rng.normal(size=(n, 5)), gates)
    heard = AudioDistance("lite/texture", 3.25, 3.0, 3.5, 4.5, 1.5)
    return replace(made, embedded=embedded, inside=inside, heard=heard)


def scores_of(n: int, better: float = 0.3) -> np.ndarray:
    return np.random.default_rng(n).normal(0, 0.2, (n, n)) + better * np.eye(n)


def read(place: Path) -> Page:
    return Page((place / "report.html").read_text("utf-8"))


def check_whole(page: Page) -> None:
    """One file, nothing run, nothing fetched, every reference leads somewhere, headings in order."""
    assert POLICY in page.values("content")
    names = [tag for tag, _ in page.tags]
    assert not {"script", "link", "img", "iframe", "object", "base"} & set(names)
    ids = Counter(page.values("id"))
    assert max(ids.values()) == 1
    wanted = [name for value in page.values("aria-labelledby") for name in value.split()]
    wanted += [value[1:] for value in page.values("href") if value.startswith("#")]
    wanted += re.findall(r"url\(#([^)]*)\)", " ".join(v for _, a in page.tags for v in a.values()))
    assert wanted
    assert set(wanted) <= set(ids)
    for attribute in ("src", "href", "xlink:href", "srcset", "action"):
        assert not any(urlsplit(value).scheme or urlsplit(value).netloc for value in page.values(attribute))
    assert "url(" not in "".join(page.texts("style"))
    assert "@import" not in "".join(page.texts("style"))
    levels = [int(tag[1]) for tag in names if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-labelledby"] in ids
            assert not {"width", "height"} & set(attributes)
    assert "#0a0b0" not in " ".join(
        v for _, a in page.tags for v in a.values()
    )  # every paint became a variable


def test_holds_the_headline_and_every_cell_of_the_table(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    tracks = [f"t{i // 2}" for i in range(30)]
    found = measured(tmp_path / "data", make_dataset, scores_of(30), track_id=tracks)
    place = tmp_path / "report"
    assert write_report(found, place, MADE) == place / "report.html"
    page = read(place)
    check_whole(page)
    assert headline(found.evaluation, "videos of the test part") in page.texts("p")
    assert any("saw these videos in training is not known" in text for text in page.texts("p"))
    cells = iter(page.texts("th", "td"))
    for row in table_rows(found.evaluation):
        for cell in row[2:]:
            assert any(text == cell for text in cells)  # in this order
    said = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert said["bundle"] == "0123456789abcdef"
    assert said["source commit"] == "c0ffee"
    assert said["measured at"] == "2026-01-02 03:04 UTC"
    assert said["split"].startswith("test: 30 pairs, 15 tracks")
    figures = json.loads((place / "evaluation.json").read_text("utf-8"))
    assert figures.pop("audio_distance") is None
    assert figures.pop("ceilings") == []
    cells = page.texts("th", "td")
    for each in figures.pop("lists"):
        way = {"V->M": "video → music", "M->V": "music → video"}[each["direction"]]
        assert cells[cells.index(f"{each['name']}, {way}") + 1] == f"{each['value']:.3f}"
    assert figures.pop("facts") == {name: said[name] for name in list(said)[-9:]}
    assert figures == json.loads(json.dumps(found.evaluation.as_dict()))


def test_the_same_measurement_gives_the_same_page(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    found = measured(tmp_path / "data", make_dataset, scores_of(12))
    first, again = (write_report(found, tmp_path / name, MADE).read_bytes() for name in ("a", "b"))
    assert first == again
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"report.html", "evaluation.json"}


@pytest.mark.parametrize(
    "scores",
    [np.array([[0.3]]), scores_of(2), scores_of(3), np.zeros((5, 5)), scores_of(1_200)],
    ids=["one pair", "two", "three", "all tied", "more than every K"],
)
def test_any_size_makes_a_page(tmp_path: Path, make_dataset: Callable[..., Path], scores: np.ndarray) -> None:
    write_report(measured(tmp_path / "data", make_dataset, scores), tmp_path, MADE)
    page = read(tmp_path)
    check_whole(page)
    ranks = [float(text.split()[1]) for text in page.texts("span") if text.startswith("rank ")]
    best = min(6, len(scores) - len(scores) // 2)
    assert all(rank > 1 for rank in ranks[best:])
    lost = sum(1 for i, row in enumerate(scores) if (row >= row[i]).sum() > 1)
    assert len(ranks) == best + min(6, len(scores) // 2, lost)
    assert ("Nothing was missed: every own clip stands first." in page.texts("p")) == (len(ranks) == best)


@pytest.mark.parametrize("n", [2, 24])
def test_what_a_run_can_show_is_on_its_page(
    tmp_path: Path, make_dataset: Callable[..., Path], n: int
) -> None:
    found = looked_into(tmp_path / "data", make_dataset, n)
    write_report(found, tmp_path, MADE)
    page = read(tmp_path)
    check_whole(page)
    assert {"maps", "gates", "similarity-before-plot-title"} <= set(page.values("id"))
    said = " ".join(page.texts("p"))
    assert "To the ear of lite/texture" in said
    assert "3.25 (95 %: 3.00 to 3.50)" in said
    apart = geometry(found.embedded.videos, found.embedded.segments)
    assert f"{apart.alignment:.3f} apart in squared distance" in said
    figures = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))
    assert figures["audio_distance"]["value"] == 3.25
    map_title = next(text for text in page.texts("title") if text.startswith("Both sides"))
    assert f"{2 * n} points" in map_title


def test_nothing_in_a_dataset_can_become_markup(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    n = 12
    names = [f"{NASTY} {i}" for i in range(n)]
    found = measured(
        tmp_path / 'data "<b>',
        make_dataset,
        scores_of(n),
        pair_id=names,
        track_id=names,
        tag=names,
        category=[f"{NASTY} {i % 2}" for i in range(n)],
    )
    write_report(found, tmp_path, MADE)
    page = read(tmp_path)
    check_whole(page)
    assert "script" not in {tag for tag, _ in page.tags}
    assert "b" not in {tag for tag, _ in page.tags}
    assert set(page.texts("h4")) <= set(names)
    assert len(page.texts("h4")) >= n // 2
    assert any(f"{NASTY} 1" in text for text in page.texts("title"))


def test_categories_are_compared_only_where_there_are_several(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    several = measured(tmp_path / "several", make_dataset, scores_of(12))
    write_report(several, tmp_path / "a", MADE)
    assert "categories" in read(tmp_path / "a").values("id")
    one = measured(tmp_path / "one", make_dataset, scores_of(12), category=["food"] * 12)
    write_report(one, tmp_path / "b", MADE)
    assert "categories" not in read(tmp_path / "b").values("id")


def test_media_that_are_there_are_linked_from_where_the_page_lies(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    videos = ["ads/one #1.mp4", "ads/missing.mp4"]
    found = measured(
        tmp_path / "data", make_dataset, scores_of(2), video_path=videos, music_path=["m.flac", "../n:1.flac"]
    )
    for name in ("ads/one #1.mp4", "m.flac", "../n:1.flac"):
        path = tmp_path / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    place = tmp_path / "some" / "where"
    write_report(found, place, MADE)
    links = [value for value in read(place).values("href") if not value.startswith("#")]
    seen = {(place / unquote(urlsplit(link).path)).resolve() for link in links}
    assert seen == {
        (tmp_path / "data" / name).resolve() for name in ("ads/one #1.mp4", "m.flac", "../n:1.flac")
    }
    start_s, length_s = found.dataset.pairs["start_s"][0], found.dataset.pairs["length_s"][0]
    assert f"../../data/m.flac#t={start_s:g},{start_s + length_s:g}" in links


def test_unseen_is_said_only_of_the_split_that_it_was_trained_on(
    tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    found = measured(tmp_path / "data", make_dataset, scores_of(12))
    data = found.dataset

    def of(split: str, **known: str) -> Measurement:
        subject = replace(found.subject, training=found.subject.training | known)
        return replace(found, subject=subject, evaluation=replace(found.evaluation, split=split))

    here = {"dataset_id": data.id, "split_id": data.split_id}
    assert queries(of("test", **here)) == "unseen videos"
    assert queries(of("train", **here)) == "videos that it was trained on"
    assert queries(of("evaluation", **here)) == "videos that its epoch was chosen by"
    assert of("test", **here).trained is not None
    for known in ({}, {"dataset_id": data.id}, here | {"split_id": "ab"}, here | {"dataset_id": "ab"}):
        assert of("test", **known).trained is None  # whose `cold` nobody knows
        for split in ("train", "test"):
            assert queries(of(split, **known)) == f"videos of the {split} part"
    write_report(of("test", **here), tmp_path, MADE)
    assert "is not known" not in " ".join(read(tmp_path).texts("p")[:4])


@pytest.mark.parametrize("kind", ["ads", "adsynth", "ave", "features", "muvi", "noise", "pairs", "synth"])
def test_adverts_are_called_so_where_they_are(
    tmp_path: Path, make_dataset: Callable[..., Path], kind: str
) -> None:
    found = measured(tmp_path / "data", make_dataset, scores_of(2), video_path=["v.mp4"] * 2)
    (tmp_path / "data" / "v.mp4").touch()
    here, other = ("advert", "video") if kind in ("ads", "adsynth", "pairs", "synth") else ("video", "advert")
    named = replace(found, dataset=replace(found.dataset, manifest={"kind": kind}))
    text = " ".join([*Page(cards(named, tmp_path)).texts("section"), *Page(reading(here)).texts("section")])
    assert f"Each {here} beside the clip that it came with" in text
    assert f"the one clip that the {here} came with" in text
    assert f"the {here}its own clip" in text.replace("\n", "")
    assert f"the {other}its" not in text.replace("\n", "")
    assert queries(named) == f"{here}s of the test part"


def test_cards_say_only_what_is_known(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    n = 12
    bare = {"category": ["Goat"] * n, "tag": [""] * n}
    found = measured(tmp_path / "data", make_dataset, np.eye(n), **bare)
    page = Page(cards(found, tmp_path))
    text = " ".join(page.texts("section"))
    assert "Factors are left out: the data set has neither 'lite' features" in text
    assert page.texts("h3").count("Missed most") == 0
    about = [each for each in page.texts("p") if each.startswith("rank ")]
    assert about == [f"rank 1 of {n} Goat"] * 6
    shown = [below for (tag, _), below in zip(page.tags, page.below, strict=True) if tag == "article"]
    assert len(shown) == 6
    assert not any("n/a" in card or "the video" in card for card in shown)
    assert all("its own clip" in card and "score" in card for card in shown)


@pytest.mark.parametrize(
    ("better", "n", "said"),
    [
        (5.0, 40, "the whole interval lies above guessing"),
        (5.0, 12, "no better than guessing can be claimed"),  # 12 of 12 where chance is .83
        (0.0, 40, "no better than guessing can be claimed"),
        (0.1, 40, "no better than guessing can be claimed"),  # .30 where chance is .25
        (-5.0, 40, "worse than guessing"),
    ],
)
def test_the_verdict_claims_no_more_than_its_interval(better: float, n: int, said: str) -> None:
    found = evaluate_scores(scores_of(n, better), np.arange(n).astype(str), split="test")
    assert said in verdict(found)


def test_the_headline_in_words() -> None:
    found = evaluate_scores(np.eye(20), np.arange(20).astype(str), split="test")
    assert headline(found, "unseen adverts").replace("\N{NO-BREAK SPACE}", " ") == (
        "Of 20 unseen adverts, the right clip is among the first 10 of 20 for 100.0 % "
        "(95 % interval 83.9 to 100.0 %; chance 50.0 %)."  # Wilson's of 20 of 20
    )
    tiny = evaluate_scores(np.eye(4), np.arange(4).astype(str), split="test")
    assert "the right clip is the first for 100.0" in headline(tiny, "adverts")


@pytest.mark.parametrize("colours", ["dark", "light"])
def test_a_browser_shows_it_alone_narrow_and_without_a_serious_fault(
    browser: Any, tmp_path: Path, make_dataset: Callable[..., Path], colours: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    made = looked_into(tmp_path / "data", make_dataset, 24)
    written = write_report(made, tmp_path / "out", MADE)
    viewport = {"width": 390, "height": 800}
    context = browser.new_context(viewport=viewport, color_scheme=colours, bypass_csp=True)  # for axe
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("() => document.documentElement.scrollWidth") == 390
    found = Axe().run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    assert asked == [written.as_uri()]
    context.close()
