"""Small real networks as ONNX files, and onnxruntime's second provider in the place of a GPU."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.runtime import session as sessions

onnx = pytest.importorskip("onnx")

Write = Callable[..., Path]
SIDE, WIDTH = 16, 8


def save(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any] = ()
) -> Path:
    """One graph, checked, with the weights inside."""
    graph = onnx.helper.make_graph(nodes, "network", inputs, outputs, list(weights))
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, path)
    return path


def value(name: str, shape: list[Any], kind: str = "FLOAT") -> Any:
    return onnx.helper.make_tensor_value_info(name, getattr(onnx.TensorProto, kind), shape)


def write_conv(path: Path, *, layers: int = 2, channels: int = WIDTH, side: int = SIDE) -> Path:
    """(b, 3, side, side) to (b, channels): 3 x 3 convolutions, ReLU, the mean over the picture."""
    rng, nodes, weights, of, width = np.random.default_rng(0), [], [], "x", 3
    for i in range(layers):
        kernel = rng.standard_normal((channels, width, 3, 3)) / np.sqrt(9 * width)
        weights.append(onnx.numpy_helper.from_array(kernel.astype(np.float32), f"w{i}"))
        nodes.append(onnx.helper.make_node("Conv", [of, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
        nodes.append(onnx.helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
        of, width = f"r{i}", channels
    nodes.append(onnx.helper.make_node("ReduceMean", [of], ["features"], axes=[2, 3], keepdims=0))
    outputs = [value("features", ["b", channels])]
    return save(path, nodes, [value("x", ["b", 3, side, side])], outputs, weights)


def write_lookup(path: Path) -> Path:
    """(b, 5) int64 tokens to (b, 4): the mean of their rows of a table; 0 is padding and has none."""
    table = np.random.default_rng(1).standard_normal((10, 4)).astype(np.float32)
    weights = [
        onnx.numpy_helper.from_array(table, "table"),
        onnx.numpy_helper.from_array(np.array([1], np.int64), "axis"),
        onnx.numpy_helper.from_array(np.array([2], np.int64), "last"),
    ]
    node = onnx.helper.make_node
    nodes = [
        node("Gather", ["table", "x"], ["rows"]),
        node("Cast", ["x"], ["known"], to=onnx.TensorProto.BOOL),
        node("Cast", ["known"], ["mask"], to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", ["mask", "last"], ["masks"]),
        node("Mul", ["rows", "masks"], ["kept"]),
        node("ReduceSum", ["kept", "axis"], ["total"], keepdims=0),
        node("ReduceSum", ["mask", "axis"], ["count"], keepdims=1),
        node("Div", ["total", "count"], ["features"]),
    ]
    return save(path, nodes, [value("x", ["b", 5], "INT64")], [value("features", ["b", 4])], weights)


@pytest.fixture(scope="session")
def conv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_conv(tmp_path_factory.mktemp("graph") / "model.onnx")


@pytest.fixture
def write_conv_graph() -> Write:
    return write_conv


@pytest.fixture
def write_lookup_graph() -> Write:
    return write_lookup


@pytest.fixture
def as_if_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cuda` means a provider that every build has beside the CPU's: Azure's. It computes no node itself.

    So all that happens after a GPU session was started happens here too: only the sums are the CPU's.
    """
    if "AzureExecutionProvider" not in sessions.ort.get_available_providers():
        pytest.skip("this onnxruntime has no provider but the CPU's")
    monkeypatch.setitem(sessions._NAMES, "cuda", "AzureExecutionProvider")
