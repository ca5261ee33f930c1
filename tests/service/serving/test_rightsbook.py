"""One version to the end of a request, in force on all replicas at once, never an older one, never none."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from index_builder.rights.eligibility import Use
from index_builder.rights.licence import FACTS, Licence
from index_builder.rights.told import Catalogued
from index_builder.rights.versions import merge, order
from model.errors import BadOptions, Corrupt, NotReady
from service.serving.rightsbook import KEPT, Rightsbook, Ruling, UnknownLicences

NOW = datetime(2028, 2, 29, tzinfo=UTC)


@dataclass(frozen=True)
class Tracks:
    track_ids: tuple[str, ...]


@dataclass
class Read:
    """Ids that say how often somebody read them: laying rights over them does, and takes its time."""

    ids: tuple[str, ...]
    times: int = 0

    @property
    def track_ids(self) -> tuple[str, ...]:
        self.times += 1
        return self.ids


@dataclass(frozen=True)
class Index:
    """What the book needs of a snapshot."""

    id: str
    catalogue: Tracks | Read


@dataclass(frozen=True)
class Answers:
    """What answers now."""

    snapshot: Index

    def peek(self) -> "Answers":
        return self


def index(*track_ids: str) -> Index:
    return Index("-".join(track_ids), Tracks(track_ids))


AB, BC = index("a", "b"), index("b", "c")


def allowed(ruling: Ruling, now: datetime = NOW) -> list[bool]:
    return ruling.allowed(Use(), now).allowed.tolist()


def tell(store: Path, **licences: Licence) -> None:
    merge(store, Catalogued(frozenset(FACTS), licences))


@pytest.fixture
def book(tmp_path: Path) -> Rightsbook:
    made = Rightsbook(tmp_path)
    made.follow()
    return made


def test_a_store_without_rights_returns_everything(book: Rightsbook) -> None:
    ruling = book.take(AB)
    assert (ruling.version, allowed(ruling), ruling.licence("a")) == (None, [True, True], None)
    assert (book.version, book.readable, book.refused, book.any_known) == (None, True, None, False)
    assert ruling.reasons("nobody", Use(), NOW) == []


def test_a_request_keeps_its_version(tmp_path: Path, book: Rightsbook) -> None:
    before = book.take(AB)
    order(tmp_path, "a", {"withdrawn": True})
    assert book.take(AB) is before, "nobody looked yet"
    book.follow(AB)
    after = book.take(AB)
    assert (allowed(before), allowed(after)) == ([True, True], [False, True])
    assert (before.version, after.version, book.version) == (None, "1", "1")
    assert book.take(AB) is after
    assert after.reasons("a", Use(), NOW) == ["withdrawn"]


def test_every_snapshot_is_under_the_newest_version(tmp_path: Path, book: Rightsbook) -> None:
    """Activated or rolled back to: it does not matter which of them was there when a track was withdrawn."""
    book.take(AB)
    order(tmp_path, "b", {"withdrawn": True})
    assert allowed(book.take(BC)) == [False, True], "one that is seen first is a reason to look"
    assert allowed(book.take(AB)) == [True, False]
    order(tmp_path, "c", {"withdrawn": True})
    book.look(Answers(AB))()
    assert [allowed(book.take(one)) for one in (BC, AB)] == [[False, False], [True, False]]
    for one in "defgh":
        book.take(index(one))
    assert len(book._rulings) == KEPT


@pytest.mark.parametrize("change", ["order", "catalogue"])
@pytest.mark.parametrize("ready", ["AB", "BC"])
def test_rights_that_change_during_a_swap_are_laid_over_both_before_anybody_asks(
    tmp_path: Path, book: Rightsbook, change: str, ready: str
) -> None:
    """AB answers, BC is ready to; both may be asked on the event loop, where nothing may be laid."""
    indexes = {name: Index(name, Read(tuple(name.lower()))) for name in ("AB", "BC")}
    for one in indexes.values():
        book.prepare(one)
    if change == "order":
        book.patch("b", {"withdrawn": True}, indexes["AB"])
    else:
        tell(tmp_path, b=Licence(valid_until=NOW))
        book.follow(indexes["AB"])
    asked = indexes[ready]
    before = asked.catalogue.times
    ruling = book.take(asked)
    assert (ruling.version, ruling.reasons("b", Use(), NOW) != []) == ("1", True)
    assert asked.catalogue.times == before


def test_the_one_that_answers_stays_laid_when_the_next_is_prepared(tmp_path: Path, book: Rightsbook) -> None:
    """Also after going back to it, and if somebody else changed the rights meanwhile."""
    first, second, third = (Index(name, Read(tuple(name.lower()))) for name in ("AB", "BC", "BD"))
    for one in (first, second, first):
        book.prepare(one)
    order(tmp_path, "b", {"withdrawn": True})
    book.prepare(third)
    before = first.catalogue.times
    assert allowed(book.take(first)) == [True, False]
    assert first.catalogue.times == before


def test_a_licence_ends_in_that_very_microsecond(tmp_path: Path, book: Rightsbook) -> None:
    tell(tmp_path, a=Licence(valid_until=NOW), b=Licence(valid_from=NOW))
    book.follow()
    ruling = book.take(AB)
    before = NOW - timedelta(microseconds=1)
    assert [allowed(ruling, at) for at in (before, NOW)] == [[True, False], [False, True]]
    assert ruling.epoch(NOW) == ruling.epoch(before) + 1
    assert ruling.epoch(NOW) == ruling.epoch(NOW + timedelta(days=999))
    made = book.patch("a", {"valid_until": NOW + timedelta(days=2)}, AB)
    assert made.version == 2
    later = book.take(AB)
    assert later.epoch(NOW + timedelta(days=2)) == later.epoch(NOW) + 1, "an order's end is a boundary, too"
    assert later.along is ruling.along, "what the catalogue told is laid out once"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("auto", [[True, True], [True, False]]),
        ("return", [[True, True]] * 2),
        ("exclude", [[False, False], [True, False]]),
    ],
)
def test_unknown_licences(tmp_path: Path, policy: UnknownLicences, expected: list[list[bool]]) -> None:
    book = Rightsbook(tmp_path, policy)
    book.follow()
    found = [allowed(book.take(AB))]
    order(tmp_path, "b", {"withdrawn": True})
    order(tmp_path, "b", {"withdrawn": False})
    book.follow()
    assert allowed(book.take(AB)) == found[0], "a withdrawal is no licence"
    tell(tmp_path, a=Licence(licence_id="L"))
    book.follow()
    assert [*found, allowed(book.take(AB))] == expected


def test_a_licence_anywhere_in_the_store_counts(tmp_path: Path, book: Rightsbook) -> None:
    """Otherwise rolling back to an index without that track would bring the unknown ones back."""
    tell(tmp_path, c=Licence(licence_id="L"))
    book.follow()
    assert allowed(book.take(AB)) == [False, False]


def test_what_cannot_be_read_changes_nothing(tmp_path: Path, book: Rightsbook) -> None:
    order(tmp_path, "a", {"withdrawn": True})
    book.follow(AB)
    path = tmp_path / "rights" / "1.json"
    order(tmp_path, "b", {"withdrawn": True})
    second = path.with_name("2.json")
    text = second.read_text()
    second.write_text(text[:-5])
    book.follow(AB)
    assert (allowed(book.take(AB)), book.refused, book.version) == ([False, True], "corrupt", "1")
    with pytest.raises(Corrupt):
        book.patch("a", {"withdrawn": False}, AB)
    second.write_text(text)
    book.follow(AB)
    assert (allowed(book.take(AB)), book.refused) == ([False, False], None)


def test_rights_that_cannot_be_read_at_the_start_return_nothing(tmp_path: Path) -> None:
    order(tmp_path, "a", {"withdrawn": True})
    path = tmp_path / "rights" / "1.json"
    text = path.read_text()
    path.write_text("{")
    book = Rightsbook(tmp_path)
    with pytest.raises(NotReady):
        book.take(AB)
    book.follow()
    assert (book.readable, book.refused) == (False, "corrupt")
    with pytest.raises(NotReady):
        book.take(AB)
    book.prepare(AB)
    path.write_text(text)
    assert allowed(book.take(AB)) == [False, True], "without a restart"


def test_an_older_version_is_not_taken(tmp_path: Path, book: Rightsbook) -> None:
    for track_id in ("a", "b"):
        order(tmp_path, track_id, {"withdrawn": True})
    book.follow(AB)
    (tmp_path / "rights" / "CURRENT").write_text("1\n")
    book.follow(AB)
    assert (allowed(book.take(AB)), book.refused) == ([False, False], "corrupt")
    for path in (tmp_path / "rights").iterdir():
        path.unlink()
    book.follow(AB)
    assert allowed(book.take(AB)) == [False, False]


def test_a_patch_is_in_force_when_it_returns(tmp_path: Path, book: Rightsbook) -> None:
    other = Rightsbook(tmp_path)
    other.follow()
    other.patch("b", {"withdrawn": True}, None)
    made = book.patch("a", {"withdrawn": True}, AB)
    assert (made.version, allowed(book.take(AB))) == (2, [False, False])
    assert book.knows("a")
    assert not book.knows("zzz")
    with pytest.raises(BadOptions):
        book.patch("a", {"valid_from": NOW, "valid_until": NOW}, AB)
    assert book.take(AB).version == "2"


class Reader(threading.Thread):
    """Takes rulings until told to stop; version n says that b is withdrawn if n is odd."""

    def __init__(self, book: Rightsbook, snapshot: Index, done: threading.Event) -> None:
        super().__init__()
        self.book, self.snapshot, self.done = book, snapshot, done
        self.wrong: list[str] = []

    def run(self) -> None:
        seen, place = 0, self.snapshot.catalogue.track_ids.index("b")
        while not self.done.is_set():
            ruling = self.book.take(self.snapshot)
            number = int(ruling.version or 0)
            said = len(ruling.reasons("b", Use(), NOW)), allowed(ruling)[place]
            if number < seen or said != (number % 2, number % 2 == 0):
                self.wrong.append(f"{number} after {seen}: {said}")
            seen = number


def test_many_threads_see_whole_versions_that_only_grow(tmp_path: Path, book: Rightsbook) -> None:
    done = threading.Event()
    readers = [Reader(book, one, done) for one in (AB, BC)]

    def follow() -> None:
        while not done.wait(0.001):
            book.follow(AB)

    threads = [*readers, threading.Thread(target=follow)]
    for thread in threads:
        thread.start()
    for number in range(20):
        book.patch("b", {"withdrawn": number % 2 == 0}, BC)
    done.set()
    for thread in threads:
        thread.join()
    assert [one.wrong for one in readers] == [[], []]
    assert book.version == "20"
