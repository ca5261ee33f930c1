"""The rights columns of catalogues as people write them, through the reader and a whole build."""

import csv
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from index_builder.build import BuildJob, build
from index_builder.reader import Pool, read_pool
from index_builder.rights.cells import SAID_SINGLY, remarks
from index_builder.rights.licence import FACTS, NOTHING, Licence
from index_builder.rights.told import Catalogued
from index_builder.rights.versions import NO_RIGHTS, merge, open_rights, order

END = datetime(2028, 2, 29, tzinfo=UTC)
ROW = {
    "licence_id": "L1",
    "platforms": "TikTok; YouTube",
    "territories": "de|US",
    "account_kinds": "*",
    "product_link": "Yes",
    "exclusive_until": "",
    "valid_from": "2028-02-28T23:00-01:00",
    "valid_until": "2028-02-29T00:00:00.000001Z",
}
TYPED = {
    "licence_id": "L1",
    "platforms": ["TikTok", "YouTube"],
    "territories": ["de", "US"],
    "account_kinds": ["*"],
    "product_link": True,
    "exclusive_until": None,
    "valid_from": datetime(2028, 2, 29, tzinfo=UTC),
    "valid_until": datetime(2028, 2, 29, 0, 0, 0, 1),  # as Parquet gives a time without zone
}
READ = Licence(
    licence_id="L1",
    platforms=("tiktok", "youtube"),
    territories=("DE", "US"),
    account_kinds=("*",),
    product_link=True,
    valid_from=END,
    valid_until=END.replace(microsecond=1),
)


def pool_of(folder: Path, rows: list[dict[str, Any]], **kind: Any) -> Pool:
    """Rows without a path get a file of their own; ids are a, b, ..."""
    folder.mkdir(exist_ok=True)
    full = [
        {"path": f"{name}.wav", "track_id": name, **row} for name, row in zip("abcdefgh", rows, strict=False)
    ]
    for row in full:
        (folder / row["path"]).write_bytes(row["path"].encode())
    if kind.get("parquet"):
        pytest.importorskip("pyarrow.parquet").write_table(
            pytest.importorskip("pyarrow").Table.from_pylist(full), folder / "catalogue.parquet"
        )
    elif kind.get("jsonl"):
        text = "\n".join(json.dumps(row, default=str) for row in full)
        (folder / "catalogue.jsonl").write_text(text)
    else:
        with (folder / "catalogue.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(full[0]))
            writer.writeheader()
            writer.writerows(full)
    return read_pool(folder, lambda _done, _of: None)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_all_kinds_of_catalogue_say_the_same(tmp_path: Path, kind: str) -> None:
    pool = pool_of(tmp_path, [ROW if kind == "csv" else TYPED], **{kind: True})
    assert pool.warnings == ()
    assert pool.rights == Catalogued(frozenset(FACTS), {"a": READ})
    assert pool.tracks[0].licence == READ


def test_empty_cells_say_nothing(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, [dict.fromkeys(FACTS, " "), {**dict.fromkeys(FACTS, ""), "licence_id": "L"}])
    assert pool.rights.licences == {"a": NOTHING, "b": Licence(licence_id="L")}
    assert pool.warnings == ()


def test_columns_that_are_not_there_are_not_spoken_of(tmp_path: Path) -> None:
    assert pool_of(tmp_path / "none", [{"title": "A"}]).rights.columns == frozenset()
    some = pool_of(tmp_path / "some", [{"valid_until": ""}])
    assert (some.rights.columns, some.rights.licences) == (frozenset({"valid_until"}), {"a": NOTHING})
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "x.wav").write_bytes(b"x")
    bare = read_pool(tmp_path / "bare", lambda _done, _of: None)
    assert bare.rights.columns == frozenset()
    assert [*bare.rights.licences] == [bare.tracks[0].track_id]


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("territories", "DE; UK", "write GB"),
        ("territories", "Europe", "such as DE"),
        ("platforms", "x" * 201, "1 to 200 characters"),
        ("account_kinds", "a\tb", "1 to 200 characters"),
        ("product_link", "perhaps", "neither yes nor no"),
        ("exclusive_until", "31.01.2027", "such as 2027-01-31"),
        ("valid_from", "2027-02-29", "no instant of the calendar"),
        ("valid_until", "45322", "such as 2027-01-31"),
        ("licence_id", "x" * 201, "at most 200 characters"),
    ],
)
def test_a_cell_that_makes_no_sense_is_told_and_keeps_the_track_back(
    tmp_path: Path, column: str, text: str, said: str
) -> None:
    """Also where it is the only licence cell of the whole pool: it must not pass for no licence."""
    pool = pool_of(tmp_path / "pool", [{column: text}])
    assert pool.rights.licences == {"a": Licence(unreadable=(column,))}
    assert len(pool.warnings) == 1
    assert pool.warnings[0].startswith(f"row 2 of the catalogue: {column} is {text[:60]!r}: ")
    assert said in pool.warnings[0]
    after = merge(tmp_path / "store", pool.rights)
    assert after.any_known
    assert any(
        "1 tracks are not returned until" in one for one in remarks(pool.rights, ["a"], NO_RIGHTS, after)
    )


def test_a_licence_that_never_holds_is_told(tmp_path: Path) -> None:
    pool = pool_of(tmp_path, [{"valid_from": "2028-03-01", "valid_until": "2028-02-29"}])
    assert "not after valid_from 2028-03-01T00:00:00Z" in pool.warnings[0]
    assert pool.rights.licences["a"].unreadable == ()


def test_a_column_in_the_wrong_format_does_not_fill_the_screen(tmp_path: Path) -> None:
    rows = [f"{i}.wav,{i},01/02/2027" for i in range(SAID_SINGLY + 30)]
    (tmp_path / "catalogue.csv").write_text("\n".join(["path,track_id,valid_until", *rows]))
    pool = read_pool(tmp_path, lambda _done, _of: None)
    assert len(pool.warnings) == SAID_SINGLY + 1
    assert len(pool.rights.licences) == SAID_SINGLY + 30, "also where the file is missing today"


def test_the_first_row_of_an_id_counts(tmp_path: Path) -> None:
    """The same bytes twice without an id: one track, indexed by its first row, under that row's licence."""
    (tmp_path / "x.wav").write_bytes(b"same")
    (tmp_path / "y.wav").write_bytes(b"same")
    (tmp_path / "catalogue.csv").write_text("path,licence_id\ny.wav,first\nx.wav,second\n")
    pool = read_pool(tmp_path, lambda _done, _of: None)
    (track,) = pool.tracks
    assert (track.name, pool.rights.licences[track.track_id].licence_id) == ("y.wav", "first")


def test_remarks_say_who_is_not_returned(tmp_path: Path) -> None:
    licences = {"a": READ, "b": Licence(licence_id="L"), "c": NOTHING}
    told = Catalogued(frozenset(FACTS), licences)
    after = merge(tmp_path, told)
    text = " | ".join(remarks(told, ["a", "b", "c"], NO_RIGHTS, after))
    assert "1 of 3 tracks have no licence facts" in text
    for name in ("platforms", "territories", "account_kinds"):
        assert f"1 licences name no {name}" in text
    silent = Catalogued(frozenset(), dict.fromkeys(licences, NOTHING))
    assert "licences stay as they were" in remarks(silent, ["a"], after, merge(tmp_path, silent))[0]
    cleared = Catalogued(frozenset(FACTS), dict.fromkeys(licences, NOTHING))
    assert "any more" in remarks(cleared, ["a"], after, merge(tmp_path, cleared))[0]
    assert remarks(Catalogued(), ["a"], NO_RIGHTS, NO_RIGHTS) == []


def test_a_build_takes_the_licences_in_and_undoes_no_order(pool: Path, bundle: Path, tmp_path: Path) -> None:
    """On the conftest's pool: its catalogue gets licence columns, then loses them."""
    music, store = tmp_path / "music", tmp_path / "store"
    shutil.copytree(pool, music)
    rows = (music / "catalogue.csv").read_text().splitlines()
    cells = ["licence_id,valid_until,territories", "L1,2030-01-01,*", "L2,soon,*", ",,"]
    (music / "catalogue.csv").write_text("\n".join(map(",".join, zip(rows, cells, strict=True))) + "\n")
    order(store, "low", {"withdrawn": True})
    report = build(BuildJob(music, store, bundle, activate=False), lambda _: None)
    rights = open_rights(store)
    assert rights.version == 2, "in force before, and without, the index"
    assert rights.licence("low").withdrawn
    assert (rights.licence("low").licence_id, rights.licence("mid").unreadable) == ("L1", ("valid_until",))
    text = " | ".join(report.warnings)
    assert "row 3 of the catalogue: valid_until is 'soon'" in text
    assert "2 of 4 tracks have no licence facts" in text  # high and short; again.wav is high's audio
    (music / "catalogue.csv").write_text("\n".join(rows) + "\n")
    report = build(BuildJob(music, store, bundle), lambda _: None)
    assert "licences stay as they were" in " | ".join(report.warnings)
    assert open_rights(store).version == 2
    assert open_rights(store).licence("low").withdrawn
