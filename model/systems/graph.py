"""An indexable system in, its towers as ONNX graphs out: views, networks and unit length in one graph each.

torch's TorchScript-based exporter is used, though torch calls it the old one: a tower takes it a tenth of
a second, the graph holds operators only, and no source path of the machine gets into the file. The new one
needs seconds and a package of its own for the same nodes. `model.export` proves each graph against torch.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from model.errors import BadOptions
from model.systems.system import System
from model.systems.views import View

OPSET = 17  # ONNX Runtime >= 1.13
TRACE_ROWS, TRACE_BATCH = 3, 2  # of what the exporter watches; both are free in the graph


class _SequenceTower(nn.Module):
    """k and k_mask for every input k, one after the other, to the embedding."""

    def __init__(self, system: System, side: str) -> None:
        super().__init__()
        self.system, self.side = system, side
        self.view: View = system.video_view if side == "video" else system.music_view

    def forward(self, *inputs: Tensor) -> Tensor:
        names = list(self.view.widths)
        prepared = self.view({name: (inputs[2 * i], inputs[2 * i + 1]) for i, name in enumerate(names)})
        embed = self.system.embed_video if self.side == "video" else self.system.embed_music
        return embed(prepared)


class _TextTower(nn.Module):
    def __init__(self, system: System) -> None:
        super().__init__()
        self.system = system

    def forward(self, x: Tensor) -> Tensor:
        view = self.system.text_view
        return self.system.embed_text(x if view is None else view(x))


def tower_graphs(system: System) -> dict[str, onnx.ModelProto]:
    """`video`, `music` and, if the system reads text, `text`: named inputs to `embedding` (B, d), unit rows.

    Raises:
        BadOptions: for a system whose music cannot be embedded without the video, or that reads the tag.
    """
    if not system.indexable:
        raise BadOptions(
            "this system's music embedding depends on the video, so no index can hold it: train a two-tower "
            "one, such as --system ut_cmvmr --preset tower"
        )
    if system.reads_query_text:
        raise BadOptions("this system reads each video's tag, which a service is not told: train it without")
    graphs = {side: _sequence_graph(system, side) for side in ("video", "music")}
    if system.text_view is not None and type(system).embed_text is not System.embed_text:
        width = len(system.text_view.mean)
        graphs["text"] = _graph(
            _TextTower(system), "text", [torch.zeros(TRACE_BATCH, width)], ["text"], {"text": {0: "batch"}}
        )
    return graphs


def _sequence_graph(system: System, side: str) -> onnx.ModelProto:
    view = system.video_view if side == "video" else system.music_view
    inputs: list[Tensor] = []
    names: list[str] = []
    free: dict[str, dict[int, str]] = {}
    for name, width in view.widths.items():
        inputs += [
            torch.zeros(TRACE_BATCH, TRACE_ROWS, width),
            torch.ones(TRACE_BATCH, TRACE_ROWS, dtype=torch.bool),
        ]
        names += [name, f"{name}_mask"]
        free |= {each: {0: "batch", 1: f"{name}_rows"} for each in names[-2:]}
    return _graph(_SequenceTower(system, side), side, inputs, names, free)


def _graph(
    tower: nn.Module, name: str, inputs: Sequence[Tensor], names: list[str], free: dict[str, dict[int, str]]
) -> onnx.ModelProto:
    with warnings.catch_warnings(), torch.no_grad(), TemporaryDirectory() as folder:
        path = Path(folder) / "tower.onnx"
        warnings.simplefilter("ignore")  # the exporter's, about itself and about shapes it watches
        torch.onnx.export(
            tower.eval(),
            tuple(inputs),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["embedding"],
            dynamic_axes=free | {"embedding": {0: "batch"}},
        )
        width = tower(*inputs).shape[1]
        model = onnx.load_model(path)
    model.producer_name, model.producer_version, model.graph.name = "yuyin", "", f"{name}_tower"
    del model.graph.output[:], model.metadata_props[:]
    shape = ["batch", width]
    model.graph.output.append(helper.make_tensor_value_info("embedding", TensorProto.FLOAT, shape))
    onnx.checker.check_model(model, full_check=True)
    return model
