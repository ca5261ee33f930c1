import json
from dataclasses import fields
from typing import Any

import pytest

from index_builder.search import Filters
from model.errors import BadOptions
from service.ranking.answers import query_of
from service.ranking.recommender import Query
from service.schemas.options import AskedFilters, Options


def parse(value: Any) -> Options:
    return Options.parse(json.dumps(value), top_k_max=100)


@pytest.mark.parametrize("text", [None, "", "  ", "{}"])
def test_no_options_are_the_defaults(text: str | None) -> None:
    options = Options.parse(text, top_k_max=100)
    assert (options.top_k, options.start_s, options.end_s) == (None, None, None)
    assert options.filters.for_search() == Filters()


def test_options_reach_the_search_as_they_were_written() -> None:
    filters = {
        "bpm": {"min": 90},
        "duration_s": {"min": 10, "max": 60.5},
        "genres": ["rock"],
        "moods": ["happy"],
    }
    filters |= {
        "energy": {"max": 0.5},
        "artists": ["Ann"],
        "key": ["Am"],
        "vocals": False,
        "explicit": False,
    }
    ids = {"include_ids": ["a", "b"], "exclude_ids": ["c"]}
    options = parse({"top_k": 3, "start_s": 1, "end_s": 2.5, "filters": filters | ids})
    assert (options.top_k, options.start_s, options.end_s) == (3, 1.0, 2.5)
    assert options.filters.for_search() == Filters(
        bpm=(90.0, None),
        duration_s=(10.0, 60.5),
        energy=(None, 0.5),
        artists=("Ann",),
        key=("Am",),
        vocals=False,
        explicit=False,
        genres=("rock",),
        moods=("happy",),
        include_ids=("a", "b"),
        exclude_ids=("c",),
    )


def test_every_filter_reaches_the_search() -> None:
    """But that by licence, which is the rights' business."""
    assert set(AskedFilters.model_fields) - {"licence"} == {field.name for field in fields(Filters)}


def test_what_is_asked_of_the_ranking_is_what_was_written() -> None:
    ranking = {"max_per_artist": 2, "diversity": 1, "segments_per_track": 3, "text": "happy"}
    asked = query_of(parse({**ranking, "reference_track_ids": ["b", "a"], "weights": [-1, 0.5]}), 7)
    assert asked == Query(
        7,
        Filters(),
        text="happy",
        references=(("b", -1.0), ("a", 0.5)),
        max_per_artist=2,
        diversity=1.0,
        segments_per_track=3,
    )
    assert query_of(parse({"reference_track_ids": ["b"]}), 1).references == (("b", 1.0),)
    assert query_of(parse({}), 10) == Query(10)


def test_every_option_is_described_and_its_examples_are_accepted() -> None:
    for model in (Options, AskedFilters):
        for name, field in model.model_fields.items():
            assert field.description, name
            for example in field.examples or []:
                extra = {"reference_track_ids": ["a", "b"]} if name == "weights" else {}
                value = extra | {name: example}
                parse(value if model is Options else {"filters": value})


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"tags": ["happy"]}, "tags"),
        ({"text": ""}, "text"),
        ({"text": ["happy"]}, "text"),
        ({"text": "x" * 201}, "text"),
        ({"reference_track_ids": "a"}, "reference_track_ids"),
        ({"reference_track_ids": [""]}, "reference_track_ids"),
        ({"reference_track_ids": ["a"] * 21}, "reference_track_ids"),
        ({"reference_track_ids": ["a", "b"], "weights": [1]}, "one for each"),
        ({"weights": [1]}, "one for each"),
        ({"reference_track_ids": ["a"], "weights": []}, "one for each"),
        ({"reference_track_ids": ["a"], "weights": [10.5]}, "weights"),
        ({"reference_track_ids": ["a"], "weights": ["1"]}, "weights"),
        ({"max_per_artist": 0}, "max_per_artist"),
        ({"max_per_artist": 1.5}, "max_per_artist"),
        ({"diversity": -0.1}, "diversity"),
        ({"diversity": 1.01}, "diversity"),
        ({"segments_per_track": 0}, "segments_per_track"),
        ({"segments_per_track": 21}, "segments_per_track"),
        ({"filters": {"vocals": "no"}}, "filters.vocals"),
        ({"filters": {"explicit": 0}}, "filters.explicit"),
        ({"filters": {"key": "A minor"}}, "filters.key"),
        ({"filters": {"energy": 0.5}}, "filters.energy"),
        ({"filters": {"artists": [None]}}, "filters.artists"),
        ({"topk": 3}, "topk"),
        ({"filters": {"tempo": {}}}, "filters.tempo"),
        ({"filters": {"bpm": {"low": 3}}}, "filters.bpm.low"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 101}, "top_k"),
        ({"top_k": "3"}, "top_k"),
        ({"top_k": 3.5}, "top_k"),
        ({"top_k": True}, "top_k"),
        ({"start_s": -1}, "start_s"),
        ({"start_s": 2, "end_s": 2}, "end_s"),
        ({"end_s": 0}, "end_s"),
        ({"filters": {"bpm": {"min": 2, "max": 1}}}, "filters.bpm"),
        ({"filters": {"bpm": 90}}, "filters.bpm"),
        ({"filters": {"genres": "rock"}}, "filters.genres"),
        ({"filters": {"genres": [1]}}, "filters.genres"),
        ({"filters": None}, "filters"),
        ([], "JSON object"),
        ("x", "JSON object"),
        (None, "JSON object"),
    ],
)
def test_a_wrong_option_is_refused_and_named(value: Any, named: str) -> None:
    with pytest.raises(BadOptions, match=named):
        parse(value)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "NaN",
        '{"diversity": NaN}',
        '{"reference_track_ids": ["a"], "weights": [Infinity]}',
        '{"start_s": NaN}',
        '{"end_s": Infinity}',
        '{"top_k": 1}{}',
        "\x00",
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BadOptions):
        Options.parse(text, top_k_max=100)


def test_a_server_may_return_less_than_a_hundred() -> None:
    assert Options.parse('{"top_k": 20}', top_k_max=20).top_k == 20
    with pytest.raises(BadOptions, match="at most 20"):
        Options.parse('{"top_k": 21}', top_k_max=20)
