import pytest

from model.comparison.rows import PLUS, TABLES, all_rows, chosen_rows, resolve
from model.comparison.tables import CONTESTS, TABLE_KINDS
from model.errors import BadOptions
from model.systems.batch import Dims
from model.systems.catalogue import SYSTEMS, load_system

BARE = Dims({"frames": 8}, {"audio": 6}, 0, 0, 20, {"frames": 1, "audio": 1})
LABELLED = Dims({"frames": 8}, {"audio": 6}, 0, 3, 20, {"frames": 1, "audio": 1}, tags=3)
FULL = Dims(
    {"frames": 8, "flow": 1, "voice": 5},
    {"audio": 6, "emotion": 4, "rhythm": 3},
    7,
    3,
    20,
    {"frames": 4, "flow": 4, "voice": 4, "audio": 5, "emotion": 5, "rhythm": 5},
    tags=5,
    valence=True,
)


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_every_row_can_be_run_where_nothing_is_missing(row):
    found = resolve(row, FULL)
    assert found.preset == load_system(row.system).presets[row.preset]
    assert (found.missing, found.reason, found.label) == ((), "", row.label)


def test_names_fit_together():
    ids = [row.id for row in all_rows()]
    assert len(set(ids)) == len(ids)
    assert {row.system for row in all_rows()} == set(SYSTEMS)
    named = {PLUS, *ids}  # YuYin+ has rows as soon as the catalogue has it
    assert {kind.name for kind in TABLE_KINDS} == set(TABLES)
    assert {table for row in all_rows() for table in row.tables} | {"plus"} == set(TABLES)
    assert {kind.reference for kind in TABLE_KINDS} <= named
    assert {name for pair in CONTESTS for name in pair} <= named


def test_the_papers_rows_are_there():
    """Tables 2, 3 and 4 of the paper, by the names that it has."""
    by_table = {
        table: [row.label for row in chosen_rows("all", [table])[0]]
        for table in ("table2", "table3", "table4")
    }
    for name in ("Random", "CCA", "DCCA", "CEVAR", "CBVMR", "CMVAE", "MRCMV", "YuYin"):
        assert any(label.startswith(name) for label in by_table["table2"]), name
    assert by_table["table3"] == ["YuYin", "YuYin w/o E", "YuYin w/o T", "YuYin pure"]
    assert by_table["table4"][:3] == ["YuYin", "YuYin (Add)", "YuYin (Concat)"]


def test_rows_are_chosen_by_system_and_table():
    assert {row.id for row in chosen_rows("cca, dcca", ["table2"])[0]} == {"cca", "cca-plain", "dcca"}
    assert chosen_rows("all", []) == (all_rows(), TABLES)


@pytest.mark.parametrize(
    ("systems", "tables", "said"),
    [
        ("yuyn", [], "no system is called 'yuyn'"),
        ("all", ["table5"], "no table is called 'table5': choose of table2, .*variants$"),
        ("yuyn", ["table2"], "yuyin, yuyin_plus, all$"),
        ("cca", ["table3"], "table3 has no row of cca"),
    ],
)
def test_unknown_names_are_refused(systems, tables, said):
    with pytest.raises(BadOptions, match=said):
        chosen_rows(systems, tables)


def row(name):
    return next(each for each in all_rows() if each.id == name)


@pytest.mark.parametrize(
    ("name", "dims", "label"),
    [
        ("yuyin", LABELLED, "YuYin (no E, T)"),
        ("yuyin", BARE, "YuYin (no E, T, C)"),
        ("yuyin-literal", BARE, "YuYin, as published (no E, T, C)"),
        ("yuyin-pure", BARE, "YuYin pure (no C)"),
    ],
)
def test_yuyin_does_without_what_is_not_there(name, dims, label):
    found = resolve(row(name), dims)
    assert found.label == label
    assert found.preset is not None


def test_yuyin_without_emotion_and_text_is_its_pure_preset():
    assert resolve(row("yuyin-literal"), LABELLED).preset == load_system("yuyin").presets["pure"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("yuyin-wo_E", "reads text"),
        ("yuyin-concat", "'emotion'"),
        ("cmvae", "reads text"),
        ("cbvmr-same", "'emotion'"),
        ("cevar", "learns tags"),
        ("mrcmv-voice", "'voice'"),
        ("ut_cmvmr-se_r", "'flow'"),
    ],
)
def test_a_row_whose_input_is_missing_says_so(name, said):
    found = resolve(row(name), BARE)
    assert found.preset is None
    assert said in found.reason
