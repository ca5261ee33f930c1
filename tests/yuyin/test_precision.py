"""`yuyin models verify --precision`: what fewer bits change, over networks of the catalogue's sizes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner, Result

from model.backbones.catalogue import AST, BERT, INCEPTION, BackboneSpec
from model.backbones.folder import VOCABULARY, new_backbone
from model.datasets.table import write_dataset
from model.errors import BadDataset, BadOptions, NotInstalled, YuyinError
from model.evaluation.precision import FEWEST_PAIRS, LEAST_COSINE, MOST_LOST
from model.media.encode import VideoWriter, write_audio
from yuyin.cli.app import app

BLOCKS = 12


def write_graph(path: Path, spec: BackboneSpec, noise: float) -> None:
    """Means of 12 parts of an item through a fixed random matrix, and a little of another one."""
    rng = np.random.default_rng(spec.width)
    matrix = rng.standard_normal((BLOCKS, spec.width)) + noise * rng.standard_normal((BLOCKS, spec.width))
    size = int(np.prod(spec.input_shape))
    pieces = np.zeros((size, BLOCKS), np.float32)
    pieces[np.arange(size), np.arange(size) * BLOCKS // size] = BLOCKS / size
    weights = [
        numpy_helper.from_array(x.astype(np.float32), name)
        for name, x in (("pieces", pieces), ("matrix", matrix))
    ]
    kind = TensorProto.INT64 if spec.input_dtype == "int64" else TensorProto.FLOAT
    nodes = [
        helper.make_node("Cast", ["x"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["numbers"], ["flat"]),
        helper.make_node("MatMul", ["flat", "pieces"], ["means"]),
        helper.make_node("MatMul", ["means", "matrix"], ["features"]),
    ]
    taken = helper.make_tensor_value_info("x", kind, ["b", *spec.input_shape])
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["b", spec.width])
    graph = helper.make_graph(nodes, "means", [taken], [given], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the environment names."""
    monkeypatch.setenv("YUYIN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def install(models: Path) -> Callable[..., None]:
    """`install(precision, noise, mean)`: all networks; `mean` is the cosine that their manifests record."""

    def make(precision: str, noise: float = 0.0, mean: float = 1.0) -> None:
        facts: dict[str, Any] = {}
        if precision != "fp32":
            facts = {"figures": {"cosine_to_fp32": {"mean": mean, "least": mean}, "compared_on": 5}}
        for spec in (INCEPTION, AST, BERT):
            with new_backbone(models, spec, precision, facts) as folder:
                write_graph(folder / "model.onnx", spec, noise)
                if spec is BERT:
                    (folder / VOCABULARY).write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n", "utf-8")

    return make


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two pairs to train on and one held out, with media."""
    rng, folder = np.random.default_rng(0), tmp_path / "ads"
    folder.mkdir()
    ids = np.array(["p0", "p1", "p2"])
    for i, name in enumerate(ids):
        with VideoWriter(folder / f"{name}.mp4", 64, 48, 5) as video:
            for _ in range(5):
                video.write(rng.integers(0, 60 * (i + 1), (48, 64, 3), dtype=np.uint8))
        samples = 0.1 * (i + 1) * rng.standard_normal(2 * 16_000).clip(-1, 1)
        write_audio(folder / f"{name}.wav", samples.astype(np.float32), 16_000, codec="wav")
    text = dict.fromkeys(("category", "tag"), np.full(3, "food"))
    paths = {"video_path": np.char.add(ids, ".mp4"), "music_path": np.char.add(ids, ".wav")}
    own = dict.fromkeys(("pair_id", "track_id", "group"), ids) | {
        "split": np.array(["train", "train", "test"])
    }
    times = dict.fromkeys(("length_s", "start_s"), np.zeros(3))
    write_dataset(folder, {"kind": "prepared"}, {**text, **paths, **own, **times})
    return folder


def every_byte(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def verify(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["models", "verify", *map(str, words)])


def refused(kind: type[YuyinError], *words: str | Path) -> str:
    result = verify(*words)
    assert isinstance(result.exception, kind), result.output
    return str(result.exception)


def test_help_states_the_bounds() -> None:
    said = " ".join(verify("--help").output.split())
    assert f"cosine of {LEAST_COSINE} for each network" in said
    assert f"at most {MOST_LOST} lower" in said
    assert f"fewer than {FEWEST_PAIRS} pairs" in said


def test_what_the_exports_recorded_is_judged(install: Callable[..., None]) -> None:
    install("int8", mean=0.995)
    install("fp16", mean=0.5)
    result = verify("--precision", "int8")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "0.99500" in result.stdout
    assert BERT.name not in result.stdout
    result = verify("paper", "--precision", "fp16", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [each["network"] for each in found["turned"]] == [INCEPTION.name, AST.name]
    assert found["retrieved"] is None
    assert result.stderr.strip() == found["refused"]
    assert "use fp32" in found["refused"]


def test_what_makes_no_sense_is_said(install: Callable[..., None], tmp_path: Path) -> None:
    assert "--precision" in refused(BadOptions, "--dataset", tmp_path)
    assert "lite needs none" in refused(BadOptions, "lite", "--precision", "int8")
    assert "yuyin models pull paper" in refused(NotInstalled, "--precision", "int8")
    install("fp32")
    for words in ([], ["--dataset", tmp_path]):
        said = refused(NotInstalled, "--precision", "int8", *words)
        assert f"yuyin models export {INCEPTION.name} --precision int8" in said
    install("int8")
    assert "no finished dataset" in refused(BadDataset, "--precision", "int8", "--dataset", tmp_path)
    assert verify("--precision", "bf16").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "within"), [(0.02, True), (0.5, False)])
def test_a_dataset_shows_what_fewer_bits_change(
    install: Callable[..., None], dataset: Path, noise: float, within: bool
) -> None:
    pytest.importorskip("opensmile")
    pytest.importorskip("tokenizers")
    install("fp32")
    install("int8", noise, mean=1.0)  # what the exports say is not what is so here
    before = every_byte(dataset)
    result = verify("--precision", "int8", "--dataset", dataset, "--processes", "1", "--json")
    assert result.exit_code == (0 if within else 1), result.output
    assert every_byte(dataset) == before
    found = json.loads(result.stdout)
    expected = 1 / np.sqrt(1 + noise**2)  # of vectors through independent random matrices
    assert [each["mean"] for each in found["turned"]] == pytest.approx([expected] * 2, abs=0.02)
    assert found["retrieved"]["pairs"] == 1
    assert any(note in result.stderr for note in found["notes"])
    assert "openSMILE" in result.stderr, "whose licence is said before the work begins"
    assert (found["refused"] is None) == within
    if not within:
        assert "--calibrate VIDEO` with more videos of your own, or use fp32\n" in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_networks_of_the_real_size_are_quantised_and_measured(models: Path, dataset: Path) -> None:
    """Random weights; that R@10 is not judged on one pair is said."""
    for name in ("torch", "transformers", "safetensors", "opensmile", "tokenizers"):
        pytest.importorskip(name)
    from model.backbones.export import export_untrained

    for spec in (INCEPTION, AST, BERT):
        export_untrained(models, spec.name)
    videos = [word for video in sorted(dataset.glob("*.mp4")) for word in ("--calibrate", str(video))]
    for name, words in ((INCEPTION.name, videos), (AST.name, [])):
        made = CliRunner().invoke(app, ["models", "export", name, "--precision", "int8", *words])
        assert made.exit_code == 0, made.output
    result = verify("--precision", "int8", "--dataset", dataset, "--processes", "1", "--json")
    found = json.loads(result.stdout)
    pictures, sound = (each["mean"] for each in found["turned"])
    assert 0.97 < pictures < 1, "of noise, calibrated with a few frames of it, it is near the bound"
    assert 0.99 < sound < 1
    assert result.exit_code == (0 if pictures >= LEAST_COSINE else 1), result.output
    assert found["retrieved"]["pairs"] == 1
    assert "says nothing" in result.stderr
