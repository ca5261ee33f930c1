"""Pools and catalogues as people make them: what is found, what is told, what is refused."""

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from index_builder.reader import Pool, PoolTrack, read_pool
from model.errors import BadPool

ROWS: list[dict[str, Any]] = [
    {
        "path": "a.mp3",
        "track_id": "A",
        "title": "First, \u00e9",
        "genres": "pop; rock",
        "bpm": "99.5",
        "vocals": "yes",
    },
    {"path": "deep/b.flac", "track_id": "B", "title": "", "genres": "jazz", "bpm": "", "vocals": ""},
]


def quiet(done: int, total: int) -> None:
    """Progress that nobody watches."""


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def write_csv(folder: Path, rows: list[dict[str, Any]], encoding: str = "utf-8") -> None:
    with (folder / "catalogue.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def by_id(pool: Pool) -> dict[str, PoolTrack]:
    return {track.track_id: track for track in pool.tracks}


def test_a_folder_of_files_is_a_pool(tmp_path: Path) -> None:
    write(tmp_path, "one.MP3", "deep/two.flac", "notes.txt", "cover.jpg", ".hidden.mp3", "deep/._two.flac")
    pool = read_pool(tmp_path, quiet)
    ids = [hashlib.sha256(name.encode()).hexdigest() for name in ("one.MP3", "deep/two.flac")]
    assert [track.track_id for track in pool.tracks] == sorted(one[:16] for one in ids)
    found = by_id(pool)[ids[1][:16]]
    assert (found.name, found.title, found.media_sha256) == ("deep/two.flac", "two", ids[1])
    assert pool.skipped == pool.warnings == ()


def test_an_id_stays_when_the_file_moves(tmp_path: Path) -> None:
    write(tmp_path, "one.mp3")
    before = read_pool(tmp_path, quiet).tracks[0].track_id
    (tmp_path / "one.mp3").rename(tmp_path / "other.mp3")
    assert read_pool(tmp_path, quiet).tracks[0].track_id == before


@pytest.mark.parametrize("kind", ["csv", "csv with byte order mark", "jsonl", "parquet"])
def test_all_kinds_of_catalogue_say_the_same(tmp_path: Path, kind: str) -> None:
    write(tmp_path, "a.mp3", "deep/b.flac", "c.wav")
    match kind:
        case "csv":
            write_csv(tmp_path, ROWS)
        case "csv with byte order mark":
            write_csv(tmp_path, ROWS, "utf-8-sig")
        case "jsonl":
            typed = [
                ROWS[0] | {"genres": ["pop", "rock"], "bpm": 99.5, "vocals": True},
                ROWS[1] | {"bpm": None},
            ]
            (tmp_path / "catalogue.jsonl").write_text("\n\n".join(json.dumps(row) for row in typed) + "\n")
        case "parquet":
            parquet = pytest.importorskip("pyarrow.parquet")
            table = pytest.importorskip("pyarrow").Table.from_pylist(ROWS)
            parquet.write_table(table, tmp_path / "catalogue.parquet")
    pool = read_pool(tmp_path, quiet)
    found = by_id(pool)
    assert set(found) == {"A", "B", hashlib.sha256(b"c.wav").hexdigest()[:16]}
    assert (found["A"].title, found["A"].genres, found["A"].bpm) == ("First, \u00e9", ("pop", "rock"), 99.5)
    assert (found["A"].vocals, found["A"].explicit) == (True, None)
    assert (found["B"].title, found["B"].bpm, found["B"].vocals) == ("b", None, None)
    assert pool.warnings == pool.skipped == ()


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path) -> None:
    """In a process whose import of pyarrow fails, as on a machine without it."""
    write(tmp_path, "a.mp3", "catalogue.parquet")
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path; from index_builder.reader import read_pool\n"
        f"read_pool(Path({str(tmp_path)!r}), lambda done, total: None)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "BadPool: catalogue.parquet needs pyarrow: 'pip install pyarrow'" in done.stderr


def test_no_module_of_the_builder_needs_pyarrow() -> None:
    heavy = "('pyarrow', 'torch', 'pandas')"
    script = f"import index_builder.__main__, sys; sys.exit(any(m in sys.modules for m in {heavy}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize(
    "name", ["../outside.mp3", "{out}/outside.mp3", "link/outside.mp3", ".", "deep/../../outside.mp3"]
)
def test_a_path_may_not_leave_the_pool(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "pool"
    write(folder, "a.mp3")
    write(tmp_path, "outside.mp3")
    (folder / "link").symlink_to(tmp_path)
    write_csv(folder, [{"path": name.format(out=tmp_path), "track_id": "A"}])
    with pytest.raises(BadPool, match="out of the pool"):
        read_pool(folder, quiet)


def test_a_linked_file_outside_is_not_followed_and_one_inside_is_the_same_file(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    write(folder, "a.mp3")
    write(tmp_path, "outside.mp3")
    (folder / "link.mp3").symlink_to(tmp_path / "outside.mp3")
    (folder / "alias.mp3").symlink_to(folder / "a.mp3")
    pool = read_pool(folder, quiet)
    assert len(pool.tracks) == 1
    assert [one.code for one in pool.skipped] == ["duplicate"]


def test_two_rows_may_not_share_an_id(tmp_path: Path) -> None:
    write(tmp_path, "a.mp3", "b.mp3")
    write_csv(tmp_path, [{"path": "a.mp3", "track_id": "A"}, {"path": "b.mp3", "track_id": "A"}])
    with pytest.raises(BadPool, match=r"'a\.mp3' and 'b\.mp3'"):
        read_pool(tmp_path, quiet)


def test_the_same_audio_twice_keeps_the_rows_of_the_catalogue(tmp_path: Path) -> None:
    for name in ("a.mp3", "b.mp3", "c.mp3", "aa.mp3"):
        (tmp_path / name).write_bytes(b"the same")
    write_csv(tmp_path, [{"path": "b.mp3", "track_id": "B"}, {"path": "c.mp3", "track_id": "C"}])
    pool = read_pool(tmp_path, quiet)
    assert [track.track_id for track in pool.tracks] == ["B", "C"]
    assert len({track.media_sha256 for track in pool.tracks}) == 1
    assert [(one.name, one.code) for one in pool.skipped] == [("a.mp3", "duplicate"), ("aa.mp3", "duplicate")]


def test_the_same_audio_twice_without_rows_is_one_track(tmp_path: Path) -> None:
    for name in ("b.mp3", "a.mp3"):
        (tmp_path / name).write_bytes(b"the same")
    pool = read_pool(tmp_path, quiet)
    assert [track.name for track in pool.tracks] == ["a.mp3"]
    assert [one.name for one in pool.skipped] == ["b.mp3"]


def test_a_row_without_its_file_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "a.mp3")
    write_csv(tmp_path, [{"path": "a.mp3", "track_id": "A"}, {"path": "gone.mp3", "track_id": "G"}])
    pool = read_pool(tmp_path, quiet)
    assert [track.track_id for track in pool.tracks] == ["A"]
    assert [(one.name, one.code) for one in pool.skipped] == [("gone.mp3", "not_found")]


HEADER = " Path, TRACK_ID ,Valid_Until, territories"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_spaces_and_capitals_in_a_header_lose_no_licence(tmp_path: Path, kind: str) -> None:
    write(tmp_path, "a.wav")
    columns = HEADER.split(",")
    row = dict(zip(columns, ("a.wav", "T1", "2020-01-01", "DE"), strict=True))
    match kind:
        case "csv":
            (tmp_path / "catalogue.csv").write_text(f"{HEADER}\n{','.join(row.values())}\n")
        case "jsonl":
            (tmp_path / "catalogue.jsonl").write_text(json.dumps(row))
        case _:
            pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
            parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "catalogue.parquet")
    pool = read_pool(tmp_path, quiet)
    (track,) = pool.tracks
    assert track.track_id == "T1"
    assert pool.rights.columns == {"valid_until", "territories"}
    assert track.licence.territories == ("DE",)
    assert track.licence.valid_until is not None
    assert pool.warnings == ()


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.wav")
    (tmp_path / "catalogue.csv").write_text("path,valid_until,Valid_Until\na.wav,2020-01-01,\n")
    with pytest.raises(BadPool, match="keep one"):
        read_pool(tmp_path, quiet)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_json_lines_end_where_json_says_so(tmp_path: Path, end: str) -> None:
    write(tmp_path, "a.wav", "b.wav")
    titles = ("one\u2028two", "three\x85four")
    rows = [{"path": name, "title": title} for name, title in zip(("a.wav", "b.wav"), titles, strict=True)]
    text = end.join(json.dumps(row, ensure_ascii=False) for row in rows) + end
    (tmp_path / "catalogue.jsonl").write_bytes(text.encode())
    assert {track.title for track in read_pool(tmp_path, quiet).tracks} == set(titles)


def test_odd_columns_and_values_are_warned_about(tmp_path: Path) -> None:
    write(tmp_path, "a.mp3")
    row = {
        "path": "a.mp3",
        "track_id": "A",
        "bpm": "fast",
        "vocals": "perhaps",
        "colour": "red",
    }
    write_csv(tmp_path, [row])
    pool = read_pool(tmp_path, quiet)
    assert (pool.tracks[0].bpm, pool.tracks[0].vocals) == (None, None)
    text = " | ".join(pool.warnings)
    assert "colour" in text
    assert "row 2 of the catalogue: bpm is 'fast'" in text
    assert "vocals is 'perhaps'" in text


@pytest.mark.parametrize("bpm", ["nan", "inf", "-3", "0"])
def test_a_tempo_is_a_number_above_0(tmp_path: Path, bpm: str) -> None:
    write(tmp_path, "a.mp3")
    write_csv(tmp_path, [{"path": "a.mp3", "bpm": bpm}])
    assert read_pool(tmp_path, quiet).tracks[0].bpm is None


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ("pop;rock", ("pop", "rock")),
        ("pop | R&B, soul|pop", ("pop", "R&B, soul")),
        ("pop, rock,,", ("pop", "rock")),
        ("  ", ()),
    ],
)
def test_lists_in_text(tmp_path: Path, told: str, names: tuple[str, ...]) -> None:
    write(tmp_path, "a.mp3")
    write_csv(tmp_path, [{"path": "a.mp3", "genres": told}])
    assert read_pool(tmp_path, quiet).tracks[0].genres == names


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("catalogue.csv", "path,bpm\na.mp3,120,99\n", "line 2"),
        ("catalogue.csv", "path,bpm\na.mp3\n", "line 2"),
        ("catalogue.csv", "title\nFirst\n", "no path"),
        ("catalogue.jsonl", '{"path": "a.mp3"}\n{"path": \n', "line 2: not JSON"),
        ("catalogue.jsonl", "[1]\n", "line 1: not a JSON object"),
        ("catalogue.parquet", "PAR1 or so", "no Parquet file"),
    ],
)
def test_a_catalogue_that_cannot_be_read_says_where(tmp_path: Path, file: str, text: str, told: str) -> None:
    write(tmp_path, "a.mp3")
    (tmp_path / file).write_text(text)
    with pytest.raises(BadPool, match=told):
        read_pool(tmp_path, quiet)


def test_a_catalogue_in_another_encoding_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a.mp3")
    write_csv(tmp_path, [{"path": "a.mp3", "title": "caf\u00e9"}], "latin-1")
    with pytest.raises(BadPool, match="UTF-8"):
        read_pool(tmp_path, quiet)


def test_two_catalogues_are_one_too_many(tmp_path: Path) -> None:
    write(tmp_path, "a.mp3", "catalogue.csv", "catalogue.jsonl")
    with pytest.raises(BadPool, match="keep one"):
        read_pool(tmp_path, quiet)


@pytest.mark.parametrize("name", ["missing", "a.mp3", "empty"])
def test_no_pool_at_all(tmp_path: Path, name: str) -> None:
    write(tmp_path, "a.mp3")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadPool, match=r"no folder|no audio"):
        read_pool(tmp_path / name, quiet)


def test_progress_counts_every_file(tmp_path: Path) -> None:
    write(tmp_path, "a.mp3", "b.mp3", "c.mp3")
    told: list[tuple[int, int]] = []
    read_pool(tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
