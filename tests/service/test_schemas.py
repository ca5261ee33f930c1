import json
from typing import Any

import pytest

from index_builder.search import Filters
from model.errors import BadOptions
from service.schemas.options import Options


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
    ids = {"include_ids": ["a", "b"], "exclude_ids": ["c"]}
    options = parse({"top_k": 3, "start_s": 1, "end_s": 2.5, "filters": filters | ids})
    assert (options.top_k, options.start_s, options.end_s) == (3, 1.0, 2.5)
    assert options.filters.for_search() == Filters(
        bpm=(90.0, None),
        duration_s=(10.0, 60.5),
        genres=("rock",),
        moods=("happy",),
        include_ids=("a", "b"),
        exclude_ids=("c",),
    )


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"text": "happy"}, "text"),  # an option whose time has not come
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
    "text", ["{", "NaN", '{"start_s": NaN}', '{"end_s": Infinity}', '{"top_k": 1}{}', "\x00"]
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BadOptions):
        Options.parse(text, top_k_max=100)


def test_a_server_may_return_less_than_a_hundred() -> None:
    assert Options.parse('{"top_k": 20}', top_k_max=20).top_k == 20
    with pytest.raises(BadOptions, match="at most 20"):
        Options.parse('{"top_k": 21}', top_k_max=20)
