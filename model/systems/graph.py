"""Layers in, an ONNX graph out, node by node: the inference half of `model.systems`, written by hand.

torch's own exporter raises deprecation warnings of torch on itself (2.13), writes source paths of the
machine into the file and takes seconds a tower; a tower is twenty nodes. `model.export` proves each
graph against its torch module.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from model.systems.pooling import Inputs, Standardise

OPSET = 17  # ReduceSum and friends take axes as input or attribute as written below; ONNX Runtime >= 1.13
IR_VERSION = 8


class Graph:
    """Collects nodes; a value is known by its name."""

    def __init__(self, name: str) -> None:
        """An empty graph."""
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: Sequence[str | int]) -> str:
        """Declare an input; a str in `shape` is a free dimension."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def constant(self, name: str, value: NDArray[np.float32] | NDArray[np.int64]) -> str:
        """Weights and other numbers."""
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, kind: str, *inputs: str, **attributes: int | list[int]) -> str:
        """One ONNX operator of one output."""
        out = f"{kind.lower()}_{len(self._nodes)}"
        node = helper.make_node(kind, list(inputs), [out], name=out)
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self._nodes.append(node)
        return out

    def finish(self, value: str, width: int) -> onnx.ModelProto:
        """Make `value` (B, width) the output `embedding`, of unit length, and check the whole."""
        self._nodes.append(helper.make_node("Identity", [self._unit(value)], ["embedding"], name="embedding"))
        output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", width])
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, [output], list(self._constants.values())
        )
        model = helper.make_model(
            graph,
            producer_name="yuyin",
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _unit(self, value: str) -> str:
        """`torch.nn.functional.normalize` along the last axis."""
        norm = self.node("ReduceL2", value, axes=[1], keepdims=1)
        least = self.constant("least_norm", np.array(1e-12, np.float32))
        return self.node("Div", value, self.node("Max", norm, least))


def linear(graph: Graph, name: str, layer: nn.Linear, x: str) -> str:
    """W x + b."""
    weight = graph.constant(f"{name}.weight", layer.weight.detach().numpy())
    bias = graph.constant(f"{name}.bias", layer.bias.detach().numpy())
    return graph.node("Gemm", x, weight, bias, transB=1)


def standardise(graph: Graph, layer: Standardise, x: str) -> str:
    """`Standardise.forward`: z-score, 0 for what is not finite, clip."""
    mean = graph.constant("mean", layer.mean.numpy())
    scale = graph.constant("scale", layer.scale.numpy())
    zero = graph.constant("zero", np.array(0, np.float32))
    z = graph.node("Mul", graph.node("Sub", x, mean), scale)
    odd = graph.node("Or", graph.node("IsNaN", z), graph.node("IsInf", z))
    low = graph.constant("low", np.array(-layer.clip, np.float32))
    high = graph.constant("high", np.array(layer.clip, np.float32))
    return graph.node("Clip", graph.node("Where", odd, zero, z), low, high)


def sequences(graph: Graph, inputs: Inputs) -> str:
    """`Inputs.forward`: declare k and k_mask for every input k; pool, concatenate, standardise."""
    pooled: list[str] = []
    for name, width in inputs.widths.items():
        x = graph.input(name, TensorProto.FLOAT, ["batch", f"{name}_rows", width])
        mask = graph.input(f"{name}_mask", TensorProto.BOOL, ["batch", f"{name}_rows"])
        pooled += _pool(graph, x, mask, deviation=inputs.pool == "mean_std")
    return standardise(graph, inputs.standardise, graph.node("Concat", *pooled, axis=1))


def _pool(graph: Graph, x: str, mask: str, *, deviation: bool) -> list[str]:
    """`pool_over_time`: the mean, and the standard deviation where asked for."""
    zero, one = (
        graph.constant("zero", np.array(0, np.float32)),
        graph.constant("one", np.array(1, np.float32)),
    )
    time = graph.constant("time_axis", np.array([1], np.int64))
    real = graph.node("Unsqueeze", mask, graph.constant("row_axis", np.array([2], np.int64)))
    count = graph.node("ReduceSum", graph.node("Cast", mask, to=TensorProto.FLOAT), time, keepdims=1)
    count = graph.node("Max", count, one)  # (B, 1)
    total = graph.node("ReduceSum", graph.node("Where", real, x, zero), time, keepdims=0)
    mean = graph.node("Div", total, count)  # (B, d)
    if not deviation:
        return [mean]
    away = graph.node("Where", real, graph.node("Sub", x, graph.node("Unsqueeze", mean, time)), zero)
    squares = graph.node("ReduceSum", graph.node("Mul", away, away), time, keepdims=0)
    return [mean, graph.node("Sqrt", graph.node("Div", squares, count))]
