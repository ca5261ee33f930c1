"""Fewer bits: which operators get them, how far features move, what is written down, what is left behind."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from model.backbones.catalogue import BACKBONES, BackboneSpec
from model.backbones.export import export_as, export_untrained
from model.backbones.folder import Backbone
from model.backbones.graph import batches_on_cpu, on_cpu
from model.backbones.noise import noise
from model.backbones.quantise import compare, to_fp16, to_int8
from model.errors import BadOptions
from model.features.calibration import calibration_frames

Small = tuple[BackboneSpec, Path]


@pytest.fixture
def pictures(small_pictures: Small, tmp_path: Path) -> tuple[Path, BackboneSpec, Backbone]:
    spec, folder = small_pictures
    return tmp_path / "models", spec, with_spec(export_as(tmp_path / "models", spec, folder), spec)


@pytest.fixture
def texts(small_bert: Small, tmp_path: Path) -> tuple[Path, BackboneSpec, Backbone]:
    spec, folder = small_bert
    return tmp_path / "models", spec, with_spec(export_as(tmp_path / "models", spec, folder), spec)


def with_spec(backbone: Backbone, spec: BackboneSpec) -> Backbone:
    """Of the small size."""
    return Backbone(backbone.folder, spec, backbone.manifest)


def operators(graph: Any) -> dict[str, int]:
    kinds = [node.op_type for node in graph.graph.node]
    return {kind: kinds.count(kind) for kind in kinds}


def constants(graph: Any) -> dict[str, NDArray[Any]]:
    return {each.name: numpy_helper.to_array(each) for each in graph.graph.initializer}


def test_pictures_get_8_bits_everywhere(pictures: tuple[Path, BackboneSpec, Backbone]) -> None:
    """Static, U8S8: activations without a sign, one scale each; weights with one, a scale a channel."""
    models, spec, full = pictures
    small = to_int8(models, full, [noise(spec, 12), noise(spec, 4, 1)])
    graph = onnx.load_model(small.graph)
    found, made_by = constants(graph), {name: node for node in graph.graph.node for name in node.output}
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 2
    for node in convolutions:
        x, weight = (made_by[name] for name in node.input[:2])
        assert {x.op_type, weight.op_type} == {"DequantizeLinear"}
        assert found[x.input[2]].dtype == np.uint8
        assert found[x.input[1]].shape == ()
        assert found[weight.input[0]].dtype == np.int8
        assert found[weight.input[1]].shape == (found[weight.input[0]].shape[0],)
    assert "ConvInteger" not in operators(graph)


def test_texts_get_8_bits_in_products_with_constants(texts: tuple[Path, BackboneSpec, Backbone]) -> None:
    """Dynamic: six matrices a layer; embeddings, and products of two activations, stay as they are."""
    models, _, full = texts
    before = operators(onnx.load_model(full.graph))
    small = to_int8(models, full)
    graph = onnx.load_model(small.graph)
    after = operators(graph)
    assert after["MatMulInteger"] == 12
    assert after["MatMul"] == before["MatMul"] - 12 == 4
    assert any(each.dtype == np.float32 and each.shape == (400, 32) for each in constants(graph).values())
    assert small.vocabulary.read_bytes() == full.vocabulary.read_bytes()


@pytest.mark.parametrize("kind", ["pictures", "texts"])
@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_features_stay_close_and_the_manifest_says_how_close(
    request: pytest.FixtureRequest, kind: str, precision: str
) -> None:
    models, spec, full = request.getfixturevalue(kind)
    rows = noise(spec, 16, seed=4)
    small = {"int8": to_int8, "fp16": to_fp16}[precision](models, full, [rows])
    assert small.precision == precision
    assert small.manifest["source"]["backbone"] == full.id
    assert small.manifest["source"]["folder"] == full.manifest["source"]["folder"]
    assert set(small.manifest["made_by"]) == {"onnxruntime"}
    figures = small.manifest["figures"]
    compared = rows[3::4] if (kind, precision) == ("pictures", "int8") else rows
    assert figures["compared_on"] == len(compared)
    networks = (on_cpu(full.graph), on_cpu(small.graph))
    a, b = (np.concatenate([run(row[None]) for row in compared]).astype(np.float64) for run in networks)
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert figures["cosine_to_fp32"]["mean"] == pytest.approx(cosines.mean(), abs=2e-5)
    assert figures["cosine_to_fp32"]["least"] == pytest.approx(cosines.min(), abs=2e-5)
    assert cosines.min() > 0.99
    assert not np.array_equal(a, b)
    assert small.id != full.id


def test_frames_do_not_depend_on_their_neighbours(pictures: tuple[Path, BackboneSpec, Backbone]) -> None:
    models, spec, full = pictures
    small, rows = batches_on_cpu(to_int8(models, full, [noise(spec, 8)]).graph), noise(spec, 5, seed=6)
    np.testing.assert_allclose(small(rows), np.concatenate([small(row[None]) for row in rows]), atol=1e-6)


def test_halves_keep_their_ends(pictures: tuple[Path, BackboneSpec, Backbone]) -> None:
    models, _, full = pictures
    graph = onnx.load_model(to_fp16(models, full).graph)
    ends = [*graph.graph.input, *graph.graph.output]
    assert {each.type.tensor_type.elem_type for each in ends} == {TensorProto.FLOAT}
    assert {each.dtype for each in constants(graph).values() if each.ndim == 4} == {np.dtype(np.float16)}


def test_frames_that_are_compared_on_do_not_calibrate(pictures: tuple[Path, BackboneSpec, Backbone]) -> None:
    models, spec, full = pictures
    rows = noise(spec, 8)
    facts = to_int8(models, full, [rows]).manifest["figures"]["calibration"]
    assert facts["frames"] == 6
    moved = rows.copy()
    moved[[3, 7]] *= 0.5
    same = to_int8(models, full, [moved[:5], moved[5:]]).manifest["figures"]["calibration"]
    assert same == facts
    moved[0] *= 0.5
    assert to_int8(models, full, [moved]).manifest["figures"]["calibration"]["sha256"] != facts["sha256"]


def test_ranges_are_those_of_the_frames(pictures: tuple[Path, BackboneSpec, Backbone]) -> None:
    """Frames ten times as dark move the input's scale ten times down."""
    models, spec, full = pictures
    scales = []
    for size in (1.0, 0.1):
        graph = onnx.load_model(to_int8(models, full, [noise(spec, 8) * size]).graph)
        first = next(
            node for node in graph.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "x"
        )
        scales.append(float(constants(graph)[first.input[1]]))
    assert scales[0] / scales[1] == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize(
    ("inputs", "said"), [(None, "name videos to calibrate with"), (3, "3 frames are too few"), (0, "too few")]
)
def test_pictures_need_frames(
    pictures: tuple[Path, BackboneSpec, Backbone], inputs: int | None, said: str
) -> None:
    models, spec, full = pictures
    with pytest.raises(BadOptions, match=said):
        to_int8(models, full, None if inputs is None else [noise(spec, inputs)])
    assert [path.name for path in full.folder.parent.iterdir()] == ["fp32"]


@pytest.mark.parametrize("kind", ["pictures", "texts"])
def test_leaves_nothing_behind_and_says_nothing(
    request: pytest.FixtureRequest,
    kind: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models, spec, full = request.getfixturevalue(kind)
    capfd.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", "/there is no such folder")
        to_int8(models, full, [noise(spec, 8)])
        to_fp16(models, full)
        after = tempfile.tempdir
    assert after == "/there is no such folder"
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in full.folder.parent.iterdir()} == {"fp32", "int8", "fp16"}


def test_needs_no_torch_and_sets_up_no_logging(texts: tuple[Path, BackboneSpec, Backbone]) -> None:
    """onnxruntime's package of quantisation sets the root logger up when it is imported."""
    code = (
        "import logging, sys; from pathlib import Path; import numpy as np\n"
        "from model.backbones.folder import Backbone; from model.backbones.quantise import to_int8\n"
        f"models = Path({str(texts[0])!r})\n"
        "to_int8(models, Backbone.open(models, 'chinese-bert-wwm', 'fp32'), [np.full((4, 64), 150)])\n"
        "root = logging.getLogger()\n"
        "print(root.handlers, root.level == logging.WARNING, root.manager.disable, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=250)
    assert done.stdout == "[] True 0 False\n", done.stderr


def test_cosines_are_of_rows() -> None:
    rows = np.array([[1, 0], [1, 1], [0, 2], [0, 0]], np.float32)
    turned = np.array([[1, 0], [1, 0], [3, 0], [0, 0]], np.float32)
    found = compare(lambda _: rows, lambda _: turned, [np.zeros((4, 1)), np.zeros((4, 1))])
    assert found.mean == pytest.approx((1 + np.sqrt(0.5) + 0 + 1) / 4)
    assert found.least == 0
    same = compare(lambda x: x, lambda x: 5 * x, [rows[:3]])
    assert (same.mean, same.least) == pytest.approx((1, 1))
    assert compare(lambda _: rows[3:], lambda _: rows[:1], [rows[:1]]).least == 0


@pytest.mark.parametrize("inputs", [[], [np.zeros((0, 4), np.float32)]])
def test_nothing_cannot_be_compared(inputs: Sequence[NDArray[Any]]) -> None:
    with pytest.raises(BadOptions, match="nothing to compare"):
        compare(lambda x: x, lambda x: x, inputs)


@pytest.fixture(scope="module")
def videos(shared_data: Path) -> list[Path]:
    names = ("media/mp4/sample_portrait.mp4", "media/mp4/sample_video_only.mp4", "mmaction2/demo/demo.mp4")
    return [shared_data / "video" / name for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_of_full_size_gets_8_bits(tmp_path: Path, videos: list[Path], name: str) -> None:
    pytest.importorskip("transformers")
    full = export_untrained(tmp_path, name)
    frames = calibration_frames(videos, 24) if name == "inception-v3" else None
    small = to_int8(tmp_path, full, frames)
    assert small.graph.stat().st_size < 0.55 * full.graph.stat().st_size
    assert small.manifest["figures"]["cosine_to_fp32"]["mean"] > 0.9  # random weights: it is intact, no more
