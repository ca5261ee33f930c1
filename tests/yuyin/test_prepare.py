"""`yuyin dataset prepare ADS_DIR` and `yuyin features extract --with` as a shell sees them."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model.datasets.synth.music import render_track
from model.datasets.synth.pool import draw_pool
from model.datasets.table import Dataset
from model.errors import YuyinError
from model.features.spectrum import RATE_HZ
from model.media.encode import VideoWriter
from yuyin.cli.app import app

LENGTH_S = 6


@pytest.fixture(scope="module")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ads with music in two sub-folders."""
    folder = tmp_path_factory.mktemp("shop") / "ads"
    for name, track in zip(("hats", "suits"), draw_pool(2, seed=8, longest_s=10.0), strict=True):
        (folder / name).mkdir(parents=True)
        music = render_track(track.factors, RATE_HZ, stereo=False)[: LENGTH_S * RATE_HZ]
        with VideoWriter(folder / name / "ad.mp4", 64, 48, 10, sound=music, sound_rate_hz=RATE_HZ) as video:
            for level in range(LENGTH_S * 10):
                video.write(np.full((48, 64, 3), level, np.uint8))
    return folder


def prepare(*words: object) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = CliRunner().invoke(app, ["dataset", "prepare", "--processes", "1", *map(str, words)])
    if isinstance(done.exception, YuyinError):  # what `yuyin.cli.main` turns into a sentence and 2
        return 2, done.stdout, str(done.exception)
    return done.exit_code, done.stdout, done.stderr


def test_a_folder_of_ads_becomes_a_dataset_with_features(ads: Path, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    code, said, _ = prepare(ads, "-o", out)
    assert code == 0, said
    assert "2 ads of 2 tracks kept" in said
    assert f"next: yuyin features extract {out}" in said
    words = ["features", "extract", str(out), "--with", "rhythm, voice", "--processes", "1"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert Dataset.open(out).features("rhythm").values.shape[1] == 3


def test_what_is_left_out_is_told_and_exit_code_1(ads: Path, tmp_path: Path) -> None:
    (tmp_path / "ads" / "hats").mkdir(parents=True)
    (tmp_path / "ads" / "hats" / "broken.mp4").write_text("no film")
    (tmp_path / "ads" / "hats" / "ad.mp4").write_bytes((ads / "hats" / "ad.mp4").read_bytes())
    (tmp_path / "ads" / "hats" / "list.txt").write_text("other")
    code, said, complained = prepare(tmp_path / "ads", "-o", tmp_path / "out")
    assert code == 1
    assert "1 ads of 1 tracks kept" in said
    assert f"{tmp_path / 'ads' / 'hats' / 'broken.mp4'}: left out: " in complained
    assert "1 other files" in complained
    code, said, _ = prepare(tmp_path / "ads", "-o", tmp_path / "out", "--json")
    report = json.loads(said)
    assert code == 1
    assert (report["kept"], report["ignored"]) == (1, 1)
    assert [ad["file"] for ad in report["dropped"]] == ["hats/broken.mp4"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "either a folder"),
        (["{ads}", "--pairs", "{ads}/pairs.csv"], "either a folder"),
        (["--pairs", "{ads}/pairs.csv", "--track-disjoint"], "leave them out"),
        (["{ads}", "--mapping", "{ads}/mapping.csv"], "'suits' of suits/ad.mp4"),
        (["{ads}", "--vad", "{ads}/none.onnx"], "none.onnx"),
        (["{empty}"], "no videos"),
        (["{ads}", "--mapping", "{ads}/none.csv"], "none.csv"),
        (["{ads}", "--min-music", "2"], "min-music"),
        (["{empty}/none"], "none"),
    ],
)
def test_bad_input_is_exit_code_2(ads: Path, tmp_path: Path, words: list[str], sentence: str) -> None:
    (ads / "pairs.csv").write_text("video,music,start_s,category\n")
    (ads / "mapping.csv").write_text("tag,category\nhats,clothing\n")
    (tmp_path / "empty").mkdir()
    places = {"ads": ads, "empty": tmp_path / "empty"}
    code, _, complained = prepare(*(word.format(**places) for word in words), "-o", tmp_path / "out")
    assert code == 2
    assert sentence in complained
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_an_unknown_extra_is_refused_before_anything_is_extracted(ads: Path, tmp_path: Path) -> None:
    assert prepare(ads, "-o", tmp_path / "out")[0] == 0
    done = CliRunner().invoke(app, ["features", "extract", str(tmp_path / "out"), "--with", "mood"])
    assert isinstance(done.exception, YuyinError)
    assert not (tmp_path / "out" / "features").exists()
