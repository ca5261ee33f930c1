"""When fewer bits are refused, and what an export's own record says of them."""

import json
import shutil
from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.artifact import write_json
from model.backbones.catalogue import AST, BERT, INCEPTION, OF_PROFILE
from model.backbones.folder import Backbone, new_backbone
from model.errors import Corrupt, Mismatch, NotInstalled
from model.evaluation.paired import Difference
from model.evaluation.precision import (
    FEWEST_PAIRS,
    LEAST_COSINE,
    MOST_LOST,
    Report,
    Retrieved,
    Turned,
    recorded,
)

NAMES = OF_PROFILE["paper"]
CALIBRATE = f"yuyin models export {INCEPTION.name} --precision int8 --calibrate VIDEO"


def retrieved(change: float, pairs: int = 100) -> Retrieved:
    return Retrieved("test", pairs, (0.5, 0.4), (0.5, 0.4), Difference(change, change - 1, change + 1, 1.0))


def report(frames: float, audio: float, change: float | None = None, precision: str = "int8") -> Report:
    turned = (Turned(INCEPTION.name, 9, frames, frames), Turned(AST.name, 9, audio, 0.1))
    return Report(precision, turned, None if change is None else retrieved(change))


def test_the_bounds_are_the_stated_ones() -> None:
    assert (LEAST_COSINE, MOST_LOST, FEWEST_PAIRS) == (0.99, 0.02, 20)


@pytest.mark.parametrize("change", [None, 0.3, 0.0, -0.02])
def test_within_the_bounds_nothing_is_refused(change: float | None) -> None:
    assert report(0.99, 1.0, change).refused is None


@pytest.mark.parametrize(
    ("found", "said", "fix"),
    [
        (report(0.98999, 1.0), [INCEPTION.name, "0.9900", "0.99"], CALIBRATE),
        (report(nan, 1.0), [INCEPTION.name], CALIBRATE),
        (report(1.0, 0.5), [AST.name, "0.5000"], "; use fp32"),
        (report(0.3, 0.5, -0.5), [INCEPTION.name, AST.name, "R@10", "0.5000"], CALIBRATE),
        (report(1.0, 1.0, -0.0201), ["R@10", "0.0201", "0.02"], CALIBRATE),
        (report(0.9, 1.0, precision="fp16"), [INCEPTION.name, "fp16"], "; use fp32"),
        (report(1.0, 1.0, -0.1, "fp16"), ["R@10", "0.1000"], "; use fp32"),
    ],
    ids=["pictures", "no number", "sound", "all", "recall", "fp16", "fp16 recall"],
)
def test_below_a_bound_one_sentence_says_why_and_what_to_do(found: Report, said: list[str], fix: str) -> None:
    sentence = found.refused
    assert sentence is not None
    assert all(word in sentence for word in said)
    assert fix in sentence
    assert "fp32" in sentence.rpartition(" use ")[2]
    assert "\n" not in sentence
    others = {INCEPTION.name, AST.name, "R@10"} - set(said)
    assert not any(f"{name} turns" in sentence or f"{name} falls" in sentence for name in others)


@pytest.mark.parametrize(("pairs", "refused"), [(19, False), (20, True)])
def test_few_pairs_are_not_judged_by(pairs: int, refused: bool) -> None:
    found = Report("int8", (Turned(AST.name, 1, 1.0, 1.0),), retrieved(-0.5, pairs))
    assert (found.refused is not None) == refused


def test_everything_is_in_the_json() -> None:
    found = json.loads(json.dumps(report(0.9, 1.0, -0.01).as_dict()))
    assert found["turned"][1] == {"network": AST.name, "rows": 9, "mean": 1.0, "least": 0.1}
    assert found["retrieved"]["fp32"] == [0.5, 0.4]
    assert found["retrieved"]["change"]["value"] == -0.01
    assert found["bounds"] == {"least_cosine": 0.99, "most_lost": 0.02, "fewest_pairs": 20}
    assert found["refused"].startswith("int8 is refused: inception-v3 turns")


def figures(mean: float, least: float, count: int) -> dict[str, Any]:
    return {"figures": {"cosine_to_fp32": {"mean": mean, "least": least}, "compared_on": count}}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(spec, precision, facts)`: a backbone whose graph nobody opens; gives its folder."""

    def make(spec: Any, precision: str = "int8", facts: dict[str, Any] | None = None) -> Path:
        with new_backbone(tmp_path, spec, precision, facts or {}) as folder:
            (folder / "model.onnx").write_bytes(b"graph")
        return tmp_path / spec.name / precision

    return make


def test_an_export_s_own_figures_are_reported(tmp_path: Path, write: Callable[..., Path]) -> None:
    write(INCEPTION, facts=figures(0.991, 0.98, 30))
    write(AST, facts=figures(0.98, 0.9, 8))
    write(BERT, facts=figures(0.1, 0.1, 8))  # text never runs with fewer bits
    found = recorded(tmp_path, NAMES, "int8")
    assert found.turned == (Turned(INCEPTION.name, 30, 0.991, 0.98), Turned(AST.name, 8, 0.98, 0.9))
    assert found.retrieved is None
    assert found.refused == (
        "int8 is refused: ast turns to a mean cosine of 0.9800 to fp32 (at least 0.99); use fp32"
    )


def test_what_is_missing_is_said_with_the_command_that_makes_it(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    with pytest.raises(NotInstalled, match="yuyin models pull paper"):
        recorded(tmp_path, NAMES, "int8")
    write(INCEPTION, "fp32")
    with pytest.raises(NotInstalled, match=f"yuyin models export {INCEPTION.name} --precision fp16"):
        recorded(tmp_path, NAMES, "fp16")


@pytest.mark.parametrize("facts", [{}, {"figures": {}}, {"figures": {"cosine_to_fp32": 1}}, {"figures": 3}])
def test_a_manifest_without_figures_is_no_proof(
    tmp_path: Path, write: Callable[..., Path], facts: dict[str, Any]
) -> None:
    write(AST, facts=facts)
    with pytest.raises(Mismatch, match=f"yuyin models export {AST.name} --precision int8"):
        recorded(tmp_path, [AST.name], "int8")


def test_figures_of_another_fp32_are_no_proof(tmp_path: Path, write: Callable[..., Path]) -> None:
    """As after a pull of newer weights, which makes fp32 anew."""
    full = Backbone.open(tmp_path, AST.name, write(AST, "fp32").name).id
    write(AST, facts={"source": {"backbone": full}} | figures(0.999, 0.99, 8))
    assert recorded(tmp_path, [AST.name], "int8").refused is None
    write(AST, "fp32", {"source": {"revision": "newer"}})
    with pytest.raises(Mismatch, match=f"{full}.* `yuyin models export {AST.name} --precision int8` again"):
        recorded(tmp_path, [AST.name], "int8")
    shutil.rmtree(tmp_path / AST.name / "fp32")
    assert recorded(tmp_path, [AST.name], "int8").refused is None, "a server has no fp32"


def test_a_changed_figure_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    folder = write(AST, facts=figures(0.9, 0.9, 8))
    manifest = json.loads((folder / "backbone.json").read_text("utf-8"))
    write_json(folder / "backbone.json", manifest | figures(1.0, 1.0, 8))
    with pytest.raises(Corrupt):
        recorded(tmp_path, [AST.name], "int8")


def test_the_mean_of_both_directions_is_beside_them() -> None:
    rows = dict(retrieved(0.0).by_precision("int8"))
    assert list(rows) == ["fp32", "int8"]
    np.testing.assert_allclose(rows["fp32"], (0.5, 0.4, 0.45))
