"""Versions only grow and are whole after any kill; no reindex undoes a PATCH; many writers lose nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_builder.lease import rights as lock
from index_builder.rights import versions
from index_builder.rights.eligibility import judge
from index_builder.rights.licence import FACTS, NOTHING, Licence
from index_builder.rights.told import Catalogued, Told
from index_builder.rights.versions import NO_RIGHTS, Rights, current, merge, open_rights, order
from model.errors import BadOptions, Corrupt, Mismatch

END = datetime(2028, 2, 29, tzinfo=UTC)
FEW = settings(max_examples=40, deadline=None, derandomize=True, database=None)
IDS = ("a", "b/\u00e9", "c\n", "d\U0001f3b5", "e")
ALL = frozenset(FACTS)


def told(store: Path, licences: dict[str, Licence], columns: frozenset[str] = ALL) -> Rights:
    return merge(store, Catalogued(columns, licences))


def parts(rights: Rights) -> tuple[Any, ...]:
    """What makes a version; its table by the hash."""
    return rights.version, rights.table, rights.orders, rights.told.track_ids


def test_a_store_without_rights_has_none(tmp_path: Path) -> None:
    assert current(tmp_path) == 0
    assert open_rights(tmp_path) is NO_RIGHTS
    assert merge(tmp_path, Catalogued()) is NO_RIGHTS
    assert told(tmp_path, {"a": NOTHING}).version == 0
    assert not list((tmp_path / "rights").glob("*.json"))


def test_versions_grow_by_one(tmp_path: Path) -> None:
    licence = Licence(platforms=("tiktok",), valid_until=END)
    seen = [
        order(tmp_path, "a", {"withdrawn": True}),
        told(tmp_path, {"b": licence}),
        order(tmp_path, "a", {"withdrawn": False}),
        order(tmp_path, "a", {"withdrawn": False}),
    ]
    assert [one.version for one in seen] == [1, 2, 3, 4]
    assert (tmp_path / "rights" / "CURRENT").read_text() == "4\n"
    assert parts(open_rights(tmp_path)) == parts(seen[-1])
    assert told(tmp_path, {"b": licence}).version == 4, "a catalogue that says nothing new makes no version"
    assert [one.any_known for one in seen] == [False, True, True, True]


def test_a_table_that_stays_is_not_read_again(tmp_path: Path) -> None:
    held = told(tmp_path, {"b": Licence(licence_id="L")})
    made = order(tmp_path, "a", {"withdrawn": True}, held=held)
    assert made.told is held.told
    assert open_rights(tmp_path, held=held).told is held.told
    assert open_rights(tmp_path, held=made) is made


def test_what_patch_set_stays_until_patch_changes_it(tmp_path: Path) -> None:
    told(tmp_path, {"a": Licence(licence_id="L1", valid_until=END, product_link=True)})
    order(tmp_path, "a", {"product_link": False, "platforms": ("tiktok",)})
    order(tmp_path, "a", {"withdrawn": True})
    after = told(tmp_path, {"a": Licence(licence_id="L2", product_link=True, platforms=("*",))})
    assert after.licence("a") == Licence(
        licence_id="L2", product_link=False, platforms=("tiktok",), withdrawn=True
    )
    assert after.patched("a") == ("platforms", "product_link", "withdrawn")
    back = order(tmp_path, "a", {"withdrawn": False, "platforms": None, "product_link": None})
    assert back.licence("a") == Licence(licence_id="L2", product_link=True, platforms=("*",))
    assert back.patched("a") == ()


def test_an_order_replaces_a_cell_that_cannot_be_read(tmp_path: Path) -> None:
    told(tmp_path, {"a": Licence(unreadable=("territories", "valid_until"))})
    order(tmp_path, "a", {"valid_until": END})
    after = order(tmp_path, "a", {"territories": ("DE",)})
    assert after.licence("a") == Licence(territories=("DE",), valid_until=END)
    assert order(tmp_path, "a", {"territories": None}).licence("a").unreadable == ("territories",)


def test_what_a_catalogue_does_not_speak_of_stays(tmp_path: Path) -> None:
    """Its columns gone, some of them gone, its tracks in another pool."""
    first = Licence(licence_id="L", valid_until=END, unreadable=("platforms",))
    told(tmp_path, {"a": first, "b": first})
    assert told(tmp_path, {"a": NOTHING}, frozenset()).licence("a") == first
    now = Licence(licence_id="M")
    after = told(tmp_path, {"a": now}, frozenset({"licence_id"}))
    assert after.licence("a") == replace(first, licence_id="M")
    assert after.licence("b") == first
    cleared = told(tmp_path, {"a": NOTHING, "b": NOTHING})
    assert not cleared.any_known
    assert cleared.table == ""
    assert parts(open_rights(tmp_path)) == parts(cleared)


def test_a_licence_must_begin_before_it_ends(tmp_path: Path) -> None:
    order(tmp_path, "a", {"valid_until": END})
    with pytest.raises(BadOptions, match="not after it begins"):
        order(tmp_path, "a", {"valid_from": END})
    assert open_rights(tmp_path).version == 1


def test_music_whose_dates_are_reversed_can_be_withdrawn(tmp_path: Path) -> None:
    """Else it would come out once its catalogue is corrected."""
    told(tmp_path, {"a": Licence(valid_from=END, valid_until=END - timedelta(days=1))})
    assert order(tmp_path, "a", {"withdrawn": True}).licence("a").withdrawn
    corrected = told(tmp_path, {"a": Licence(valid_until=END)}).licence("a")
    assert (corrected.withdrawn, corrected.valid_until) == (True, END)


@FEW
@given(st.data())
def test_a_table_comes_back_from_its_bytes(drawn: Any, data: st.DataObject) -> None:
    licences = data.draw(st.dictionaries(st.text(max_size=4), drawn.licences, max_size=6))
    licences = {one: replace(licence, withdrawn=False) for one, licence in licences.items()}
    table = Told.of(licences)
    again = Told.from_bytes(table.to_bytes())
    assert again.to_bytes() == table.to_bytes()
    assert again.track_ids == tuple(sorted(one for one, licence in licences.items() if licence.known))
    for track_id in [*licences, "", "\x00", "zzzzz"]:
        wanted = licences.get(track_id, NOTHING)
        assert again.licence(track_id) == table.licence(track_id) == (wanted if wanted.known else NOTHING)


class Model:
    """The same in two dictionaries: the oracle."""

    def __init__(self) -> None:
        self.told: dict[str, Licence] = {}
        self.orders: dict[str, dict[str, Any]] = {}

    def merge(self, columns: Sequence[str], licences: dict[str, Licence]) -> None:
        for track_id, licence in licences.items():
            before = self.told.get(track_id, NOTHING)
            facts = {name: getattr(licence if name in columns else before, name) for name in FACTS}
            odd = [name for name in FACTS if name in (licence if name in columns else before).unreadable]
            if columns:
                self.told[track_id] = Licence(**facts, unreadable=tuple(odd))

    def order(self, track_id: str, changes: dict[str, Any]) -> None:
        self.orders.setdefault(track_id, {}).update(changes)

    def licence(self, track_id: str) -> Licence:
        told, orders = self.told.get(track_id, NOTHING), self.orders.get(track_id, {})
        facts = {
            name: orders[name] if orders.get(name) is not None else getattr(told, name) for name in FACTS
        }
        odd = tuple(name for name in told.unreadable if orders.get(name) is None)
        return Licence(**facts, withdrawn=bool(orders.get("withdrawn")), unreadable=odd)


@FEW
@given(st.data())
def test_nothing_excluded_comes_out_whatever_is_merged_patched_and_activated(
    drawn: Any, data: st.DataObject
) -> None:
    """After every step, over every snapshot that may be activated or rolled back to: as the model says."""
    snapshots = [sorted(one) for one in data.draw(st.lists(st.sets(st.sampled_from(IDS)), max_size=2))]
    snapshots.append(sorted(IDS))
    model, held, seen = Model(), NO_RIGHTS, 0
    with TemporaryDirectory() as folder:
        for _ in range(data.draw(st.integers(1, 5))):
            if data.draw(st.booleans()):
                columns = data.draw(st.sets(st.sampled_from(FACTS)))
                licences = data.draw(st.dictionaries(st.sampled_from(IDS), drawn.licences, max_size=4))
                licences = {
                    one: replace(
                        licence,
                        **{name: None for name in FACTS if name not in columns},
                        withdrawn=False,
                        unreadable=tuple(name for name in licence.unreadable if name in columns),
                    )
                    for one, licence in licences.items()
                }
                merge(Path(folder), Catalogued(frozenset(columns), licences))
                model.merge(sorted(columns), licences)
            else:
                track_id, name = data.draw(st.sampled_from(IDS)), data.draw(st.sampled_from(FACTS))
                changes = data.draw(
                    st.sampled_from([{"withdrawn": True}, {"withdrawn": True}, {"withdrawn": False}])
                    | drawn.fact[name].map(lambda value, name=name: {name: value})
                )
                try:
                    order(Path(folder), track_id, changes, held=held)
                except BadOptions:
                    continue
                model.order(track_id, changes)
            held = open_rights(Path(folder), held=held)
            assert held.version >= seen
            seen = held.version
            known = any(model.licence(one).known for one in IDS)
            assert held.any_known == known
            use, now = data.draw(drawn.uses), drawn.now
            for track_ids in snapshots:
                terms, _ = held.terms(held.told.along(track_ids))
                verdict = judge(terms, use, now, unknown_passes=not known)
                wanted = [
                    not drawn.slow_reasons(model.licence(one), use, now, not known) for one in track_ids
                ]
                assert verdict.allowed.tolist() == wanted
                assert [held.licence(one) for one in track_ids] == [model.licence(one) for one in track_ids]


def test_current_gone_or_spoilt_is_the_newest(tmp_path: Path) -> None:
    order(tmp_path, "a", {"withdrawn": True})
    order(tmp_path, "b", {"withdrawn": True})
    path = tmp_path / "rights" / "CURRENT"
    for spoil in (path.unlink, lambda: path.write_bytes(b"\xff?")):
        spoil()
        assert current(tmp_path) == 2
        assert open_rights(tmp_path).licence("b").withdrawn


def test_a_writer_builds_on_the_newest_not_on_a_current_set_back(tmp_path: Path) -> None:
    for track_id in ("a", "b"):
        order(tmp_path, track_id, {"withdrawn": True})
    (tmp_path / "rights" / "CURRENT").write_text("1\n")
    after = order(tmp_path, "c", {"withdrawn": True})
    assert (after.version, sorted(after.orders)) == (3, ["a", "b", "c"])


@pytest.mark.parametrize("damage", ["gone", "cut", "other", "number", "list", "schema"])
def test_a_damaged_version_is_told(tmp_path: Path, damage: str) -> None:
    order(tmp_path, "a", {"withdrawn": True})
    path = tmp_path / "rights" / "1.json"
    text = path.read_text()
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            path.write_text(text[:-9])
        case "other":
            path.write_text(text.replace('"withdrawn": true', '"withdrawn": false'))
        case "number":
            path.rename(path.with_name("2.json"))
            (tmp_path / "rights" / "CURRENT").write_text("2")
        case "list":
            path.write_text("[]")
        case "schema":
            from model.artifact import content_id

            manifest = {**json.loads(text), "schema_version": 99}
            del manifest["id"]
            path.write_text(json.dumps({**manifest, "id": content_id(manifest)}))
    with pytest.raises(Mismatch if damage == "schema" else Corrupt):
        open_rights(tmp_path)
    with pytest.raises(Mismatch if damage == "schema" else Corrupt):
        order(tmp_path, "b", {"withdrawn": True})


@pytest.mark.parametrize("damage", [None, b"", b"PK nothing", b"flip"])
def test_a_damaged_table_is_told(tmp_path: Path, damage: bytes | None) -> None:
    told(tmp_path, {"a": Licence(licence_id="L")})
    (path,) = (tmp_path / "rights").glob("told-*.npz")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if damage is not None:
        path.write_bytes(bytes(data) if damage == b"flip" else damage)
    with pytest.raises(Corrupt, match="backup"):
        open_rights(tmp_path)
    for broken in (b"", b"PK nothing", b"\x93NUMPY"):
        with pytest.raises(Corrupt, match="index the pool again"):
            Told.from_bytes(broken)


def test_old_versions_tables_and_leftovers_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "KEEP", 3)
    folder = tmp_path / "rights"
    for number in range(6):
        told(tmp_path, {"a": Licence(licence_id=f"L{number}")})
    (folder / ".part-5.json-killed").write_text("{")
    order(tmp_path, "b", {"withdrawn": True})
    assert sorted(path.name for path in folder.glob("*.json")) == ["5.json", "6.json", "7.json"]
    assert not list(folder.glob(".part-*"))
    told(tmp_path, {"a": Licence(licence_id="last")})
    named = {json.loads(path.read_text())["table"][:16] for path in folder.glob("*.json")}
    assert {path.stem.removeprefix("told-") for path in folder.glob("told-*.npz")} == named
    assert open_rights(tmp_path).licence("a").licence_id == "last"


WRITER = """
import sys
from pathlib import Path
from index_builder.rights.licence import Licence
from index_builder.rights.told import Catalogued
from index_builder.rights.versions import merge, order
store, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for i in range(count):
    if i % 5 == 4:
        columns = frozenset({"licence_id"})
        made = merge(store, Catalogued(columns, {f"{name}-told": Licence(licence_id=str(i))}))
        print("told", i, made.version, flush=True)
    else:
        print("order", i, order(store, f"{name}-{i}", {"withdrawn": True}).version, flush=True)
"""


def writer(store: Path, name: str, count: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", WRITER, str(store), name, str(count)]
    started = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def go(started: subprocess.Popen[str]) -> None:
    assert started.stdin is not None
    started.stdin.write("\n")
    started.stdin.flush()


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    count = 10
    writers = [writer(tmp_path, name, count) for name in ("x", "y", "z")]
    for one in writers:
        go(one)
    said = [one.communicate()[0].splitlines() for one in writers]
    numbers = [int(line.split()[2]) for lines in said for line in lines]
    assert sorted(numbers) == list(range(1, 3 * count + 1)), "each change is a version of its own"
    after = open_rights(tmp_path)
    assert set(after.orders) == {f"{name}-{i}" for name in "xyz" for i in range(count) if i % 5 != 4}
    assert [after.licence(f"{name}-told").licence_id for name in "xyz"] == [str(count - 1)] * 3


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_leaves_what_was_acknowledged(tmp_path: Path, seed: int) -> None:
    """kill -9 somewhere in a write; the next reader and the next writer find all that was said to be done."""
    rng = random.Random(seed)
    started = writer(tmp_path, "x", 10_000)
    go(started)
    time.sleep(0.02 + 0.2 * rng.random())
    os.kill(started.pid, signal.SIGKILL)
    out = started.communicate()[0]
    lines = [line.split() for line in out[: out.rfind("\n") + 1].splitlines()]
    after = open_rights(tmp_path)
    assert after.version >= max((int(number) for _, _, number in lines), default=0)
    assert all(after.licence(f"x-{i}").withdrawn for kind, i, _ in lines if kind == "order")
    last = [i for kind, i, _ in lines if kind == "told"]
    assert not last or int(after.licence("x-told").licence_id or "-1") >= int(last[-1])
    with lock(tmp_path):
        pass  # the dead hold no lock
    again = order(tmp_path, "y", {"withdrawn": True})
    assert set(after.orders) < set(again.orders)
    assert not list((tmp_path / "rights").glob(".part-*"))


DYING = """
import os, sys
from pathlib import Path
from index_builder.rights.versions import open_rights, order
store = Path(sys.argv[1])

def die_after(steps):
    def dying(real):
        def call(*arguments, **named):
            nonlocal steps
            steps -= 1
            if steps < 0:
                os._exit(9)
            return real(*arguments, **named)
        return call
    for name in ("replace", "fsync", "open", "truncate", "pwrite", "unlink", "mkdir"):
        setattr(os, name, dying(getattr(os, name)))

order(store, "a", {"withdrawn": True})
ended, steps = 9, -1
while ended:
    steps += 1
    before = open_rights(store)
    child = os.fork()
    if child == 0:
        die_after(steps)
        order(store, "b", {"licence_id": str(steps)})
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, 9), ended
    after = open_rights(store)
    assert after.licence("a").withdrawn
    assert after.version in (before.version, before.version + 1)
    written = after.licence("b").licence_id == str(steps)
    assert written == (after.version > before.version) and (written or ended)
    next_one = order(store, "c", {"licence_id": str(steps)})
    assert next_one.version > after.version and open_rights(store).licence("c").licence_id == str(steps)
print(steps)
"""


def test_dead_at_every_single_step_of_a_write(tmp_path: Path) -> None:
    """Each system call that changes the disk is the last one: what stands is the old or the new version."""
    done = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 6, "a write has more steps than that"
