import json

import numpy as np
import pytest
from typer.testing import CliRunner

from model.errors import BadDataset, BadOptions
from yuyin.cli.app import app


@pytest.fixture
def features(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "clips.npy", rng.standard_normal((30, 4)))
    np.save(tmp_path / "songs.npy", rng.standard_normal((30, 3)))
    rows = [f"ad{i},clips.npy:{i},songs.npy:{i}" for i in range(30)]
    (tmp_path / "pairs.csv").write_text("\n".join(["pair_id,video.frames,music.audio", *rows]))
    return tmp_path


def test_import_says_what_it_wrote(features):
    asked = [
        "dataset",
        "import",
        str(features / "pairs.csv"),
        "--as",
        "features",
        "-o",
        str(features / "out"),
    ]
    said = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert said.exit_code == 0
    assert "30 pairs of 30 tracks" in said.output
    assert "features: audio 3, frames 4; no categories" in said.output
    report = json.loads(CliRunner().invoke(app, [*asked, "--json"], catch_exceptions=False).output)
    assert sum(report["pairs"].values()) == 30
    assert report["widths"] == {"audio": 3, "frames": 4}


def test_what_it_says_is_next_can_be_done(features, monkeypatch):
    monkeypatch.chdir(features)
    asked = ["dataset", "import", "pairs.csv", "--as", "features", "-o", "out"]
    last = CliRunner().invoke(app, asked, catch_exceptions=False).output.splitlines()[-1]
    compare, train = last.removeprefix("next: ").split("; ")
    assert compare == "yuyin compare out"
    words = [*train.removeprefix("yuyin ").split(), "--set", "epochs=1"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    assert (features / "runs" / "first" / "run.json").is_file()


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["test"], "next: yuyin evaluate RUN out"),
        (["train", "evaluation"], "next: yuyin train out --system yuyin_plus -o runs/first"),
    ],
)
def test_what_cannot_be_done_with_its_splits_is_not_next(features, monkeypatch, splits, said):
    monkeypatch.chdir(features)
    rows = [f"ad{i},clips.npy:{i},songs.npy:{i},{splits[i % len(splits)]}" for i in range(30)]
    (features / "pairs.csv").write_text("\n".join(["pair_id,video.frames,music.audio,split", *rows]))
    asked = ["dataset", "import", "pairs.csv", "--as", "features", "-o", "out"]
    result = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert result.output.splitlines()[-1] == said


@pytest.mark.parametrize(
    ("asked", "error"),
    [(["--as", "ave"], BadDataset), (["--as", "features", "--emobase", "clips.npy"], BadOptions)],
)
def test_import_refuses_what_does_not_fit(features, monkeypatch, asked, error):
    monkeypatch.chdir(features)
    with pytest.raises(error):
        CliRunner().invoke(
            app, ["dataset", "import", "pairs.csv", "-o", "out", *asked], catch_exceptions=False
        )
    assert not (features / "out").exists()


def test_another_kind_is_a_usage_error(features):
    asked = ["dataset", "import", str(features / "pairs.csv"), "--as", "magic", "-o", str(features / "out")]
    assert CliRunner().invoke(app, asked).exit_code == 2
