import shutil

import numpy as np
import pytest

from model.artifact import sha256_of
from model.datasets.prepare import prepare_pairs
from model.datasets.table import Dataset
from model.errors import BadDataset
from model.media.encode import VideoWriter, write_audio


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Four pictures of 1..4 s and four tracks of 6 s; the last two tracks are one recording."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    for i in range(4):
        with VideoWriter(folder / f"ad{i}.mp4", 64, 48, 10) as video:
            for _ in range(10 * (i + 1)):
                video.write(np.full((48, 64, 3), 40 * i, np.uint8))
        if i < 3:
            write_audio(
                folder / f"m{i}.wav", rng.normal(0, 0.1, 48_000).astype(np.float32), 8_000, codec="wav"
            )
    shutil.copy(folder / "m2.wav", folder / "same.wav")
    (folder / "text.mp4").write_text("no film at all")
    return folder


def prepared(shop, tmp_path, text, name="pairs.csv"):
    (shop / name).write_text(text, "utf-8")
    report = prepare_pairs(shop / name, tmp_path / "out")
    return report, Dataset.open(tmp_path / "out")


def test_rows_become_pairs(shop, tmp_path):
    report, dataset = prepared(
        shop,
        tmp_path,
        "\ufeffvideo, music ,start_s,category,tag,group\n"
        "ad0.mp4,m0.wav,0,clothing,suits,autumn\n"
        "ad3.mp4,same.wav,2.5,food,,\n"
        '"ad1.mp4",m2.wav,1,food,snacks,\n',
    )
    assert (report.kept, report.tracks, report.dropped) == (3, 2, ())
    pairs = dataset.pairs
    np.testing.assert_allclose(pairs["length_s"], [1, 4, 2])
    np.testing.assert_allclose(pairs["start_s"], [0, 2.5, 1])
    assert pairs["tag"].tolist() == ["suits", "food", "snacks"]
    recording = sha256_of(shop / "m2.wav")[:16]
    assert pairs["track_id"].tolist()[1:] == [recording, recording]
    assert pairs["group"].tolist() == ["autumn", recording, recording]
    assert pairs["split"][1] == pairs["split"][2] != pairs["split"][0]
    for i, name in enumerate(("ad0.mp4", "ad3.mp4", "ad1.mp4")):
        assert (dataset.folder / pairs["video_path"][i]).samefile(shop / name)
    assert dataset.manifest["categories"] == ["clothing", "food"]


def test_bad_rows_are_named_with_their_line_and_left_out(shop, tmp_path):
    report, dataset = prepared(
        shop,
        tmp_path,
        "video,music,start_s,category\n"
        "ad0.mp4,m0.wav,0,clothing\n"  # line 2: good
        "gone.mp4,m0.wav,0,clothing\n"
        "text.mp4,m0.wav,0,clothing\n"
        "ad0.mp4,text.mp4,0,clothing\n"
        "ad0.mp4,m0.wav,9,clothing\n"
        "ad0.mp4,m0.wav,soon,clothing\n"
        "ad0.mp4,m0.wav,-1,clothing\n"
        "ad0.mp4,m0.wav,inf,clothing\n"
        "ad0.mp4,m0.wav,0,\n"
        "ad0.mp4,m0.wav,0,a,b\n"
        "ad0.mp4,m0.wav,0.0,clothing\n"  # line 12: line 2 again
        "m1.wav,m1.wav,0,clothing\n",
    )
    assert report.kept == len(dataset) == 1
    said = dict(report.dropped)
    assert sorted(said) == list(range(3, 14))
    for line, word in {
        3: "gone.mp4",
        4: "text.mp4",
        5: "text.mp4",
        6: "behind the end",
        7: "soon",
        8: "-1",
        9: "inf",
        10: "category",
        11: "more cells",
        12: "above",
        13: "moving picture",
    }.items():
        assert word in said[line], said[line]


def test_a_given_split_is_kept_and_torn_tracks_are_told(shop, tmp_path):
    report, dataset = prepared(
        shop,
        tmp_path,
        "video,music,start_s,category,split\n"
        "ad0.mp4,m0.wav,0,a,train\nad1.mp4,m0.wav,0,a,evaluation\nad2.mp4,m1.wav,0,a,dev\n",
    )
    assert dataset.pairs["split"].tolist() == ["train", "evaluation"]
    assert report.dropped[0][0] == 4
    assert any("more than one split" in warning for warning in report.warnings)


def test_neither_a_track_nor_a_group_is_torn(shop, tmp_path):
    rows = [("m0", "x"), ("m0", "y"), ("m1", "y"), ("m1", "z"), ("m2", "w"), ("m2", "v"), ("m2", "u")]
    text = "".join(f"ad{i % 4}.mp4,{m}.wav,{i / 10},a,{g}\n" for i, (m, g) in enumerate(rows))
    _, dataset = prepared(shop, tmp_path, "video,music,start_s,category,group\n" + text)
    split = dataset.pairs["split"].tolist()
    assert len(set(split[:4])) == len(set(split[4:])) == 1
    assert split[0] != split[4]


def test_pair_ids_follow_the_pair_not_the_line(shop, tmp_path):
    head, one, two = "video,music,start_s,category\n", "ad0.mp4,m0.wav,0,a\n", "ad1.mp4,m1.wav,0,a\n"
    _, there = prepared(shop, tmp_path, head + one + two)
    _, back = prepared(shop, tmp_path, head + two + one)
    assert there.pairs["pair_id"].tolist() == back.pairs["pair_id"].tolist()[::-1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("video,music,start_s\na,b,0\n", "category missing"),
        ("video,music,start_s,category,mood\na,b,0,c,d\n", "mood"),
        ("video,music,start_s,category,tag,tag\na,b,0,c,d,e\n", "twice"),
        ("", "missing"),
        ("video,music,start_s,category\n", "no rows"),
        ("video,music,start_s,category\ngone,gone,0,c\n", "line 2"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(shop, tmp_path, text, says):
    with pytest.raises(BadDataset, match=says):
        prepared(shop, tmp_path, text, "bad.csv")
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00\x01" * 9)
    with pytest.raises(BadDataset, match="UTF-8"):
        prepare_pairs(tmp_path / "pairs.csv", tmp_path / "out")
