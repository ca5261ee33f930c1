"""An ONNX graph in, one of a backbone out: read with distrust, checked against what it should be, labelled.

No torch. A graph of ours takes `x` (b, ...) and gives `features` (b, d) for any b; its label is one JSON of
its metadata, under `LABEL`.
"""

import os
from pathlib import Path
from typing import Any

from model.artifact import canonical_json
from model.backbones.catalogue import BackboneSpec
from model.errors import Corrupt, Mismatch
from model.runtime.accelerator import Accelerator
from model.runtime.graph_file import check_self_contained
from model.runtime.graph_network import GraphNetwork
from model.runtime.network import Network
from model.runtime.session import open_session

INPUT, OUTPUT = "x", "features"
LABEL = "backbone"


def on_cpu(graph: Path) -> GraphNetwork:
    """A network of a graph on this machine's CPU, as it is served there."""
    return GraphNetwork(graph, Accelerator("cpu"))


def batches_on_cpu(graph: Path) -> Network:
    """A graph on this machine's CPU whose batches reach it whole, as on an accelerator."""
    session = open_session(graph, Accelerator("cpu", threads=len(os.sched_getaffinity(0))))
    return lambda x: session.run({INPUT: x})[0]


def read_graph(path: Path) -> Any:
    """The graph of a file that holds its weights itself.

    Raises:
        Corrupt: if it cannot be read, or wants another file: a graph may name any path of the machine.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    check_self_contained(path)
    try:
        graph = onnx.load_model(path, load_external_data=False)
        onnx.checker.check_model(graph, full_check=True)
    except (DecodeError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = " ".join(str(error).split())
        raise Corrupt(f"{path} is no valid graph ({reason}): pull the backbone again") from error
    return graph


def check_signature(graph: Any, spec: BackboneSpec, what: str) -> None:
    """Raise `Mismatch` unless a graph takes a batch of the backbone's items and gives a vector of each."""
    import onnx

    kept = {tensor.name for tensor in graph.graph.initializer}
    inputs = [each for each in graph.graph.input if each.name not in kept]
    outputs = list(graph.graph.output)
    kind = {"float32": onnx.TensorProto.FLOAT, "int64": onnx.TensorProto.INT64}[spec.input_dtype]
    right = (
        len(inputs) == len(outputs) == 1
        and inputs[0].type.tensor_type.elem_type == kind
        and _shape(inputs[0]) == [None, *spec.input_shape]
        and outputs[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        and _shape(outputs[0]) in ([None, spec.width], [None, None])
    )
    if not right:
        wanted = ", ".join(str(size) for size in spec.input_shape)
        raise Mismatch(
            f"{what} takes {_spelt(inputs)} and gives {_spelt(outputs)}; {spec.name} takes (batch, {wanted}) "
            f"of {spec.input_dtype} and gives (batch, {spec.width}), for a batch of any size: "
            "export it so, or let YuYin export the checkpoint"
        )


def _shape(value: Any) -> list[int | None]:
    """Sizes; None for one that is free."""
    sizes = value.type.tensor_type.shape.dim
    return [size.dim_value if size.HasField("dim_value") else None for size in sizes]


def _spelt(values: list[Any]) -> str:
    return (
        " and ".join(
            f"{each.name} ({', '.join('any' if size is None else str(size) for size in _shape(each))})"
            for each in values
        )
        or "nothing"
    )


def rename(graph: Any, spec: BackboneSpec) -> None:
    """Give a graph that passed `check_signature` our names and sizes at both ends; inside it keeps its own.

    Raises:
        Mismatch: if something inside it has one of our names.
    """
    from onnx import TensorProto, helper

    body = graph.graph
    kept = {tensor.name for tensor in body.initializer}
    entry = next(each.name for each in body.input if each.name not in kept)
    taken = {name for node in body.node for name in (*node.input, *node.output)} | kept
    if {INPUT, OUTPUT} & (taken - {entry, body.output[0].name}):
        raise Mismatch(f"the graph calls something inside it {INPUT!r} or {OUTPUT!r}: export it otherwise")
    if entry != INPUT:
        body.node.insert(0, helper.make_node("Identity", [INPUT], [entry], name="yuyin_input"))
    if body.output[0].name != OUTPUT:
        body.node.append(helper.make_node("Identity", [body.output[0].name], [OUTPUT], name="yuyin_output"))
    kind = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}[spec.input_dtype]
    del body.input[:], body.output[:]
    body.input.append(helper.make_tensor_value_info(INPUT, kind, ["batch", *spec.input_shape]))
    body.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", spec.width]))


def label(graph: Any, spec: BackboneSpec, precision: str) -> None:
    """Write what it is into a graph's metadata; whatever else stood there is taken away."""
    del graph.metadata_props[:]
    graph.producer_name, graph.producer_version, graph.doc_string = "yuyin", "", ""
    graph.graph.name, graph.graph.doc_string = spec.name, ""
    facts = {**spec.described(), "precision": precision}
    graph.metadata_props.add(key=LABEL, value=canonical_json(facts))
