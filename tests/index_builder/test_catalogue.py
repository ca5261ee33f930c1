"""What is written is what is read; the numpy side agrees with the rows; damage is told."""

import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from index_builder.catalogue import Catalogue, TrackFacts, write_catalogue
from model.errors import Corrupt, NotFound

TRACKS = [
    TrackFacts("a-1", "0" * 64, 12.5),
    TrackFacts(
        track_id="b/2 \u00e9\u97f3",
        media_sha256="1" * 64,
        duration_s=200.0,
        path="deep/\u97f3.flac",
        external_id="X9",
        title="'; DROP TABLE tracks; --",
        artist="\u97f3\u4e50",
        genres=("Pop", "pop", "J-Pop"),
        moods=("calm",),
        bpm=99.5,
        key="C# minor",
        loudness_lufs=-14.2,
        energy=0.4,
        vocals=False,
        explicit=True,
        measured=("bpm",),
    ),
    TrackFacts("c", "1" * 64, 3.0, genres=("pop",)),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_catalogue(tmp_path / "catalogue.sqlite", TRACKS)
    return tmp_path / "catalogue.sqlite"


def test_rows_come_back_as_they_went(path: Path) -> None:
    catalogue = Catalogue.open(path)
    assert len(catalogue) == 3
    assert catalogue.track_ids == ("a-1", "b/2 \u00e9\u97f3", "c")
    for row, track in enumerate(TRACKS):
        want = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(track).items()}
        assert catalogue.facts(row) == want
        assert catalogue.row_of(track.track_id) == row
    assert catalogue.media() == {"0" * 64, "1" * 64}


def test_columns_and_postings_agree_with_the_rows(path: Path) -> None:
    catalogue = Catalogue.open(path)
    for name, column in catalogue.columns.items():
        told = [catalogue.facts(row)[name] for row in range(3)]
        assert [None if np.isnan(value) else value for value in column.tolist()] == told
    assert catalogue.postings("genres", " POP").tolist() == [1, 2]
    assert catalogue.postings("genres", "calm").tolist() == []
    assert catalogue.values("genres") == {"j-pop": 1, "pop": 2}


def test_unknown_tracks_are_not_found(path: Path) -> None:
    catalogue = Catalogue.open(path)
    with pytest.raises(NotFound, match="nobody"):
        catalogue.row_of("nobody")
    with pytest.raises(NotFound):
        catalogue.facts(3)
    assert catalogue.rows_of(["c", "nobody", "a-1"]).tolist() == [2, 0]


def test_the_same_tracks_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write_catalogue(tmp_path / "again.sqlite", TRACKS)
    assert (tmp_path / "again.sqlite").read_bytes() == path.read_bytes()


def test_any_thread_may_ask(path: Path) -> None:
    catalogue, found = Catalogue.open(path), []
    threads = [
        threading.Thread(target=lambda: found.extend(catalogue.facts(i % 3)["track_id"] for i in range(60)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([track.track_id for track in TRACKS] * 120)


@pytest.mark.parametrize("damage", ["missing", "text", "empty", "zeros"])
def test_damage_is_told(path: Path, damage: str) -> None:
    size = path.stat().st_size
    path.unlink()
    if damage != "missing":
        path.write_bytes({"text": b"hello " * 100, "empty": b"", "zeros": bytes(size)}[damage])
    with pytest.raises(Corrupt, match="build the snapshot again"):
        Catalogue.open(path)


def test_it_can_be_read_where_nothing_can_be_written(path: Path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        assert Catalogue.open(path).facts(0)["track_id"] == "a-1"
        assert sorted(p.name for p in path.parent.iterdir()) == ["catalogue.sqlite"]
    finally:
        path.parent.chmod(0o755)


def test_whoever_asks_at_the_same_time_reads_the_rows_once(path: Path) -> None:
    catalogue = Catalogue.open(path)
    statements: list[str] = []
    catalogue._database.set_trace_callback(statements.append)
    threads = [threading.Thread(target=catalogue.coded, args=("artist",)) for _ in range(4)]
    with catalogue._turn:
        for thread in threads:
            thread.start()
        time.sleep(0.2)  # all of them have found nothing and wait
    for thread in threads:
        thread.join()
    assert len(statements) == 1


def test_facts_of_one_word_are_coded_as_the_rows_have_them(path: Path) -> None:
    catalogue = Catalogue.open(path)
    assert catalogue.coded("artist").codes.tolist() == [-1, 0, -1]
    assert catalogue.coded("artist") is catalogue.coded("artist")
    asked = {
        "artist": ["\u97f3\u4e50 "],
        "key": ["Dbm"],
        "vocals": [False],
        "explicit": [True],
    }
    for fact, values in asked.items():
        assert catalogue.coded(fact).any_of(values).tolist() == [False, True, False], fact
        assert catalogue.coded(fact).any_of([]).tolist() == [False, False, False]
    for fact, value in {"artist": "nobody", "key": "D minor", "vocals": True, "explicit": False}.items():
        assert not catalogue.coded(fact).any_of([value]).any(), fact
