import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.artifact import write_json
from model.datasets.table import (
    Dataset,
    Ragged,
    features_folder,
    pairs_digest,
    write_array,
    write_dataset,
    write_pairs,
)
from model.errors import BadDataset
from model.features.sequence import Sequence


def columns(n=3, **changes):
    text = {name: np.array([f"{name}{i}" for i in range(n)]) for name in ("pair_id", "track_id", "group")}
    rest = {
        "category": np.full(n, "baby"),
        "tag": np.full(n, "baby care"),
        "split": np.full(n, "train"),
        "video_path": np.full(n, ""),
        "music_path": np.full(n, "mus/é.flac"),
        "length_s": np.arange(n) + 0.25,
        "start_s": np.zeros(n),
    }
    return text | rest | changes


@pytest.mark.parametrize("n", [0, 1, 5])
def test_what_is_written_is_read(tmp_path, n):
    write_dataset(tmp_path, {"kind": "made up"}, columns(n))
    dataset = Dataset.open(tmp_path)
    assert len(dataset) == n
    assert dataset.manifest["kind"] == "made up"
    for name, column in columns(n).items():
        assert dataset.pairs[name].tolist() == column.tolist()
        assert dataset.pairs[name].dtype.kind == ("f" if name.endswith("_s") else "U")


def test_a_folder_without_its_last_file_is_no_dataset(tmp_path):
    write_pairs(tmp_path, columns())
    with pytest.raises(BadDataset, match="no finished dataset"):
        Dataset.open(tmp_path)
    with pytest.raises(BadDataset, match="no finished dataset"):
        Dataset.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"split": np.array(["train", "dev", "test"])}, "dev"),
        ({"pair_id": np.array(["a", "b", "a"])}, "one pair_id, 'a'"),
        ({"length_s": np.array([1, np.nan, 2])}, "length_s"),
        ({"start_s": np.array([1.0, -1, 2])}, "start_s"),
        ({"start_s": np.array(["1", "2", "soon"])}, "no numbers"),
        ({"tag": np.array(["one"])}, "differ in length"),
    ],
)
def test_pairs_that_cannot_be_are_not_written(tmp_path, changes, says):
    with pytest.raises(BadDataset, match=says):
        write_dataset(tmp_path, {}, columns(3, **changes))
    assert not (tmp_path / "dataset.json").exists()


def test_a_missing_column_or_cell_is_named(tmp_path):
    write_dataset(tmp_path, {}, columns())
    table = pq.read_table(tmp_path / "pairs.parquet")
    pq.write_table(table.drop_columns(["tag"]), tmp_path / "pairs.parquet")
    with pytest.raises(BadDataset, match="'tag'"):
        Dataset.open(tmp_path)
    holes = table.set_column(table.column_names.index("group"), "group", pa.array(["a", None, "b"]))
    pq.write_table(holes, tmp_path / "pairs.parquet")
    with pytest.raises(BadDataset, match="empty cells"):
        Dataset.open(tmp_path)


@pytest.mark.parametrize("file", ["dataset.json", "pairs.parquet"])
def test_garbage_is_a_bad_dataset(tmp_path, file):
    write_dataset(tmp_path, {}, columns())
    (tmp_path / file).write_bytes(b"{ not what it says")
    with pytest.raises(BadDataset, match="cannot be read"):
        Dataset.open(tmp_path)


def test_an_other_schema_is_refused(tmp_path):
    write_dataset(tmp_path, {}, columns())
    manifest = json.loads((tmp_path / "dataset.json").read_text())
    write_json(tmp_path / "dataset.json", manifest | {"schema": 2})
    with pytest.raises(BadDataset, match="schema 2"):
        Dataset.open(tmp_path)


def some_rows(lengths):
    rng = np.random.default_rng(0)
    return [Sequence(rng.normal(size=(t, 4)).astype(np.float32), np.sort(rng.random(t))) for t in lengths]


def write_features(folder, rows, ids):
    Ragged.stack(rows).write(features_folder(folder, "lite"), "frames")
    write_json(features_folder(folder, "lite") / "features.json", {"pairs": pairs_digest(ids)})


def test_features_come_back_row_by_row(tmp_path):
    write_dataset(tmp_path, {}, columns(3))
    rows = some_rows([2, 0, 5])
    write_features(tmp_path, rows, columns(3)["pair_id"])
    ragged = Dataset.open(tmp_path).features("frames")
    assert len(ragged) == 3
    for found, wanted in zip(ragged, rows, strict=True):
        np.testing.assert_array_equal(found.values, wanted.values)
        np.testing.assert_array_equal(found.times_s, wanted.times_s)


def test_features_of_other_pairs_are_refused(tmp_path):
    write_dataset(tmp_path, {}, columns(3))
    with pytest.raises(BadDataset, match="features extract"):
        Dataset.open(tmp_path).features("frames")
    write_features(tmp_path, some_rows([1, 1, 1]), np.array(["x", "y", "z"]))
    with pytest.raises(BadDataset, match="other pairs"):
        Dataset.open(tmp_path).features("frames")
    write_features(tmp_path, some_rows([1, 1]), columns(3)["pair_id"])
    with pytest.raises(BadDataset, match="other pairs"):
        Dataset.open(tmp_path).features("frames")
    with pytest.raises(BadDataset, match="'motion'"):
        Dataset.open(tmp_path).features("motion")


def test_offsets_that_do_not_fit_are_refused(tmp_path):
    write_dataset(tmp_path, {}, columns(3))
    write_features(tmp_path, some_rows([1, 2, 3]), columns(3)["pair_id"])
    for offsets in ([0, 3, 1, 6], [0, 1, 3, 5], [1, 1, 3, 6], []):
        write_array(features_folder(tmp_path, "lite") / "frames.offsets.npy", np.array(offsets, np.int64))
        with pytest.raises(BadDataset, match="do not fit"):
            Dataset.open(tmp_path).features("frames")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\3\4 no array", b"no array"])
@pytest.mark.parametrize("part", ["", ".times", ".offsets"])
def test_a_file_that_holds_no_array_is_a_bad_dataset(tmp_path, part, content):
    write_dataset(tmp_path, {"kind": "ave"}, columns(3))
    write_features(tmp_path, some_rows([1, 2, 3]), columns(3)["pair_id"])
    (features_folder(tmp_path, "lite") / f"frames{part}.npy").write_bytes(content)
    with pytest.raises(BadDataset, match=r"'frames' .* cannot be read .*: import it again") as raised:
        Dataset.open(tmp_path).features("frames")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("part", "array"),
    [
        ("", np.zeros((6, 4), int)),
        ("", np.zeros(6)),
        (".times", np.float64(3)),
        (".offsets", np.array([0.0, 1, 3, 6])),
    ],
)
def test_an_array_of_another_kind_is_a_bad_dataset(tmp_path, part, array):
    write_dataset(tmp_path, {}, columns(3))
    write_features(tmp_path, some_rows([1, 2, 3]), columns(3)["pair_id"])
    write_array(features_folder(tmp_path, "lite") / f"frames{part}.npy", array)
    with pytest.raises(BadDataset, match="do not fit"):
        Dataset.open(tmp_path).features("frames")


@pytest.mark.parametrize("content", ["[]", '"text"', "3", "null"])
def test_json_that_is_no_object_is_a_bad_dataset(tmp_path, content):
    write_dataset(tmp_path, {}, columns())
    write_features(tmp_path, some_rows([1, 2, 3]), columns(3)["pair_id"])
    dataset = Dataset.open(tmp_path)
    (features_folder(tmp_path, "lite") / "features.json").write_text(content)
    with pytest.raises(
        BadDataset, match=r"features.json of .* is no JSON object: run `yuyin features extract`"
    ):
        dataset.features("frames")
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(BadDataset, match=r"dataset.json of .* is no JSON object"):
        Dataset.open(tmp_path)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("synth", "run `yuyin features extract`$"),
        ("muvi", "import it again with `yuyin dataset import --as muvi`, into a new folder$"),
        ("adsynth", "make it again with `yuyin dataset adsynth`, in a new folder$"),
    ],
)
def test_what_makes_features_anew_depends_on_what_made_them(tmp_path, kind, says):
    write_dataset(tmp_path, {"kind": kind}, columns(3))
    dataset = Dataset.open(tmp_path)
    with pytest.raises(BadDataset, match=f"no finished 'lite' features: {says}"):
        dataset.features("frames")
    write_features(tmp_path, some_rows([1, 1, 1]), np.array(["x", "y", "z"]))
    with pytest.raises(BadDataset, match=f"are of other pairs: {says}"):
        dataset.features("frames")
    if kind != "synth":
        says = "it has only 'lite' features and no media, so take a dataset that has them$"
    with pytest.raises(BadDataset, match=f"no finished 'small' features: {says}"):
        dataset.features("frames", "small")


def test_a_new_split_is_another_split_of_the_same_dataset(tmp_path):
    first, again = columns(3), columns(3, split=np.array(["train", "test", "train"]))
    write_dataset(tmp_path / "first", {}, first)
    write_dataset(tmp_path / "moved", {}, first)
    write_dataset(tmp_path / "again", {}, again)
    one, moved, other = (Dataset.open(tmp_path / name) for name in ("first", "moved", "again"))
    assert one.id == moved.id == other.id
    assert one.split_id == moved.split_id != other.split_id


def test_a_category_that_training_lacks_is_named(tmp_path):
    split = np.array(["train", "evaluation", "test"])
    for name, category in (("known", "aaa"), ("unknown", "aba"), ("late", "aab")):
        write_dataset(tmp_path / name, {}, columns(3, split=split, category=np.array(list(category))))
    Dataset.open(tmp_path / "known").check_categories()
    for name in ("unknown", "late"):
        with pytest.raises(BadDataset, match=r"no training pair of .* has the category 'b'"):
            Dataset.open(tmp_path / name).check_categories()


def test_a_pickle_is_never_read(tmp_path):
    write_dataset(tmp_path, {}, columns(1))
    write_features(tmp_path, some_rows([1]), columns(1)["pair_id"])
    np.save(features_folder(tmp_path, "lite") / "frames.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(BadDataset, match="cannot be read"):
        Dataset.open(tmp_path).features("frames")
