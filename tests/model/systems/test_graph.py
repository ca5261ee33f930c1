"""Graphs written by hand against the torch modules that they stand for."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from model.systems.batch import Dims
from model.systems.graph import OPSET
from model.systems.yuyin import YuYin, YuYinConfig
from model.systems.yuyin_graph import tower_graphs

DIMS = Dims({"motion": 3, "frames": 6}, {"emotion": 4, "audio": 5}, 7, 3)


def system(pool: str, *, linear_path: bool = False) -> YuYin:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = YuYinConfig(pool=pool, embedding=12, hidden=8, common=4, linear_path=linear_path)  # type: ignore[arg-type]  # parametrize knows no Literal
        made = YuYin(DIMS, config)
        for inputs in (made.video_inputs, made.music_inputs):
            inputs.standardise.fit([3 * torch.randn(40, inputs.width) + 1])
        made.text_inputs.fit([torch.eye(7)])
    return made.eval()


def run(graph: onnx.ModelProto, feed: dict[str, torch.Tensor]) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["embedding"], {name: x.numpy() for name, x in feed.items()})[0])


@pytest.mark.parametrize("pool", ["mean", "mean_std"])
@pytest.mark.parametrize(("batch", "rows"), [(1, 1), (3, 7), (2, 30)])
def test_is_its_torch_module_with_odd_values_and_padding(pool: str, batch: int, rows: int) -> None:
    made, rng = system(pool, linear_path=batch > 1), np.random.default_rng(rows)
    graphs = tower_graphs(made)
    for name, inputs, embed in (
        ("video", made.video_inputs, made.video),
        ("music", made.music_inputs, made.music),
    ):
        feed: dict[str, torch.Tensor] = {}
        for key, width in inputs.widths.items():
            feed[key] = torch.from_numpy(rng.normal(0, 20, (batch, rows, width)).astype(np.float32))
            feed[key][0, 0, 0] = [torch.nan, torch.inf][rows % 2]
            mask = rng.random((batch, rows)) < 0.6
            feed[f"{key}_mask"] = torch.from_numpy(mask)
            feed[key][~feed[f"{key}_mask"]] = torch.nan
        expected = embed({key: (feed[key], feed[f"{key}_mask"]) for key in inputs.widths})
        np.testing.assert_allclose(run(graphs[name], feed), expected.detach().numpy(), atol=1e-5)
    text = torch.from_numpy(rng.standard_normal((batch, 7)).astype(np.float32))
    np.testing.assert_allclose(
        run(graphs["text"], {"text": text}), made.text(text).detach().numpy(), atol=1e-5
    )


def test_is_one_file_of_a_fixed_opset_that_names_its_inputs() -> None:
    for name, graph in tower_graphs(system("mean")).items():
        assert [entry.version for entry in graph.opset_import] == [OPSET]
        assert all(not tensor.external_data for tensor in graph.graph.initializer)
        expected = {"text"} if name == "text" else {*DIMS.video} if name == "video" else {*DIMS.music}
        named = {entry.name for entry in graph.graph.input}
        assert named == expected | ({f"{key}_mask" for key in expected} if name != "text" else set())


def test_the_same_system_gives_the_same_bytes() -> None:
    first, second = (tower_graphs(system("mean_std")) for _ in range(2))
    for name in first:
        assert first[name].SerializeToString(deterministic=True) == second[name].SerializeToString(
            deterministic=True
        )
