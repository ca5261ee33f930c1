"""Graphs that somebody else made: which are read, which fit, and what becomes of their names."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from model.backbones.catalogue import AST, BackboneSpec
from model.backbones.graph import LABEL, check_signature, label, on_cpu, read_graph, rename
from model.errors import Corrupt, Mismatch

SPEC = replace(AST, width=3, input_shape=(4,))
Shape = list[str | int]


def graph(
    takes: tuple[Shape, ...] = (["n", 4],),
    gives: tuple[Shape, ...] = (["n", 3],),
    kind: int = TensorProto.FLOAT,
    names: tuple[str, str] = ("pixels", "out"),
) -> Any:
    """A product with a (4, 3) matrix; further inputs and outputs pass through."""
    weight = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(4, 3), "weight")
    first = [helper.make_node("Cast", [names[0]], ["as float"], to=TensorProto.FLOAT)]
    nodes = [*first, helper.make_node("MatMul", ["as float", "weight"], [names[1]])]
    inputs, outputs = [names[0]], [names[1]]
    for i in range(1, max(len(takes), len(gives))):
        inputs.append(f"in {i}")
        outputs.append(f"out {i}")
        nodes.append(helper.make_node("Identity", [f"in {i}" if i < len(takes) else names[1]], [f"out {i}"]))
    body = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info(n, kind, s) for n, s in zip(inputs, takes, strict=False)],
        [
            helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
            for n, s in zip(outputs, gives, strict=False)
        ],
        [weight],
    )
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def saved(model: Any, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_reads_a_whole_graph(tmp_path: Path) -> None:
    assert read_graph(saved(graph(), tmp_path)) == graph()


@pytest.mark.parametrize("content", [None, b"", b"no graph at all", b"\x08\x08", b"PK\x03\x04"])
def test_refuses_what_is_no_graph(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Corrupt, match="again"):
        read_graph(path)


def test_refuses_a_graph_that_breaks_the_standard(tmp_path: Path) -> None:
    model = graph()
    model.graph.node[-1].op_type = "NoSuchOperator"
    with pytest.raises(Corrupt, match="no valid graph"):
        read_graph(saved(model, tmp_path))


def test_refuses_weights_in_another_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(graph(), path, save_as_external_data=True, location="elsewhere", size_threshold=0)
    with pytest.raises(Corrupt, match="export it as one file"):
        read_graph(path)


@pytest.mark.parametrize("gives", [["n", 3], ["n", "d"]])
def test_takes_a_batch_of_any_size(gives: Shape) -> None:
    check_signature(graph(gives=(gives,)), SPEC, "it")


@pytest.mark.parametrize(
    "options",
    [
        {"takes": ([1, 4],)},
        {"takes": (["n", 5],)},
        {"takes": (["n", "m"],)},
        {"takes": ([4],)},
        {"takes": (["n", 4], ["n", 1])},
        {"gives": ([1, 3],)},
        {"gives": (["n", 2],)},
        {"gives": (["n", 3, 1],)},
        {"gives": (["n", 3], ["n", 3])},
        {"kind": TensorProto.INT64},
    ],
)
def test_refuses_another_signature(options: dict[str, Any]) -> None:
    wanted = (
        r"it takes pixels \(.*\) and gives out \(.*; ast takes \(batch, 4\) of float32 and gives \(batch, 3\)"
    )
    with pytest.raises(Mismatch, match=wanted):
        check_signature(graph(**options), SPEC, "it")


@pytest.mark.parametrize(
    "names", [("pixels", "out"), ("x", "out"), ("pixels", "features"), ("x", "features")]
)
@pytest.mark.parametrize("gives", [["n", 3], ["n", "d"]])
def test_gets_our_names_and_gives_what_it_gave(tmp_path: Path, names: tuple[str, str], gives: Shape) -> None:
    model = graph(names=names, gives=(gives,))
    rename(model, SPEC)
    onnx.checker.check_model(model, full_check=True)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    found = on_cpu(saved(model, tmp_path))(x)
    np.testing.assert_array_equal(found, x @ np.arange(12, dtype=np.float32).reshape(4, 3))


def test_refuses_a_graph_that_uses_our_names_inside() -> None:
    model = graph()
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "features"
    with pytest.raises(Mismatch, match="inside it"):
        rename(model, SPEC)


def test_a_label_says_what_it_is_and_nothing_else_is_left() -> None:
    model = graph()
    model.doc_string, model.producer_name = "made on my machine", "torch"
    model.metadata_props.add(key="path", value="here")
    label(model, SPEC, "fp32")
    (entry,) = model.metadata_props
    facts = json.loads(entry.value)
    assert (entry.key, facts["name"], facts["version"]) == (LABEL, "ast", 1)
    assert (facts["width"], facts["input_shape"], facts["precision"]) == (3, [4], "fp32")
    assert facts["preprocessing"] == AST.preprocessing
    assert (model.doc_string, model.producer_name) == ("", "yuyin")


def test_runs_on_the_cpu(tmp_path: Path) -> None:
    model = graph()
    rename(model, SPEC)
    network = on_cpu(saved(model, tmp_path))
    assert network.provider == "cpu"
    assert network(np.zeros((0, 4), np.float32)).shape == (0, 3)


def test_the_specs_of_these_tests_are_backbones() -> None:
    assert isinstance(SPEC, BackboneSpec)
