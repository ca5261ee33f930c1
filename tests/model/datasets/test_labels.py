from pathlib import Path

import pytest

from model.datasets.labels import read_labels
from model.errors import BadDataset

NAMES = ["suits/one.mp4", "hats/deep/two.mp4", "three.mp4"]


def labels(tmp_path, text, name="mapping.csv", names=NAMES):
    (tmp_path / name).write_text(text, "utf-8")
    return read_labels(tmp_path / name).of(tmp_path / "shop", names)


def test_without_a_mapping_the_folder_says_it():
    assert read_labels(None).of(Path("shop"), NAMES) == [("suits",) * 2, ("hats",) * 2, ("shop",) * 2]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "\ufefftag, category\nsuits,clothing\nhats,clothing\nshop,other\n"),
        ("m.csv", 'category,tag\nclothing,"suits"\nclothing,hats\nother,shop\nother,not there\n'),
        ("m.JSON", '{"categories": {"suits": "clothing", "hats": "clothing", "shop": "other"}}'),
    ],
)
def test_tags_are_merged_to_categories(tmp_path, name, text):
    assert labels(tmp_path, text, name) == [("suits", "clothing"), ("hats", "clothing"), ("shop", "other")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "tag,category,file\nsuits,clothing,\nhats,clothing,three.mp4\nsuits,,hats/deep/two.mp4\n"),
        ("m.csv", "file,tag,category\nthree.mp4,hats,clothing\n./hats/deep/two.mp4,suits,clothing\n"),
        (
            "m.json",
            '{"categories": {"suits": "clothing", "hats": "clothing"},'
            ' "files": {"three.mp4": "hats", "hats/deep/two.mp4": "suits"}}',
        ),
    ],
)
def test_a_file_can_be_given_its_tag(tmp_path, name, text):
    found = labels(tmp_path, text, name)
    assert found == [("suits", "clothing"), ("suits", "clothing"), ("hats", "clothing")]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("m.csv", "tag,category\nsuits,clothing\nhats,clothing\n", "'shop' of three.mp4"),
        ("m.csv", "tag,category\nother,x\n", "'suits' of suits/one.mp4"),
        ("m.csv", "tag,category\nsuits,clothing\nsuits,food\n", "line 3.*'clothing' elsewhere"),
        (
            "m.csv",
            "tag,category,file\nsuits,c,three.mp4\nhats,c,three.mp4\n",
            "three.mp4 is 'suits' elsewhere",
        ),
        ("m.csv", "tag,category\n,clothing\n", "line 2: there is no tag"),
        ("m.csv", "tag,category\nsuits,\n", "any tag"),
        ("m.csv", "tag,category,file\nsuits,c,\nhats,,three.mp4\n", "hats"),
        ("m.csv", "tag,category\nsuits,clothing,more\n", "more cells"),
        ("m.csv", "tag\nsuits\n", "header"),
        ("m.csv", "tag,category,mood\nsuits,a,b\n", "header"),
        ("m.csv", "tag,category,tag\nsuits,a,b\n", "header"),
        ("m.csv", "", "header"),
        ("m.json", "{", "no JSON"),
        ("m.json", "[]", "another form"),
        ("m.json", '{"categories": {"suits": ["clothing"]}}', "another form"),
        ("m.json", '{"categories": {"suits": "c"}, "moods": {}}', "another form"),
        ("m.json", '{"files": {"three.mp4": "suits"}}', "another form"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(tmp_path, name, text, says):
    with pytest.raises(BadDataset, match=says):
        labels(tmp_path, text, name)


def test_a_mapping_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "m.csv").write_bytes(b"\xff\xfe\x00\x01" * 9)
    for name in ("m.csv", "gone.csv"):
        with pytest.raises(BadDataset, match=name):
            read_labels(tmp_path / name)
