import json

import pytest
from typer.testing import CliRunner

from model.datasets.adsynth import probes
from model.datasets.adsynth.worlds import DEVELOPMENT_SEEDS, DIMS, HELD_OUT_SEEDS, WORLDS, Dims
from model.errors import BadOptions
from yuyin.cli.app import app

ASKED = ["dataset", "adsynth", "--pairs", "500", "--pooled"]


def test_adsynth_prints_the_card_and_what_is_next(tmp_path, monkeypatch):
    monkeypatch.setitem(DIMS, "small", Dims(24, 16, 16, 8))
    monkeypatch.setattr(probes, "PASSES", 0.05)
    out = tmp_path / "made"
    said = CliRunner().invoke(app, [*ASKED, "-o", str(out)], catch_exceptions=False)
    assert said.exit_code == 0
    for line in ("probe card", "cut rate", "strict V->M", "catalog V->M", f"next: yuyin compare {out}"):
        assert line in said.output
    again = CliRunner().invoke(app, [*ASKED, "-o", str(out), "--json"], catch_exceptions=False)
    card = json.loads(again.stdout)
    assert card == json.loads((out / "probes.json").read_text())


def test_help_names_the_worlds_and_the_seeds():
    said = CliRunner().invoke(app, ["dataset", "adsynth", "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    for word in (*WORLDS, *map(str, (*DEVELOPMENT_SEEDS, *HELD_OUT_SEEDS))):
        assert word in said.output


def test_adsynth_refuses_other_worlds_and_too_few_pairs(tmp_path):
    for wrong in (["--world", "nope"], ["--pairs", "3"]):
        with pytest.raises(BadOptions):
            CliRunner().invoke(app, [*ASKED, *wrong, "-o", str(tmp_path / "out")], catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []
