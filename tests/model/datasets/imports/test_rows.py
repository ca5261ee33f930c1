from pathlib import Path

import numpy as np
import pytest

from model.datasets.imports.imported import write_imported
from model.datasets.imports.rows import read_features
from model.datasets.layout import Layout, read_layout
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.training.sampler import read_pairs

RNG = np.random.default_rng(0)
CLIPS = RNG.standard_normal((20, 4)).astype(np.float32)
SONGS = RNG.standard_normal((30, 3)).astype(np.float16)
STACKED = RNG.standard_normal((6, 5, 2))
WORDS = np.eye(3, dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "clips.npy", CLIPS)
    np.save(tmp_path / "songs.npy", SONGS)
    np.save(tmp_path / "stacked.npy", STACKED)
    np.save(tmp_path / "words.npy", WORDS)
    np.save(tmp_path / "texts.npy", np.array(["a", "b"]))
    np.save(tmp_path / "nothing.npy", np.zeros((0, 4)))
    np.save(tmp_path / "broken.npy", np.array([[0.5, np.nan], [0.5, 1]]))
    (tmp_path / "pairs.csv.npy").write_bytes(b"PK\3\4 no array")
    (tmp_path / "one").mkdir()
    np.save(tmp_path / "one" / "clip.npy", CLIPS[:7])
    return tmp_path


def write(folder: Path, *lines: str) -> Path:
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / "pairs.csv"


def small(folder: Path) -> Path:
    """Four pairs, of which two train."""
    rows = [
        f"ad{i},{split},clips.npy:{i},songs.npy:{i}"
        for i, split in enumerate(["train", "train", "evaluation", "evaluation"])
    ]
    return write(folder, HEAD, *rows)


def test_every_kind_of_cell(folder):
    path = write(
        folder,
        "pair_id,track_id,category,tag,split,group,valence,video.frames,video.seq,music.audio,music.emotion,text",
        "a,t1,shoes,boots,train,g1,-1,clips.npy:3,one/clip.npy,songs.npy:4:9,stacked.npy:0,words.npy:1",
        "b,t1,shoes,,train,g2,.5,clips.npy:0,clips.npy:2:3,songs.npy:29:30,stacked.npy:5,words.npy:0",
        "c,t2,shoes,boots,evaluation,g3,2e-1,clips.npy:19,clips.npy,songs.npy,stacked.npy:2,words.npy:1",
        "d,t3,shoes,boots,evaluation,g4,0,clips.npy:1,clips.npy:1,songs.npy:1,stacked.npy:2,words.npy:1",
    )
    report = write_imported(read_features(path, 0), folder / "out")
    dataset = Dataset.open(folder / "out")
    assert report.pairs == {"train": 2, "evaluation": 2, "test": 0}
    assert (report.tracks, report.categories) == (3, 1)
    expected = {
        "frames": [CLIPS[3:4], CLIPS[:1], CLIPS[19:], CLIPS[1:2]],
        "seq": [CLIPS[:7], CLIPS[2:3], CLIPS, CLIPS[1:2]],
        "audio": [SONGS[4:9], SONGS[29:], SONGS, SONGS[1:2]],
        "emotion": [STACKED[0], STACKED[5], STACKED[2], STACKED[2]],
        "valence": [[[-1]], [[0.5]], [[0.2]], [[0]]],
    }
    for name, rows in expected.items():
        for found, wanted in zip(dataset.features(name, "features"), rows, strict=True):
            np.testing.assert_array_equal(found.values, np.asarray(wanted, np.float32))
    layout = Layout(("frames", "seq"), ("audio", "emotion"), ("boots", "shoes"), valence=True)
    assert read_layout(dataset, "features") == layout
    pairs = read_pairs(dataset, "features")
    np.testing.assert_array_equal(pairs.texts, WORDS[[1, 0]])
    assert dataset.pairs["group"].tolist() == ["g1", "g2", "g3", "g4"]


def test_what_may_be_left_out(folder):
    report = write_imported(read_features(small(folder), 0), folder / "out")
    pairs = Dataset.open(folder / "out").pairs
    assert pairs["track_id"].tolist() == pairs["group"].tolist() == [f"ad{i}" for i in range(4)]
    assert report.categories == 0


def test_a_drawn_split_tears_no_track_and_leaves_no_category_without_training(folder):
    rows = [f"ad{i},t{i // 2},{'rare' if i > 17 else 'usual'},clips.npy:{i},songs.npy:{i}" for i in range(20)]
    path = write(folder, "pair_id,track_id,category,video.frames,music.audio", *rows)
    splits = set()
    for seed in range(10):
        imported = read_features(path, seed)
        assert (imported.split[::2] == imported.split[1::2]).all()
        assert set(imported.split[:18].tolist()) == {"train", "evaluation", "test"}
        assert imported.split[18:].tolist() == ["train"] * 2
        splits.add(tuple(imported.split.tolist()))
    assert len(splits) > 1


HEAD = "pair_id,split,video.frames,music.audio"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["pair_id,video.frames"], r"music.audio missing"),
        (["pair_id,music.audio"], r"video.NAME missing"),
        (["pair_id,video.frames,music.audio,mood"], r"\(mood\)"),
        (["pair_id,video.../up,music.audio"], r"header .* is wrong"),
        (["pair_id,video.audio,music.audio"], r"header .* is wrong"),
        (["pair_id,video.segments,music.audio"], r"header .* is wrong"),
        (["pair_id,video.frames,music.noise"], r"header .* is wrong"),
        ([HEAD], r"has no rows"),
        ([], r"header .* is wrong"),
        ([HEAD, "a,train,clips.npy:0"], r"line 2 .* has 3 cells, the header has 4"),
        ([HEAD, ",train,clips.npy:0,songs.npy:0"], r"line 2 .* has no pair_id"),
        ([HEAD, "a,dev,clips.npy:0,songs.npy:0"], r"line 2 .*split is 'dev'"),
        ([HEAD, "a,train,clips.npy:0,songs"], r"line 2: music.audio is 'songs'"),
        (
            [HEAD, "a,train,clips.npy:20,songs.npy:0"],
            r"clips.npy has rows 0 to 19: correct .*'clips.npy:20' in line 2",
        ),
        (
            [HEAD, "a,train,clips.npy:3:3,songs.npy:0"],
            r"clips.npy has rows 0 to 19: .*'clips.npy:3:3' in line 2",
        ),
        (
            [HEAD, "", "", "a,train,gone.npy:0,songs.npy:0"],
            r"line 4: there is no file .*/gone.npy: correct the cell 'gone.npy:0'",
        ),
        ([HEAD, "a,train,pairs.csv.npy,songs.npy:0"], r"line 2: pairs.csv.npy cannot be read as a .npy file"),
        ([HEAD, "a,train,texts.npy:0,songs.npy:0"], r"line 2: texts.npy holds <U1"),
        ([HEAD, "a,train,nothing.npy,songs.npy:0"], r"line 2: nothing.npy holds float64 of shape \(0, 4\)"),
        ([HEAD, "a,train,stacked.npy,songs.npy:0"], r"line 2: stacked.npy .* shape \(6, 5, 2\), not rows"),
        (["", HEAD, "", "a,train,clips.npy:0"], r"line 4 .* has 3 cells"),
        (
            [HEAD, "a,train,clips.npy:0,songs.npy:0", "", "b,dev,clips.npy,songs.npy"],
            r"line 4 .*split is 'dev'",
        ),
        (
            [HEAD, "a,train,clips.npy:0,songs.npy:0", "b,train,songs.npy:0,songs.npy:0"],
            r"line 3: video.frames has 3 numbers a row, line 2 has 4",
        ),
        ([HEAD, "a,train,clips.npy:0,songs.npy:0"], r"split 'train' has 1 pairs"),
        (
            [
                HEAD + ",category",
                *(f"{i},train,clips.npy:0,songs.npy:0,x" for i in range(2)),
                *(f"{i},evaluation,clips.npy:0,songs.npy:0,x" for i in range(2, 4)),
                "4,test,clips.npy:0,songs.npy:0,hats",
            ],
            r"no training pair has the category 'hats'",
        ),
        (
            [HEAD + ",category", "a,test,clips.npy:0,songs.npy:0,x", "b,test,clips.npy:1,songs.npy:0,"],
            r"some pairs have a category and some have none",
        ),
        (
            [HEAD + ",tag,text", *(f"{i},test,clips.npy:0,songs.npy:0,x,words.npy:{i}" for i in range(2))],
            r"lines 2 and 3 give the tag 'x' different vectors",
        ),
        (
            [HEAD + ",tag,text", *(f"{i},test,clips.npy:0,songs.npy:0,x,broken.npy:{i}" for i in (1, 0))],
            r"line 3: the text vector holds NaN",
        ),
        ([HEAD + ",text", "a,test,clips.npy:0,songs.npy:0,words.npy"], r"line 2: text names several rows"),
        *(
            ([HEAD + ",valence", f"a,test,clips.npy:0,songs.npy:0,{cell}"], f"line 2: valence is '{cell}'")
            for cell in ("calm", "nan", "-inf", "1e300")
        ),
        (
            [HEAD, "a,test,clips.npy:0,songs.npy:0", "", *["b,test,clips.npy:0,songs.npy:0"] * 2],
            r"lines 4 and 5 of .*pairs.csv have the same pair_id, 'b'",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(folder, lines, said):
    with pytest.raises(BadDataset, match=said) as raised:
        write_imported(read_features(write(folder, *lines), 0), folder / "out")
    assert "\n" not in str(raised.value)
    assert not (folder / "out" / "dataset.json").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_no_numbers_are_refused(folder, value):
    broken = CLIPS.astype(np.float64)
    broken[2, 1] = value
    np.save(folder / "clips.npy", broken)
    with pytest.raises(BadDataset, match="'frames' of pair 'ad2' holds NaN, infinite or too large"):
        write_imported(read_features(small(folder), 0), folder / "out")


def test_no_file_stays_open(folder):
    """A list may name a hundred thousand files, a process may hold a thousand."""
    for i in range(1_100):
        np.save(folder / "one" / f"{i}.npy", np.full(2, i, np.float32))
    rows = [f"{i},test,one/{i}.npy,one/{1_099 - i}.npy" for i in range(1_100)]
    imported = read_features(write(folder, HEAD, *rows), 0)
    np.testing.assert_array_equal(imported.features["frames"].values[:, 0], np.arange(1_100))
    np.testing.assert_array_equal(imported.features["audio"].values[:, 0], np.arange(1_100)[::-1])
