"""A tiny real bundle (random projections as ONNX towers), a pool of tones, and a store built from both."""

import shutil
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from index_builder import snapshot as snapshots
from index_builder.search import FlatSearch
from index_builder.snapshot import SEGMENT
from model.artifact import content_id, hash_files, write_json
from model.bundle import recipe_of
from model.features.extractors import Profile
from model.features.profiles import load_profile
from model.grid import Grid
from service.app import create_app
from service.edge.patience import MAX_HEADER_BYTES, PatientProtocol
from service.settings import Settings

DIM = 16
HOST = "http://127.0.0.1:8000"
LENGTHS_S = {"alpha": 6, "bravo": 12, "charlie": 17, "delta": 21, "echo": 26}


def tower(widths: dict[str, int], seed: int) -> onnx.ModelProto:
    """Masked mean over time of every input, a squashing, a random projection, unit length.

    What is not finite counts as a training mean of 0, as in every tower of ours.
    """
    rng = np.random.default_rng(seed)
    nodes, inputs, weights, parts = [], [], [], []

    def node(kind: str, into: str, *of: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, list(of), [into], **attributes))
        return into

    def constant(name: str, value: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(value, name))
        return name

    time_axis, last_axis = constant("time", np.array([1])), constant("last", np.array([2]))
    zero = constant("zero", np.float32(0))
    for name, width in widths.items():
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", "T_" + name, width]))
        inputs.append(helper.make_tensor_value_info(f"{name}_mask", TensorProto.BOOL, ["B", "T_" + name]))
        mask = node("Cast", f"{name}_f", f"{name}_mask", to=TensorProto.FLOAT)
        mask = node("Unsqueeze", f"{name}_m", mask, last_axis)
        known = node("Where", f"{name}_k", node("IsNaN", f"{name}_nan", name), zero, name)
        total = node("ReduceSum", f"{name}_sum", node("Mul", f"{name}_x", known, mask), time_axis, keepdims=0)
        count = node("ReduceSum", f"{name}_n", mask, time_axis, keepdims=0)
        mean = node("Tanh", f"{name}_t", node("Div", f"{name}_mean", total, count))
        matrix = constant(f"{name}_w", rng.standard_normal((width, DIM)).astype(np.float32))
        parts.append(node("MatMul", f"{name}_p", mean, matrix))
    shift = constant("shift", rng.standard_normal(DIM).astype(np.float32))  # no zero vector, so no 0 / 0
    node("LpNormalization", "embedding", node("Sum", "joined", *parts, shift), axis=-1, p=2)
    return finish(nodes, inputs, weights)


def text_tower(width: int, seed: int) -> onnx.ModelProto:
    matrix = np.random.default_rng(seed).standard_normal((width, DIM)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["text", "w"], ["p"]),
        helper.make_node("LpNormalization", ["p"], ["embedding"], axis=-1, p=2),
    ]
    inputs = [helper.make_tensor_value_info("text", TensorProto.FLOAT, ["B", width])]
    return finish(nodes, inputs, [numpy_helper.from_array(matrix, "w")])


def finish(nodes: list[Any], inputs: list[Any], weights: list[Any]) -> onnx.ModelProto:
    output = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["B", DIM])
    graph = helper.make_graph(nodes, "tower", inputs, [output], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def write_bundle(folder: Path, seed: int) -> Path:
    """A bundle whose weights are drawn from `seed`: another seed ranks otherwise and has another id."""
    folder.mkdir(parents=True)
    profile = load_profile("lite")
    widths = {
        side: {k: len(e.features) for k, e in getattr(profile, side).items()} for side in ("video", "music")
    }
    text_width = len(profile.text.features)
    for i, side in enumerate(("video", "music")):
        onnx.save(tower(widths[side], seed + i), folder / f"{side}_tower.onnx")
    onnx.save(text_tower(text_width, seed + 2), folder / "text_tower.onnx")
    null = np.random.default_rng(seed).standard_normal((8, DIM)).astype(np.float32)
    np.save(folder / "null_queries.npy", null / np.linalg.norm(null, axis=1, keepdims=True))
    manifest = manifest_of(profile, widths, text_width) | {
        "files": hash_files(folder, manifest="bundle.json")
    }
    write_json(folder / "bundle.json", manifest | {"id": content_id(manifest)})
    return folder


def manifest_of(profile: Profile, widths: dict[str, dict[str, int]], text_width: int) -> dict[str, Any]:
    inputs: dict[str, Any] = {"text": [{"name": "text", "shape": ["B", text_width], "dtype": "float32"}]}
    for side, columns in widths.items():
        inputs[side] = [
            entry
            for k, d in columns.items()
            for entry in (
                {"name": k, "shape": ["B", "T", d], "dtype": "float32"},
                {"name": f"{k}_mask", "shape": ["B", "T"], "dtype": "bool"},
            )
        ]
    return {
        "schema_version": 1,
        "system": "projection",
        "profile": profile.name,
        "recipe": recipe_of(profile, Grid()),
        "inputs": inputs,
        "dim": DIM,
        "categories": ["beauty"],
        "tags": ["happy", "calm"],
        "metrics": {},
        "no_match_threshold": 0.0,
    }


def write_pool(folder: Path, rate_hz: int = 22_050) -> Path:
    """Five short tracks, each with its own pitch, pulse and brightness, and a catalogue."""
    folder.mkdir(parents=True)
    rows = ["path,track_id,title,artist,genres,moods"]
    for i, (name, length_s) in enumerate(LENGTHS_S.items()):
        t = np.arange(rate_hz * length_s) / rate_hz
        pitch_hz, pulse_hz = 110 * 2 ** (i / 2), 1.0 + 0.4 * i
        tone = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k ** (1 + i / 4) for k in range(1, 8))
        samples = tone * np.exp(-6 * ((t * pulse_hz) % 1)) * (0.3 + 0.5 * t / t[-1])
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, rate_hz, 0, "NONE", ""))
            file.writeframes((samples / np.abs(samples).max() * 0.5 * 32767).astype("<i2").tobytes())
        rows.append(
            f"{name}.wav,{name},Title {i},Artist,{'rock' if i % 2 else 'pop'},{'calm' if i < 3 else 'happy'}"
        )
    (folder / "catalogue.csv").write_text("\n".join(rows) + "\n")
    return folder


@dataclass(frozen=True)
class Tracks:
    """What `rank` needs of a snapshot, without any files."""

    grid: Grid
    embeddings: NDArray[np.float32]
    segments: NDArray[np.void]
    first_segment: NDArray[np.int64]
    durations_s: NDArray[np.float64]
    search: FlatSearch


def tracks_of(vectors: list[NDArray[np.float64]], durations_s: list[float]) -> Tracks:
    """One (n_i, d) array of segment vectors for each track, made unit; n_i as the grid has it."""
    grid = Grid()
    parts = [grid.segments(duration_s) for duration_s in durations_s]
    assert [len(part) for part in parts] == [len(rows) for rows in vectors]
    counts = [len(part) for part in parts]
    segments = np.zeros(sum(counts), SEGMENT)
    segments["track"] = np.repeat(np.arange(len(parts)), counts)
    segments["start_s"], segments["end_s"] = np.concatenate(parts).T
    rows = np.concatenate(vectors)
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    first = np.concatenate([[0], np.cumsum(counts)])
    return Tracks(grid, rows, segments, first, np.array(durations_s), FlatSearch(rows))


@pytest.fixture(scope="session")
def make_tracks() -> Callable[..., Tracks]:
    """`tracks_of`, or with a seed instead of vectors random ones that resemble each other within a track."""

    def make(vectors: list[NDArray[np.float64]] | int, durations_s: list[float], dim: int = 6) -> Tracks:
        if isinstance(vectors, int):
            rng = np.random.default_rng(vectors)
            shapes = [(len(Grid().segments(duration_s)), dim) for duration_s in durations_s]
            vectors = [rng.standard_normal(dim) + 0.5 * rng.standard_normal(shape) for shape in shapes]
        return tracks_of(vectors, durations_s)

    return make


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pool(tmp_path_factory.mktemp("pool") / "tones")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("bundles")
    return write_bundle(folder / "old", 1), write_bundle(folder / "new", 100)


def build(pool: Path, store: Path, bundle: Path) -> None:
    """As an operator does it: the builder's own command line."""
    arguments = ["build", "--pool", str(pool), "--store", str(store), "--bundle", str(bundle)]
    subprocess.run([sys.executable, "-P", "-m", "index_builder", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="session")
def built_store(tmp_path_factory: pytest.TempPathFactory, pool: Path, bundles: tuple[Path, Path]) -> Path:
    """Never written to: copy it (`store`) to change it."""
    store = tmp_path_factory.mktemp("built") / "store"
    build(pool, store, bundles[0])
    return store


@pytest.fixture
def store(built_store: Path, tmp_path: Path) -> Path:
    """A store of this test's own."""
    shutil.copytree(built_store, tmp_path / "store")
    return tmp_path / "store"


@dataclass(frozen=True)
class Both:
    """A store with a snapshot of each bundle; CURRENT names the old one."""

    store: Path
    old: str
    new: str


@pytest.fixture(scope="session")
def _both(
    tmp_path_factory: pytest.TempPathFactory, built_store: Path, pool: Path, bundles: tuple[Path, Path]
) -> Both:
    store = tmp_path_factory.mktemp("both") / "store"
    shutil.copytree(built_store, store)
    old = snapshots.current(store)
    build(pool, store, bundles[1])
    new = snapshots.current(store)
    assert old is not None
    assert new not in (None, old)
    snapshots.activate(store, old)
    return Both(store, old, str(new))


@pytest.fixture
def both(_both: Both, tmp_path: Path) -> Both:
    """A copy of this test's own."""
    shutil.copytree(_both.store, tmp_path / "both")
    return replace(_both, store=tmp_path / "both")


@pytest.fixture(scope="session")
def client(built_store: Path) -> Iterator[TestClient]:
    """A running service without keys, for tests that only read."""
    with TestClient(create_app(Settings(store=built_store)), base_url=HOST) as running:
        yield running


def write_clip(
    path: Path, seconds: float, width_px: int, height_px: int, *, cut_s: float | None = None
) -> Path:
    """25 frames a second of drifting noise; dark before the cut, bright after it."""
    rng = np.random.default_rng(7)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "30"})
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        texture = rng.integers(0, 120, (height_px, width_px, 3), dtype=np.uint8)
        for i in range(int(seconds * 25)):
            bright = 130 if cut_s is not None and i >= cut_s * 25 else 0
            picture = np.roll(texture, 2 * i, axis=1) + np.uint8(bright)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """4 s of 320 x 180 with one cut at 2 s."""
    return write_clip(tmp_path_factory.mktemp("clip") / "cut.mp4", 4, 320, 180, cut_s=2.0).read_bytes()


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Long enough to decode that the server can be watched meanwhile."""
    return write_clip(tmp_path_factory.mktemp("clip") / "long.mp4", 8, 1280, 720).read_bytes()


class Live(uvicorn.Server):
    """A real server on a free port, in a thread; `url` once it answers."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(settings),
                "127.0.0.1",
                0,
                http=PatientProtocol,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
                log_config=None,
                access_log=False,
            )
        )
        self._thread = threading.Thread(target=self.run)
        self._thread.start()
        while not self.started:
            assert self._thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        self.port: int = self.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.should_exit = True
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the server does not stop"


def _lives() -> Iterator[Any]:
    started: list[Live] = []

    def start(settings: Settings) -> Live:
        started.append(Live(settings))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def live() -> Iterator[Any]:
    """Starts servers; all of them are stopped after the test."""
    yield from _lives()


@pytest.fixture(scope="module")
def live_long() -> Iterator[Any]:
    """The same for all tests of a file."""
    yield from _lives()
