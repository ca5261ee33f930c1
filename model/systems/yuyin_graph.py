"""A trained YuYin in, its three towers as ONNX graphs out: pooling, z-score, clip and fusion inside."""

import onnx
from onnx import TensorProto
from torch import nn

from model.systems.graph import Graph, linear, sequences, standardise
from model.systems.yuyin import Projection, YuYin


def tower_graphs(system: YuYin) -> dict[str, onnx.ModelProto]:
    """`video`, `music` and `text`, each from its named inputs to `embedding` (B, common), unit rows."""
    return {"video": _video(system), "music": _music(system), "text": _text(system)}


def _video(system: YuYin) -> onnx.ModelProto:
    graph = Graph("video_tower")
    x = sequences(graph, system.video_inputs)
    h = linear(graph, "embedding", system.video_embedding, x)
    return _project(graph, system.video_projection, h, _beside(graph, system.video_linear, x))


def _music(system: YuYin) -> onnx.ModelProto:
    graph = Graph("music_tower")
    x = sequences(graph, system.music_inputs)
    gate = graph.node("Sigmoid", linear(graph, "gate", system.fusion.gate, x))
    h = linear(graph, "fusion", system.fusion.out, graph.node("Mul", gate, x))
    return _project(graph, system.music_projection, h, _beside(graph, system.music_linear, x))


def _text(system: YuYin) -> onnx.ModelProto:
    graph = Graph("text_tower")
    x = graph.input("text", TensorProto.FLOAT, ["batch", system.text_embedding.in_features])
    h = linear(graph, "embedding", system.text_embedding, standardise(graph, system.text_inputs, x))
    return _project(graph, system.text_projection, h, None)


def _beside(graph: Graph, layer: nn.Linear | None, x: str) -> str | None:
    if layer is None:
        return None
    return graph.node("MatMul", x, graph.constant("linear_path", layer.weight.detach().numpy().T))


def _project(graph: Graph, layer: Projection, h: str, beside: str | None) -> onnx.ModelProto:
    hidden = graph.node("Relu", linear(graph, "projection.hidden", layer.hidden, h))
    z = linear(graph, "projection.out", layer.out, hidden)
    return graph.finish(z if beside is None else graph.node("Add", z, beside), layer.out.out_features)
