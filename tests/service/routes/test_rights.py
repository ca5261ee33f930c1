"""What may be used for what, over HTTP: asked, changed, explained, and held to by every answer."""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from index_builder import snapshot as snapshots
from index_builder.rights.licence import FACTS, Licence
from index_builder.rights.told import Catalogued
from index_builder.rights.versions import merge, open_rights, order
from service.app import create_app
from service.edge.keys import new_key
from service.settings import SCOPES, KeyEntry, Settings

HOST = "http://127.0.0.1:8000"
ALL = ["alpha", "bravo", "charlie", "delta", "echo"]
FREE = Licence(licence_id="L1", platforms=("*",), territories=("*",), account_kinds=("*",), product_link=True)


def serve(store: Path, **settings: Any) -> TestClient:
    return TestClient(create_app(Settings(store=store, **settings)), base_url=HOST)


def tell(store: Path, **licences: Licence) -> None:
    merge(store, Catalogued(frozenset(FACTS), licences))


def ask(client: Any, clip: bytes, **licence: Any) -> dict[str, Any]:
    options = {"top_k": 100, "filters": {"licence": licence}} if licence else {"top_k": 100}
    answer = client.post("/v1/recommend", params={"options": json.dumps(options)}, content=clip)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert len(found["results"]) + sum(found["excluded"].values()) == len(ALL)
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    return sorted(result["track_id"] for result in answer["results"])


def patch(client: Any, track_id: str, **changes: Any) -> dict[str, Any]:
    answer = client.patch(f"/admin/tracks/{track_id}", json=changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def why_not(client: Any, track_id: str, **use: Any) -> dict[str, Any]:
    answer = client.get(f"/v1/tracks/{track_id}/eligibility", params=use)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["eligible"] == (not found["reasons"])
    return found


def reasons(found: dict[str, Any]) -> list[str]:
    return [one["reason"] for one in found["reasons"]]


def test_without_rights_all_may_be_returned(store: Path, clip: bytes) -> None:
    with serve(store) as client:
        answer = ask(client, clip)
        assert (ids(answer), answer["rights"], answer["excluded"]) == (ALL, None, {})
        assert {result["licence"] for result in answer["results"]} == {None}
        found = why_not(client, "alpha")
        assert (found["eligible"], found["rights"], found["licence"]) == (True, None, None)


def test_a_withdrawn_track_is_gone_at_once_and_stays_gone(both: Any, clip: bytes) -> None:
    with serve(both.store) as client:
        done = patch(client, "bravo", withdrawn=True)
        assert (done["rights"], done["licence"]["withdrawn"], done["patched"]) == ("1", True, ["withdrawn"])
        assert done["warnings"] == []
        answer = ask(client, clip)
        assert (ids(answer), answer["excluded"]) == (["alpha", "charlie", "delta", "echo"], {"withdrawn": 1})
        assert answer["rights"] == "1"
        for snapshot in (both.new, both.old):
            assert client.post(f"/admin/snapshots/{snapshot}/activate").status_code == 200
            answer = ask(client, clip)
            assert (answer["snapshot"], "bravo" in ids(answer)) == (snapshot, False)
        tell(both.store, bravo=FREE)
        assert "bravo" not in ids(ask(client, clip))
    with serve(both.store) as client:  # started anew
        answer = ask(client, clip)
        assert (ids(answer), answer["excluded"]) == ([], {"withdrawn": 1, "unknown": 4})
        assert reasons(why_not(client, "bravo")) == ["withdrawn"]
        patch(client, "bravo", withdrawn=False)
        answer = ask(client, clip)
        assert ids(answer) == ["bravo"]
        assert answer["results"][0]["licence"] == client.get("/v1/tracks/bravo").json()["licence"]
        assert answer["results"][0]["licence"]["licence_id"] == "L1"


def test_every_question_is_a_hard_filter(store: Path, clip: bytes) -> None:
    tell(
        store,
        alpha=FREE,
        bravo=Licence(platforms=("tiktok",), territories=("DE", "US"), account_kinds=("shop",)),
        charlie=Licence(platforms=("tiktok",), territories=("*",), product_link=True),
        delta=Licence(exclusive_until=datetime(9999, 1, 1, tzinfo=UTC), platforms=("*",)),
    )
    with serve(store) as client:
        unasked = ask(client, clip)
        assert (ids(unasked), unasked["excluded"]) == (ALL[:3], {"exclusive": 1, "unknown": 1})
        asked = ask(client, clip, platform="TikTok", territory="de", account="shop")
        assert (ids(asked), asked["excluded"]) == (ALL[:2], {"exclusive": 1, "unknown": 1, "account": 1})
        assert ids(ask(client, clip, platform="youtube")) == ["alpha"]
        assert ids(ask(client, clip, territory="*")) == ["alpha", "charlie"]
        assert ids(ask(client, clip, product_link=True)) == ["alpha", "charlie"]
        assert ids(ask(client, clip, product_link=False)) == ALL[:3]
        for track_id in ALL:  # why-not agrees with what comes out
            use = {"platform": "tiktok", "territory": "DE", "account": "shop"}
            assert why_not(client, track_id, **use)["eligible"] == (track_id in ids(asked))


def test_a_day_in_the_future(store: Path, clip: bytes) -> None:
    day = (datetime.now(UTC) + timedelta(days=30)).replace(hour=0, minute=0, second=0, microsecond=0)
    tell(
        store,
        alpha=Licence(valid_until=day),
        bravo=Licence(valid_until=day + timedelta(days=1)),
        charlie=Licence(valid_from=day),
        delta=Licence(valid_from=day + timedelta(hours=1)),
        echo=Licence(exclusive_until=day),
    )
    with serve(store) as client:
        assert ids(ask(client, clip)) == ["alpha", "bravo"]
        asked = ask(client, clip, on_date=f"{day:%Y-%m-%d}")
        assert ids(asked) == ["bravo", "charlie", "echo"]
        assert asked["excluded"] == {"licence_expired": 1, "not_yet_valid": 1}
        assert ids(ask(client, clip, on_date="2000-01-01")) == ["alpha", "bravo"]


def test_a_licence_that_ends_stops_the_track_by_itself(store: Path, clip: bytes) -> None:
    with serve(store) as client:
        for track_id in ALL:
            patch(client, track_id, licence_id="L")
        end = datetime.now(UTC) + timedelta(seconds=1.2)
        patch(client, "echo", valid_until=end.isoformat())
        before = ask(client, clip)
        if datetime.now(UTC) < end:  # unless this machine was too slow
            assert ids(before) == ALL
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()))
        after = ask(client, clip)
        assert (ids(after), after["excluded"]) == (ALL[:4], {"licence_expired": 1})
        assert after["rights"] == before["rights"]


def test_why_not_says_everything(store: Path) -> None:
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
    tell(
        store,
        alpha=Licence(
            platforms=("tiktok",),
            territories=("DE",),
            valid_until=past,
            exclusive_until=future,
            product_link=False,
        ),
        bravo=Licence(unreadable=("valid_until",)),
    )
    order(store, "alpha", {"withdrawn": True})
    with serve(store) as client:
        use = {"platform": "youtube", "territory": "us", "account": "shop", "product_link": "true"}
        found = why_not(client, "alpha", **use)
        assert reasons(found) == [
            "withdrawn",
            "licence_expired",
            "exclusive",
            "platform",
            "territory",
            "account",
            "product_link",
        ]
        words = {one["reason"]: one["detail"] for one in found["reasons"]}
        assert words["licence_expired"] == "the licence ends at 2020-01-01T00:00:00Z"
        assert words["territory"] == "the licence is for DE, not for US"
        assert "names no account" in words["account"]
        assert "forbids" in words["product_link"]
        assert found["licence"]["valid_until"] == "2020-01-01T00:00:00Z"
        assert reasons(why_not(client, "bravo")) == ["unknown"]
        assert "valid_until" in why_not(client, "bravo")["reasons"][0]["detail"]
        assert reasons(why_not(client, "charlie")) == ["unknown"]
        assert reasons(why_not(client, "no%2Fsuch%20one", platform="tiktok")) == [
            "not_indexed",
            "unknown",
            "platform",
        ]


@pytest.mark.parametrize(
    "use",
    [
        {"platform": ""},
        {"territory": "UK"},
        {"territory": "Germany"},
        {"on_date": "tomorrow"},
        {"on_date": "2027-02-29"},
        {"product_link": "perhaps"},
        {"platform": "x" * 201},
    ],
)
def test_questions_that_make_no_sense(client: TestClient, use: dict[str, str]) -> None:
    answer = client.get("/v1/tracks/alpha/eligibility", params=use)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
    assert next(iter(use)) in answer.json()["detail"]
    if "product_link" not in use:
        options = json.dumps({"filters": {"licence": use}})
        answer = client.post("/v1/recommend", params={"options": options}, content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        [],
        {"withdrawn": None},
        {"withdrawn": "yes"},
        {"title": "other"},
        {"territories": ["DE", "UK"]},
        {"territories": "DE"},
        {"platforms": [""]},
        {"valid_until": "31.01.2027"},
        {"valid_until": 1_800_000_000},
        {"valid_from": "2027-02-29"},
        {"valid_from": "2027-01-02", "valid_until": "2027-01-02"},
        {"licence_id": ""},
        {"product_link": 1},
        {"unreadable": []},
    ],
)
def test_changes_that_make_no_sense_change_nothing(store: Path, changes: Any) -> None:
    with serve(store) as client:
        answer = client.patch("/admin/tracks/alpha", json=changes)
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_options")
        assert client.get("/v1/tracks/alpha").json()["licence"] is None
    assert open_rights(store).version == 0


def test_all_facts_can_be_set_and_given_back(store: Path) -> None:
    tell(store, alpha=FREE)
    facts = {
        "licence_id": "X",
        "platforms": ["YouTube", "tiktok", "youtube"],
        "territories": ["us", "DE"],
        "account_kinds": [],
        "product_link": False,
        "exclusive_until": "2027-01-31",
        "valid_from": "2028-02-29T09:00:00+09:00",
        "valid_until": "2028-03-01T00:00:00.000001Z",
    }
    with serve(store) as client:
        done = patch(client, "alpha", **facts)
        assert done["licence"] == {
            **facts,
            "platforms": ["tiktok", "youtube"],
            "territories": ["DE", "US"],
            "exclusive_until": "2027-01-31T00:00:00Z",
            "valid_from": "2028-02-29T00:00:00Z",
            "withdrawn": False,
            "unreadable": [],
        }
        assert done["patched"] == sorted(facts)
        tell(store, alpha=Licence(licence_id="L2", platforms=("*",)))
        time.sleep(0.6)  # followed
        assert client.get("/v1/tracks/alpha").json()["licence"] == done["licence"]
        back = patch(client, "alpha", **dict.fromkeys(facts))
        assert (back["licence"]["licence_id"], back["licence"]["platforms"]) == ("L2", ["*"])
        assert (back["licence"]["valid_until"], back["patched"]) == (None, [])


def test_the_first_licence_of_a_store_is_warned_about(store: Path) -> None:
    with serve(store) as client:
        assert patch(client, "alpha", withdrawn=True)["warnings"] == []
        assert "not returned any more" in patch(client, "alpha", platforms=["*"])["warnings"][0]
        assert patch(client, "bravo", platforms=["*"])["warnings"] == []
    order(store, "alpha", {"platforms": None})
    with serve(store, unknown_licences="return") as client:
        assert patch(client, "alpha", platforms=["*"])["warnings"] == []


def test_only_tracks_that_somebody_knows_can_be_changed(both: Any) -> None:
    """A typing error must not look like a withdrawal; a track of another snapshot may come back with it."""
    snapshots.activate(both.store, both.new)
    tell(both.store, **{"from another pool": FREE})
    with serve(both.store) as client:
        answer = client.patch("/admin/tracks/alhpa", json={"withdrawn": True})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert patch(client, "from%20another%20pool", withdrawn=True)["rights"] == "2"
    (both.store / "CURRENT").unlink()
    with serve(both.store) as client:
        assert client.get("/readyz").status_code == 503
        assert patch(client, "alpha", withdrawn=True)["rights"] == "3", "while nothing is served yet"
        assert client.get("/v1/tracks/alpha/eligibility").status_code == 503


def test_scopes(store: Path) -> None:
    keys = {scope: new_key() for scope in SCOPES}
    entries = {
        scope: KeyEntry(sha256=sha256, scopes=frozenset({scope})) for scope, (_, sha256) in keys.items()
    }
    with serve(store, keys=entries) as client:
        for scope, (key, _) in keys.items():
            headers = {"X-API-Key": key}
            changed = client.patch("/admin/tracks/alpha", json={"withdrawn": True}, headers=headers)
            assert changed.status_code == (200 if scope == "admin" else 403)
            asked = client.get("/v1/tracks/alpha/eligibility", headers=headers)
            assert asked.status_code == (200 if scope == "catalogue" else 403)
        assert client.patch("/admin/tracks/alpha", json={"withdrawn": True}).status_code == 401


def test_rights_that_cannot_be_read_let_nothing_out(store: Path, clip: bytes) -> None:
    order(store, "alpha", {"withdrawn": True})
    path = store / "rights" / "1.json"
    text = path.read_text()
    path.write_text("{")
    with serve(store) as client:
        answer = client.post("/v1/recommend", content=clip)
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["parts"]["rights"][:7]) == (503, "refused")
        path.write_text(text)
        assert ids(ask(client, clip)) == ALL[1:]
        (store / "rights" / "2.json").write_text("{")
        (store / "rights" / "CURRENT").write_text("2\n")
        time.sleep(0.6)
        assert client.get("/readyz").json()["status"] == "degraded"
        assert ids(ask(client, clip)) == ALL[1:], "the version before keeps holding"


def test_a_withdrawal_is_in_force_on_every_replica_within_a_second(
    store: Path, clip: bytes, live: Any
) -> None:
    """Asked of one, noticed by the other; and no answer fails or names a version that goes back."""
    one, other = live(Settings(store=store)), live(Settings(store=store))
    wrong: list[str] = []
    done = threading.Event()

    def keep_asking(url: str) -> None:
        seen = 0
        with httpx.Client(base_url=url, timeout=30) as client:
            while not done.is_set():
                answer = client.post("/v1/recommend", params={"options": '{"top_k": 100}'}, content=clip)
                number = int(answer.json()["rights"] or 0)
                gone = {"alpha", "bravo"} - {result["track_id"] for result in answer.json()["results"]}
                if answer.status_code != 200 or number < seen or len(gone) != min(number, 2):
                    wrong.append(answer.text)
                seen = number

    threads = [threading.Thread(target=keep_asking, args=(server.url,)) for server in (one, other)]
    for thread in threads:
        thread.start()
    try:
        with httpx.Client(timeout=30) as client:
            for number, track_id in enumerate(("alpha", "bravo"), 1):
                url = f"{one.url}/admin/tracks/{track_id}"
                assert client.patch(url, json={"withdrawn": True}).status_code == 200
                began_s = time.monotonic()
                seen = None
                while seen != str(number):
                    assert time.monotonic() - began_s < 1.0, "not in force on the other replica"
                    seen = client.get(f"{other.url}/v1/tracks/{track_id}/eligibility").json()["rights"]
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
