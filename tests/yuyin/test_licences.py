"""Who uses openSMILE is told on what terms, before the work begins: commands over small real graphs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from model.artifact import hash_files, write_json
from model.backbones.catalogue import AST, BERT, INCEPTION, BackboneSpec
from model.backbones.folder import new_backbone
from model.bundle import bundle_id, recipe_of, shipped_bundle
from model.errors import BadDataset, BadPool
from model.features.emobase import Emobase
from model.features.extractors import Profile, licence_notes
from model.features.profiles import load_profile
from model.grid import Grid
from yuyin.cli.app import app

DIM = 4
NOTE = f"note: {Emobase.licence_note}\n"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def extractors(profile: Profile) -> list[Any]:
    return [*profile.video.values(), *profile.music.values(), profile.text]


def test_the_note_says_what_may_be_done_and_is_told_once() -> None:
    (note,) = licence_notes(extractors(load_profile("paper")))
    assert all(word in note for word in ("openSMILE", "research and personal use", "commercial", "audEERING"))
    assert "\n" not in note
    assert licence_notes([Emobase(), *extractors(load_profile("paper")), Emobase()]) == [note]
    assert licence_notes(extractors(load_profile("lite"))) == []
    assert licence_notes([]) == []


def write_sum(path: Path, inputs: dict[str, list[Any]], masks: list[str], output: str, width: int) -> None:
    """Of every input the mean over all axes but the first, added up `width` times; masks are not read."""
    nodes, weights = [], [numpy_helper.from_array(np.ones((1, width), np.float32), "ones")]
    for name in inputs:
        nodes.append(helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Flatten", [f"{name}_f"], [f"{name}_flat"]))
        nodes.append(helper.make_node("ReduceMean", [f"{name}_flat"], [f"{name}_mean"], axes=[1], keepdims=1))
        nodes.append(helper.make_node("MatMul", [f"{name}_mean", "ones"], [f"{name}_out"]))
    nodes.append(helper.make_node("Sum", [f"{name}_out" for name in inputs], [output]))
    ports = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if shape == ["b", 64] else TensorProto.FLOAT, shape
        )
        for name, shape in inputs.items()
    ] + [helper.make_tensor_value_info(name, TensorProto.BOOL, ["b", "t"]) for name in masks]
    made = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["b", width])]
    graph = helper.make_graph(nodes, "sum", ports, made, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_backbone(models: Path, spec: BackboneSpec) -> None:
    with new_backbone(models, spec, "fp32", {}) as folder:
        write_sum(folder / "model.onnx", {"x": ["b", *spec.input_shape]}, [], "features", spec.width)
        if spec is BERT:
            (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "utf-8")


def write_bundle(folder: Path, *, reads_emotion: bool) -> Path:
    """Of the profile `paper`."""
    folder.mkdir()
    profile = load_profile("paper")
    inputs: dict[str, list[dict[str, Any]]] = {}
    for side in ("video", "music"):
        widths = {name: len(each.features) for name, each in getattr(profile, side).items()}
        if not reads_emotion:
            widths.pop("emotion", None)
        shapes = {name: ["b", "t", width] for name, width in widths.items()}
        masks = [f"{name}_mask" for name in widths]
        write_sum(folder / f"{side}_tower.onnx", shapes, masks, "embedding", DIM)
        inputs[side] = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in shapes.items()]
        inputs[side] += [{"name": name, "shape": ["b", "t"], "dtype": "bool"} for name in masks]
    write_sum(folder / "text_tower.onnx", {"text": ["b", 768]}, [], "embedding", DIM)
    inputs["text"] = [{"name": "text", "shape": ["b", 768], "dtype": "float32"}]
    np.save(folder / "null_queries.npy", np.eye(DIM, dtype=np.float32))
    manifest = {
        "schema_version": 1, "system": "sum", "profile": "paper", "recipe": recipe_of(profile, Grid()),
        "inputs": inputs, "dim": DIM, "categories": [], "tags": [], "metrics": {}, "no_match_threshold": 0.0,
        "files": hash_files(folder, manifest="bundle.json"),
    }  # fmt: skip
    write_json(folder / "bundle.json", manifest | {"id": bundle_id(manifest)})
    return folder


def test_extraction_of_the_paper_s_features_begins_with_the_note(tmp_path: Path) -> None:
    models, data = tmp_path / "models", tmp_path / "data"
    data.mkdir()
    for spec in (INCEPTION, AST, BERT):
        write_backbone(models, spec)
    result = run("features", "extract", data, "--profile", "paper", "--models", models)
    assert isinstance(result.exception, BadDataset), "what follows the note finds an empty folder"
    assert result.stderr.startswith(NOTE)
    assert "openSMILE" not in run("features", "extract", data).stderr


@pytest.mark.parametrize("reads_emotion", [True, False])
def test_a_build_begins_with_the_note_if_the_bundle_reads_emotion(
    tmp_path: Path, reads_emotion: bool
) -> None:
    folder = write_bundle(tmp_path / "bundle", reads_emotion=reads_emotion)
    (tmp_path / "pool").mkdir()
    words = ("index", "build", tmp_path / "pool", "--store", tmp_path / "store", "--bundle")
    result = run(*words, folder)
    assert isinstance(result.exception, BadPool), "what follows the note finds no music"
    assert result.stderr.startswith(NOTE) == reads_emotion
    assert "openSMILE" not in run(*words, shipped_bundle()).stderr
