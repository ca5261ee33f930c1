"""Tiny real bundles (random projections as ONNX graphs), pools of tones, and a store built from them."""

import shutil
import wave
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from index_builder.build import BuildJob, BuildReport, build
from model.artifact import content_id, hash_files, write_json
from model.backbones.catalogue import AST
from model.backbones.folder import new_backbone
from model.backbones.loaded import Backbones
from model.bundle import recipe_of
from model.features.extractors import Profile
from model.features.profiles import load_profile
from model.grid import Grid

DIM = 8
RATE_HZ = 22_050


def tower(widths: dict[str, int], seed: int, *, masked: bool, scale: float = 1.0) -> onnx.ModelProto:
    """Mean over time of every input that has one, times a random matrix, the sum of them of unit length."""
    rng = np.random.default_rng(seed)
    nodes, inputs, parts = [], [], []
    weights = [numpy_helper.from_array(np.array([axis]), name) for axis, name in ((1, "time"), (2, "last"))]

    def node(kind: str, into: str, *of: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, list(of), [into], **attributes))
        return into

    for name, width in widths.items():
        shape = ["B", f"T_{name}", width] if masked else ["B", width]
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        mean = name
        if masked:
            inputs.append(helper.make_tensor_value_info(f"{name}_mask", TensorProto.BOOL, ["B", f"T_{name}"]))
            heard = node("Cast", f"{name}_f", f"{name}_mask", to=TensorProto.FLOAT)
            inside = node("Unsqueeze", f"{name}_u", heard, "last")
            total = node("ReduceSum", f"{name}_s", node("Mul", f"{name}_x", name, inside), "time", keepdims=0)
            mean = node("Div", f"{name}_m", total, node("ReduceSum", f"{name}_n", inside, "time", keepdims=0))
        matrix = scale * rng.standard_normal((width, DIM)).astype(np.float32)
        weights.append(numpy_helper.from_array(matrix, f"{name}_w"))
        parts.append(node("MatMul", f"{name}_p", node("Tanh", f"{name}_t", mean), f"{name}_w"))
    weights.append(numpy_helper.from_array(np.ones(DIM, np.float32), "one"))  # no zero vector
    node("LpNormalization", "embedding", node("Sum", "joined", *parts, "one"), axis=-1, p=2)
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", DIM])
    if not masked:
        weights = weights[2:]
    graph = helper.make_graph(nodes, "tower", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_bundle(
    folder: Path,
    seed: int,
    *,
    scale: float = 1.0,
    profile: Profile | None = None,
    music: Collection[str] | None = None,
) -> Path:
    """`scale` 0 makes a tower that gives one vector for everything; `music` is what that tower reads."""
    folder.mkdir(parents=True)
    profile = profile or load_profile("lite")
    widths = {
        side: {k: len(e.features) for k, e in getattr(profile, side).items()} for side in ("video", "music")
    }
    widths["music"] = {k: d for k, d in widths["music"].items() if music is None or k in music}
    widths["text"] = {"text": len(profile.text.features)}
    inputs = {}
    for i, (side, columns) in enumerate(widths.items()):
        masked = side != "text"
        onnx.save(tower(columns, seed + i, masked=masked, scale=scale), folder / f"{side}_tower.onnx")
        inputs[side] = []
        for k, d in columns.items():
            inputs[side].append(
                {"name": k, "shape": ["B", "T", d] if masked else ["B", d], "dtype": "float32"}
            )
            inputs[side] += [{"name": f"{k}_mask", "shape": ["B", "T"], "dtype": "bool"}] if masked else []
    np.save(folder / "null_queries.npy", np.eye(DIM, dtype=np.float32))
    manifest = {
        "schema_version": 1,
        "system": "projection",
        "profile": profile.name,
        "recipe": recipe_of(profile, Grid()),
        "inputs": inputs,
        "dim": DIM,
        "categories": [],
        "tags": [],
        "metrics": {},
        "no_match_threshold": 0.0,
        "files": hash_files(folder, manifest="bundle.json"),
    }
    write_json(folder / "bundle.json", manifest | {"id": content_id(manifest)})
    return folder


def write_tone(path: Path, seconds: float, pitch_hz: float, pulse_hz: float) -> Path:
    """A struck tone in mono, growing louder; another pitch and pulse make another embedding."""
    t = np.arange(round(RATE_HZ * seconds)) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 6))
    samples = tone * np.exp(-6 * ((t * pulse_hz) % 1)) * (0.05 + 0.2 * t / max(seconds, 1e-9))
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="session")
def tone() -> Callable[..., Path]:
    return write_tone


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "one", 1)


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "two", 50)


@pytest.fixture(scope="session")
def blind_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "blind", 1, scale=0.0)


@pytest.fixture(scope="session")
def of_paper() -> Callable[..., Path]:
    """`of_paper(folder, "emotion", models=None)`: a bundle of the profile `paper` with such music inputs."""

    def write(folder: Path, *music: str, models: Path | None = None) -> Path:
        here = None if models is None else Backbones(models)
        return write_bundle(folder, 1, profile=load_profile("paper", here, inputs=music), music=music)

    return write


@pytest.fixture(scope="session")
def small_ast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MODELS folder whose AST is one random matrix over the mean spectrum."""
    matrix = np.random.default_rng(0).standard_normal((AST.input_shape[1], AST.width)).astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["features"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", *AST.input_shape])
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["b", AST.width])
    graph = helper.make_graph(nodes, "ast", [x], [features], [numpy_helper.from_array(matrix, "w")])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    models = tmp_path_factory.mktemp("models")
    with new_backbone(models, AST, "fp32", {}) as folder:
        onnx.save(made, folder / "model.onnx")
    return models


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tracks of 8, 16, 21 and 26 s, one of them twice, one file that is no music, and a catalogue."""
    folder = tmp_path_factory.mktemp("pool")
    write_tone(folder / "short.wav", 8.0, 110.0, 1.0)
    write_tone(folder / "low.wav", 16.0, 150.0, 2.0)
    write_tone(folder / "deep" / "mid.wav", 21.0, 440.0, 1.5)
    write_tone(folder / "high.wav", 26.0, 1500.0, 3.0)
    (folder / "again.wav").write_bytes((folder / "high.wav").read_bytes())
    (folder / "broken.mp3").write_text("this is no music")
    (folder / "catalogue.csv").write_text(
        "path,track_id,title,artist,genres,moods,bpm,key\n"
        "low.wav,low,Low one,Ann,pop; dance,calm,120,C minor\n"
        "deep/mid.wav,mid,Mid one,Bob,rock,calm|happy,,\n"
        "high.wav,high,High one,Bob,Pop,happy,,\n"
    )
    return folder


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, pool: Path, bundle: Path) -> tuple[Path, BuildReport]:
    """A store that no test writes to, and how it was built."""
    store = tmp_path_factory.mktemp("built") / "store"
    return store, build(BuildJob(pool, store, bundle), lambda _: None)


@pytest.fixture
def store(built: tuple[Path, BuildReport], tmp_path: Path) -> Path:
    """The same store, of this test's own."""
    shutil.copytree(built[0], tmp_path / "store")
    return tmp_path / "store"
