"""docs/openapi.json only ever grows: no route, field, value or code that was promised is taken back.

`test_reference` holds the file to be what the code says now. Here the code is held against the file as it
lies there, as it was committed last, and as it was released last, so that regenerating it hides nothing.
"""

import copy
import json
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = "docs/openapi.json"
WORDS = {"description", "title", "summary", "example", "examples", "info", "tags", "default", "openapi"}
EXACT = {"type", "$ref", "const", "format", "operationId", "in"}


def taken_back(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """What a caller who was written against `old` misses, or must do, in `new`."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_mapping(old, new, place)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_list(old, new, place)
    elif place.rsplit("/", 1)[-1] in EXACT and old != new:
        yield f"- {place}: {old!r} became {new!r}"


def _of_mapping(old: dict[str, Any], new: dict[str, Any], place: str) -> Iterator[str]:
    for name, value in old.items():
        where = f"{place}/{name}"
        inside_names = place.endswith(("/properties", "/paths", "/schemas"))
        if name in WORDS and not inside_names:
            continue
        if name in new:
            yield from taken_back(value, new[name], where)
        elif name not in {"required", "pattern", "minimum", "maximum", "maxLength", "minLength"}:
            yield f"- {where}"
    if place.endswith("/parameters/*") and new.get("required") and not old.get("required"):
        yield f"- {place}/{old['name']} became required"


def _of_list(old: list[Any], new: list[Any], place: str) -> Iterator[str]:
    if place.endswith("/parameters"):
        before = {(one["in"], one["name"]): one for one in old}
        after = {(one["in"], one["name"]): one for one in new}
        for key, one in before.items():
            if key in after:
                yield from taken_back(one, after[key], f"{place}/*")
            else:
                yield f"- {place}: {key[1]} in {key[0]}"
        yield from (
            f"- {place}: {key[1]} is asked for"
            for key in after.keys() - before.keys()
            if after[key].get("required")
        )
    elif place == "/x-errors":
        codes = {one["code"]: one["status"] for one in new}
        yield from (f"- code {one['code']}" for one in old if codes.get(one["code"]) != one["status"])
    elif place.endswith("/required"):
        yield from _of_required(old, new, place)
    else:  # enum, anyOf, oneOf, security: each of them stays, others may come
        kept = [_plain(one) for one in new]
        yield from (f"- {place}: {one!r}" for one in old if _plain(one) not in kept)


def _of_required(old: list[Any], new: list[Any], place: str) -> Iterator[str]:
    """What a caller must send may become less, what a server must answer may become more."""
    asked = any(f"/schemas/{name}/" in place for name in ASKED)
    broken = set(new) - set(old) if asked else set(old) - set(new)
    yield from (f"- {place}: {name}" for name in sorted(broken))


ASKED = (
    *("AskedFilters", "AskedLicence", "FeedbackEvent", "MediaLinksRequest", "Options", "Question"),
    *("ReindexRequest", "SentFeatures", "SentFrame", "SentRecipe", "TrackPatch"),
)


def _plain(value: Any) -> str:
    """Without words, which may become better, and bounds, which may become wider."""
    if isinstance(value, dict):
        kept = {name: _plain(one) for name, one in value.items() if name not in WORDS}
        return json.dumps({n: v for n, v in kept.items() if n in EXACT | {"items", "enum"}}, sort_keys=True)
    return json.dumps(value, sort_keys=True)


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    page = runpy.run_path(str(ROOT / "docs" / "generate.py"))["openapi_document"]()
    return dict(json.loads(page))


def git(*words: str) -> str | None:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def before() -> dict[str, str]:
    """The document as it was, by when."""
    tag = (git("describe", "--tags", "--abbrev=0", "--match", "v*") or "").strip()
    found = {
        "in the working tree": (ROOT / FILE).read_text("utf-8"),
        "committed": git("show", f"HEAD:{FILE}"),
    }
    found |= {f"released as {tag}": git("show", f"{tag}:{FILE}")} if tag else {}
    return {when: text for when, text in found.items() if text}


def test_nothing_is_taken_back(now: dict[str, Any]) -> None:
    for when, text in before().items():
        missing = list(taken_back(json.loads(text), now))
        assert not missing, f"missing of what docs/openapi.json promised ({when}):\n" + "\n".join(missing)


def test_it_says_the_same_on_every_machine(now: dict[str, Any]) -> None:
    text = (ROOT / FILE).read_text("utf-8")
    assert str(ROOT) not in text
    assert json.loads(text) == now
    assert list(now["paths"]) == sorted(now["paths"])


BREAKS = {
    "a route": lambda paths, types, codes: paths.pop("/v1/facets"),
    "a method": lambda paths, types, codes: paths["/v1/jobs/{job_id}"].pop("delete"),
    "a parameter": lambda paths, types, codes: paths["/v1/tracks"]["get"]["parameters"].pop(),
    "a body": lambda paths, types, codes: paths["/v1/recommend"]["post"]["requestBody"]["content"].pop(
        "multipart/form-data"
    ),
    "an answer": lambda paths, types, codes: paths["/v1/recommend"]["post"]["responses"].pop("202"),
    "a field": lambda paths, types, codes: types["Result"]["properties"].pop("title"),
    "a field's type": lambda paths, types, codes: types["Result"]["properties"]["rank"].update(type="string"),
    "a value": lambda paths, types, codes: types["Job"]["properties"]["state"]["enum"].remove("done"),
    "a null": lambda paths, types, codes: types["Options"]["properties"]["text"]["anyOf"].pop(),
    "what is always there": lambda paths, types, codes: types["Result"]["required"].remove("score"),
    "what may be left out": lambda paths, types, codes: types["FeedbackEvent"]["required"].append("rank"),
    "a code": lambda paths, types, codes: codes.pop(0),
    "a code's status": lambda paths, types, codes: codes[0].update(status=400),
    "a type": lambda paths, types, codes: types.pop("Track"),
    "an operation's name": lambda paths, types, codes: paths["/v1/facets"]["get"].update(operationId="other"),
    "a parameter that must be sent": lambda paths, types, codes: paths["/v1/tracks"]["get"]["parameters"][
        0
    ].update(required=True),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_taken_back_is_seen(now: dict[str, Any], what: str) -> None:
    later = copy.deepcopy(now)
    BREAKS[what](later["paths"], later["components"]["schemas"], later["x-errors"])
    assert list(taken_back(now, later))


def test_what_is_added_or_said_better_is_not_held_against_it(now: dict[str, Any]) -> None:
    later = copy.deepcopy(now)
    schemas = later["components"]["schemas"]
    later["paths"]["/v1/new"] = {"get": {"operationId": "new", "responses": {}}}
    later["x-errors"].append({"code": "new", "status": 418, "title": "New"})
    schemas["New"] = {"type": "object"}
    schemas["Result"]["properties"]["new"] = {"type": "string"}
    schemas["Result"]["required"].append("new")
    schemas["Result"]["properties"]["title"]["description"] = "better words"
    schemas["Job"]["properties"]["state"]["enum"].append("new")
    schemas["FeedbackEvent"]["required"].remove("request_id")
    schemas["Options"]["properties"]["top_k"]["description"] = "better words"
    later["paths"]["/v1/tracks"]["get"]["parameters"].append({"in": "query", "name": "new", "schema": {}})
    assert list(taken_back(now, later)) == []
