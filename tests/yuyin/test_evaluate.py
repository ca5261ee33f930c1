"""`yuyin evaluate` as a shell sees it: the table, the JSON, and where the report lands."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from model.artifact import write_json
from model.bundle import shipped_bundle
from model.datasets.layout import Layout, write_features
from model.datasets.table import Dataset, Ragged, features_folder, pairs_digest, write_dataset
from model.errors import BadOptions
from model.evaluation.run import measure
from model.features.extractors import identity
from model.features.profiles import load_profile
from model.features.sequence import Sequence
from yuyin.cli.app import app

PAIRS = 6


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of noise, as wide as the shipped bundle's features."""
    folder = tmp_path_factory.mktemp("evaluate") / "noise"
    rng, profile, ids = np.random.default_rng(0), load_profile("lite"), [f"p{i}" for i in range(PAIRS)]
    same = {"split": "test", "category": "food", "tag": "snacks", "video_path": "", "music_path": ""}
    pairs = {name: np.array([value] * PAIRS) for name, value in same.items()}
    pairs |= {name: np.array(ids) for name in ("pair_id", "track_id", "group")}
    write_dataset(
        folder, {"kind": "noise"}, pairs | {"length_s": np.full(PAIRS, 15), "start_s": np.zeros(PAIRS)}
    )
    extractors, times_s = profile.video | profile.music, np.arange(3) * 5.0 + 2.5
    into = features_folder(folder, "lite")
    for name, extractor in extractors.items():
        count = 1 if name == "emotion" else 3
        width = len(extractor.features)
        rows = [
            Sequence(rng.normal(size=(count, width)).astype(np.float32), times_s[:count])
            for _ in range(PAIRS)
        ]
        Ragged.stack(rows).write(into, name)
    spans = Sequence(np.array([[0, 15]], np.float32), np.array([7.5]))
    Ragged.stack([spans] * PAIRS).write(into, "segments")
    recipe = {"extractors": {name: identity(each) for name, each in extractors.items()}}
    write_json(into / "features.json", {"pairs": pairs_digest(np.array(ids)), "recipe": recipe})
    return folder


def test_prints_the_table_and_writes_the_report_below_the_current_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["evaluate", str(shipped_bundle()), str(data)])
    assert result.exit_code == 0, result.output
    name = json.loads((shipped_bundle() / "bundle.json").read_text("utf-8"))["id"]
    page = Path("reports") / f"{name}-noise-test" / "report.html"
    assert f"report: {page}" in result.stdout
    assert page.is_file()
    assert "strict" in result.stdout
    assert "shared: as strict, since every track has one clip" in result.stdout
    assert "cold: n/a (it is not known which tracks training heard)" in result.stdout
    assert f"Of {PAIRS} videos of the test part" in page.read_text("utf-8")


def test_json_stays_alone_on_standard_output(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "here"
    words = ["evaluate", str(shipped_bundle()), str(data), "-o", str(out), "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    expected = measure(shipped_bundle(), Dataset.open(data)).evaluation.as_dict()
    assert json.loads(result.stdout) == json.loads(json.dumps(expected))
    assert f"report: {out / 'report.html'}" in result.stderr
    assert {path.name for path in out.iterdir()} == {"report.html", "evaluation.json"}


def test_what_the_bundle_does_not_read_may_listen(data: Path, tmp_path: Path) -> None:
    heard = Ragged.stack([Sequence(np.full((1, 2), i, np.float32), np.zeros(1)) for i in range(PAIRS)])
    ids = Dataset.open(data).pairs["pair_id"]
    layout = Layout(video=("seen",), music=("audio",))
    write_features(data, ids, "ear", layout, {"seen": heard, "audio": heard}, None, {})
    words = ["evaluate", str(shipped_bundle()), str(data), "-o", str(tmp_path), "--listener"]
    result = CliRunner().invoke(app, [*words, "ear/audio"])
    assert result.exit_code == 0, result.output
    heard = json.loads((tmp_path / "evaluation.json").read_text("utf-8"))["audio_distance"]
    assert heard["encoder"] == "ear/audio"
    assert heard["floor"] == pytest.approx(
        np.sqrt(2 / np.var(range(PAIRS)))
    )  # the next one, 1 away in 2 columns
    assert "To the ear of ear/audio" in (tmp_path / "report.html").read_text("utf-8")
    refused = CliRunner().invoke(app, [*words, "lite/audio"])
    assert isinstance(refused.exception, BadOptions)
    assert "judged by itself" in str(refused.exception)


def test_a_second_report_takes_the_place_of_the_first(data: Path, tmp_path: Path) -> None:
    for _ in range(2):
        words = ["evaluate", str(shipped_bundle()), str(data), "-o", str(tmp_path)]
        assert CliRunner().invoke(app, words).exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "evaluation.json"}


def test_a_report_never_goes_into_what_it_measures(data: Path) -> None:
    inside = shipped_bundle() / "reports"
    result = CliRunner().invoke(app, ["evaluate", str(shipped_bundle()), str(data), "-o", str(inside)])
    assert isinstance(result.exception, BadOptions)
    assert not inside.exists()


def test_what_is_neither_a_run_nor_a_bundle_is_refused_as_such(data: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(data), str(data)])
    assert isinstance(result.exception, BadOptions)
    assert str(result.exception).startswith(f"{data} is neither a run nor a bundle: name what")


def test_an_unknown_split_is_refused_with_the_three_there_are(data: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", str(shipped_bundle()), str(data), "--split", "val"])
    assert result.exit_code == 2
    assert all(name in result.output for name in ("'val'", "'train'", "'evaluation'", "'test'"))
