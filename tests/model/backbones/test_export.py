"""From a published folder to an installed backbone: same numbers as torch, whole or absent, what it says."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from model.artifact import sha256_of
from model.backbones.catalogue import AST, BACKBONES, INCEPTION, BackboneSpec
from model.backbones.export import (
    check_parity,
    export_as,
    export_backbone,
    export_untrained,
    load,
    torch_graph,
)
from model.backbones.folder import Backbone
from model.backbones.noise import noise
from model.backbones.untrained import described
from model.errors import BadOptions, Corrupt, Mismatch

Small = tuple[BackboneSpec, Path]
PARTS = ("small_ast", "small_bert")


@pytest.fixture(scope="module", params=PARTS)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BackboneSpec, Path, Backbone]:
    spec, source = request.getfixturevalue(request.param)
    return spec, source, export_as(tmp_path_factory.mktemp("models"), spec, source)


def run(graph: Path, x: np.ndarray) -> np.ndarray:
    """By ONNX Runtime itself, not by our wrapper."""
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs() + session.get_outputs()] == ["x", "features"]
    found: np.ndarray = session.run(["features"], {"x": x})[0]
    return found


@pytest.mark.parametrize("count", [1, 2, 5])
def test_graph_gives_what_torch_gives(exported: tuple[BackboneSpec, Path, Backbone], count: int) -> None:
    spec, source, backbone = exported
    x = noise(spec, count, seed=20 + count)
    with torch.inference_mode():
        expected = load(source, spec)(torch.from_numpy(x)).numpy()
    found = run(backbone.graph, x)
    assert found.shape == (count, spec.width)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_text_without_word_pieces_gives_zeros_and_harms_no_other(small_bert: Small, tmp_path: Path) -> None:
    spec, source = small_bert
    graph = export_as(tmp_path, spec, source).graph
    x = noise(spec, 3)
    x[1] = 0
    found = run(graph, x)
    assert np.isfinite(found).all()
    assert not found[1].any()
    np.testing.assert_allclose(found[[0, 2]], run(graph, x[[0, 2]]), atol=1e-6)


def test_graph_says_what_it_is_and_holds_no_path(exported: tuple[BackboneSpec, Path, Backbone]) -> None:
    spec, source, backbone = exported
    session = onnxruntime.InferenceSession(str(backbone.graph), providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["backbone"])
    assert (facts["name"], facts["version"], facts["precision"]) == (spec.name, spec.version, "fp32")
    assert facts["preprocessing"] == spec.preprocessing
    content = backbone.graph.read_bytes()
    for path in ("site-packages", str(Path(torch.__file__).parent), str(source), "/model/backbones"):
        assert path.encode() not in content


def test_manifest_says_whence_it_is(exported: tuple[BackboneSpec, Path, Backbone]) -> None:
    """A folder brought by hand has no source.json: its name and hashes stand for it."""
    _, source, backbone = exported
    files = {path.name: sha256_of(path) for path in source.iterdir()}
    assert backbone.manifest["source"] == {"folder": source.name, "files": files}
    assert set(backbone.manifest["made_by"]) == {"torch", "onnx"}
    assert "+" not in backbone.manifest["made_by"]["torch"]
    assert str(source.parent) not in json.dumps(backbone.manifest)
    names = {path.name for path in backbone.folder.iterdir()}
    assert names - {"vocab.txt"} == {"model.onnx", "backbone.json"}
    assert ("vocab.txt" in names) == (backbone.spec.input_dtype == "int64")


def test_copies_what_source_json_says(
    small_ast: Small, copied: Callable[[Path], Path], tmp_path: Path
) -> None:
    spec, source = small_ast
    pulled = described(copied(source), "someone/ast", 3)
    backbone = export_as(tmp_path / "models", spec, pulled)
    facts = json.loads((pulled / "source.json").read_text())
    assert backbone.manifest["source"] == facts
    assert (facts["repo"], facts["revision"]) == ("someone/ast", "seed-3")
    with (pulled / "config.json").open("a") as file:
        file.write("\n")
    with pytest.raises(Corrupt, match=r"config.json differs from its source.json"):
        export_as(tmp_path / "models", spec, pulled)


def test_same_source_gives_the_same_backbone(
    exported: tuple[BackboneSpec, Path, Backbone], tmp_path: Path
) -> None:
    spec, source, backbone = exported
    again = export_as(tmp_path, spec, source)
    assert again.id == backbone.id
    assert again.graph.read_bytes() == backbone.graph.read_bytes()


def test_a_graph_that_differs_from_torch_is_refused(small_ast: Small, tmp_path: Path) -> None:
    """The same network with one entry of its last scale moved by a thousandth."""
    spec, source = small_ast
    network = load(source, spec)
    onnx.save_model(torch_graph(network, spec, tmp_path), tmp_path / "model.onnx")
    check_parity(network, tmp_path / "model.onnx", spec)
    with torch.no_grad():
        dict(network.named_parameters())["network.layernorm.weight"][3] *= 1.001
    with pytest.raises(Mismatch, match=r"differs from torch by .*more than 0.0001"):
        check_parity(network, tmp_path / "model.onnx", spec)


@pytest.mark.parametrize("spoil", ["vocab.txt", "model.safetensors", "config.json"])
def test_a_failure_leaves_what_was_there(
    small_bert: Small, copied: Callable[[Path], Path], tmp_path: Path, spoil: str
) -> None:
    spec, source = small_bert
    spoilt, models = copied(source), tmp_path / "models"
    first = export_as(models, spec, spoilt)
    (spoilt / spoil).write_bytes(b"{}")
    with pytest.raises((Corrupt, Mismatch)):
        export_as(models, spec, spoilt)
    assert Backbone.open(models, spec.name, "fp32").id == first.id
    assert [path.name for path in first.folder.parent.iterdir()] == ["fp32"]


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(BadOptions, match=r"neither model.safetensors nor model.onnx"):
        export_backbone(tmp_path / "models", AST.name, tmp_path)
    assert not (tmp_path / "models").exists()


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOptions, match="inception-v3, ast, chinese-bert-wwm"):
        export_backbone(tmp_path, "clip", tmp_path)


def test_weights_for_other_pixels_are_refused(tmp_path: Path) -> None:
    """gluon's fit by name and shape, and want ImageNet's mean."""
    config = {"pretrained_cfg": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(Mismatch, match=r"mean = \[0.485, 0.456, 0.406\], and inception-v3 wants \[0.5"):
        export_backbone(tmp_path / "models", INCEPTION.name, tmp_path)


def test_a_foreign_graph_is_taken_with_our_names(small_ast: Small, tmp_path: Path) -> None:
    spec, source = small_ast
    own = export_as(tmp_path / "own", spec, source)
    theirs = onnx.load_model(own.graph)
    for each in theirs.graph.node:
        each.input[:] = ["input_values" if name == "x" else name for name in each.input]
        each.output[:] = ["pooler_output" if name == "features" else name for name in each.output]
    theirs.graph.input[0].name, theirs.graph.output[0].name = "input_values", "pooler_output"
    theirs.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "hidden"
    folder = tmp_path / "foreign"
    folder.mkdir()
    onnx.save_model(theirs, folder / "model.onnx")
    backbone = export_as(tmp_path / "models", spec, folder)
    x = noise(spec, 3, seed=7)
    np.testing.assert_allclose(run(backbone.graph, x), run(own.graph, x), atol=1e-6)
    assert set(backbone.manifest["made_by"]) == {"onnx"}
    assert backbone.manifest["source"]["folder"] == "foreign"
    assert backbone.id != own.id


def test_a_foreign_graph_whose_rows_look_at_each_other_is_refused(
    small_pictures: Small, tmp_path: Path
) -> None:
    spec, folder = small_pictures
    assert export_as(tmp_path / "models", spec, folder).precision == "fp32"
    graph = onnx.load_model(folder / "model.onnx")
    graph.graph.node[-1].output[0] = "raw"
    graph.graph.node.append(helper.make_node("ReduceMean", ["raw"], ["mean"], axes=[0], keepdims=1))
    graph.graph.node.append(helper.make_node("Sub", ["raw", "mean"], ["features"]))
    onnx.save_model(graph, folder / "model.onnx")
    with pytest.raises(Mismatch, match="rows that depend on their batch"):
        export_as(tmp_path / "models", spec, folder)


def test_a_foreign_graph_of_another_size_is_refused(small_pictures: Small, tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=r"takes x \(any, 3, 24, 24\).*takes \(batch, 3, 299, 299\)"):
        export_backbone(tmp_path / "models", INCEPTION.name, small_pictures[1])


def test_an_untrained_inception_is_exported(tmp_path: Path) -> None:
    """The one of full size that takes seconds; the export itself holds it against torch."""
    pytest.importorskip("safetensors")
    backbone = export_untrained(tmp_path / "models", INCEPTION.name, seed=4)
    assert backbone.manifest["source"]["repo"] == "untrained/inception-v3"
    assert backbone.manifest["source"]["revision"] == "seed-4"
    assert backbone.manifest["width"] == 2048
    assert 85e6 < backbone.graph.stat().st_size < 90e6
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"inception-v3"}


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_of_full_size_is_exported(tmp_path: Path, name: str) -> None:
    pytest.importorskip("transformers")
    spec = BACKBONES[name]
    backbone = export_untrained(tmp_path, name, seed=1)
    one, three = (run(backbone.graph, noise(spec, 3, seed=9)[:count]) for count in (1, 3))
    assert three.shape == (3, spec.width)
    np.testing.assert_allclose(one[0], three[0], atol=1e-4)
    assert np.isfinite(three).all()


def test_neither_the_service_nor_the_builder_imports_the_export() -> None:
    code = (
        "import sys, service.app, index_builder.build, yuyin.cli\n"
        "heavy = ('torch', 'transformers', 'model.backbones.export', 'model.backbones.quantise')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
