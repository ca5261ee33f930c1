"""Exported graphs against the torch modules that they stand for."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from model.errors import BadOptions
from model.systems.batch import Dims
from model.systems.graph import OPSET, tower_graphs
from model.systems.yuyin import YuYin, YuYinConfig

ROWS = {"motion": 30, "frames": 30, "emotion": 30, "audio": 30}
DIMS = Dims({"motion": 3, "frames": 6}, {"emotion": 4, "audio": 5}, 7, 3, 9, ROWS)


def system(pool: str, *, linear_path: bool = False) -> YuYin:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = YuYinConfig(pool=pool, embedding=12, hidden=8, common=4, linear_path=linear_path)  # type: ignore[arg-type]  # parametrize knows no Literal
        made = YuYin(DIMS, config)
        for view in (made.video_view, made.music_view):
            view.standardise.fit([3 * torch.randn(40, view.width) + 1])
        assert made.text_view is not None
        made.text_view.fit([torch.eye(7)])
    return made.eval()


def run(graph: onnx.ModelProto, feed: dict[str, torch.Tensor]) -> np.ndarray:
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["embedding"], {name: x.numpy() for name, x in feed.items()})[0])


@pytest.mark.parametrize("pool", ["mean", "mean_std"])
@pytest.mark.parametrize(("batch", "rows"), [(1, 1), (3, 7), (2, 30)])
def test_is_its_torch_module_with_odd_values_and_padding(pool: str, batch: int, rows: int) -> None:
    made, rng = system(pool, linear_path=batch > 1), np.random.default_rng(rows)
    graphs = tower_graphs(made)
    for name, view, embed in (
        ("video", made.video_view, made.embed_video),
        ("music", made.music_view, made.embed_music),
    ):
        feed: dict[str, torch.Tensor] = {}
        for key, width in view.widths.items():
            feed[key] = torch.from_numpy(rng.normal(0, 20, (batch, rows, width)).astype(np.float32))
            feed[key][0, 0, 0] = [torch.nan, torch.inf][rows % 2]
            mask = rng.random((batch, rows)) < 0.6
            feed[f"{key}_mask"] = torch.from_numpy(mask)
            feed[key][~feed[f"{key}_mask"]] = torch.nan
        expected = embed(view({key: (feed[key], feed[f"{key}_mask"]) for key in view.widths}))
        np.testing.assert_allclose(run(graphs[name], feed), expected.detach().numpy(), atol=1e-5)
    text = torch.from_numpy(rng.standard_normal((batch, 7)).astype(np.float32))
    assert made.text_view is not None
    expected = made.embed_text(made.text_view(text))
    np.testing.assert_allclose(run(graphs["text"], {"text": text}), expected.detach().numpy(), atol=1e-5)


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


def test_names_no_file_of_the_machine_and_no_exporter() -> None:
    for graph in tower_graphs(system("mean_std")).values():
        assert (graph.producer_name, graph.producer_version) == ("yuyin", "")
        assert not any(node.doc_string or node.metadata_props for node in graph.graph.node)
        assert b".py" not in graph.SerializeToString()


def test_without_text_there_is_no_text_tower() -> None:
    made = YuYin(DIMS, YuYinConfig(text=False, embedding=12, hidden=8, common=4)).eval()
    assert set(tower_graphs(made)) == {"video", "music"}


@pytest.mark.parametrize(("trait", "value"), [("indexable", False), ("reads_query_text", True)])
def test_a_system_that_no_index_can_serve_is_refused(trait: str, value: bool) -> None:
    made = system("mean")
    setattr(made, trait, value)
    with pytest.raises(BadOptions, match="train"):
        tower_graphs(made)
