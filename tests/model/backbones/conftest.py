"""torchvision where it cannot be imported as it is, and networks of the right kind that are small."""

import importlib.util
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import erf, softmax

from model.backbones.catalogue import AST, BERT, INCEPTION, BackboneSpec
from model.backbones.folder import VOCABULARY

WIDTH = 32
SMALL = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "layer_norm_eps": 1e-12,
}
SMALL_AST = replace(AST, width=WIDTH, input_shape=(64, 40))
SMALL_BERT = replace(BERT, width=WIDTH, preprocessing={**BERT.preprocessing, "vocabulary": 400})
SMALL_PICTURES = replace(INCEPTION, width=WIDTH, input_shape=(3, 24, 24))


_KEPT: list[Any] = []  # a library of operators ends with its object


@pytest.fixture(scope="session")
def torchvision_models() -> ModuleType:
    """`torchvision.models`, where it is."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("no torchvision on this machine")
    return import_torchvision_models()


def import_torchvision_models() -> ModuleType:
    """Also where only the build for CUDA lies beside a CPU torch.

    That one's compiled operators do not load there, and its import fails over two that it only names.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("torchvision.models")
        except RuntimeError:  # operator torchvision::nms does not exist
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "DEF")
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _KEPT.append(library)
            return importlib.import_module("torchvision.models")


@pytest.fixture(scope="session")
def small_ast(tmp_path_factory: pytest.TempPathFactory) -> tuple[BackboneSpec, Path]:
    """Two layers of AST on 64 frames of 40 bands, and the folder that they were published in."""
    return SMALL_AST, _small(tmp_path_factory, "AST", "ASTForAudioClassification", _ast_config())


@pytest.fixture(scope="session")
def small_bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[BackboneSpec, Path]:
    """Two layers of BERT on 400 words, likewise."""
    from model.backbones.untrained import vocabulary

    folder = _small(tmp_path_factory, "Bert", "BertForPreTraining", _bert_config())
    (folder / VOCABULARY).write_text(vocabulary(400), "utf-8")
    return SMALL_BERT, folder


def _ast_config() -> dict[str, Any]:
    frames, bands = SMALL_AST.input_shape
    own = {"model_type": "audio-spectrogram-transformer", "max_length": frames, "num_mel_bins": bands}
    return SMALL | own | {"num_labels": 5}


def _bert_config() -> dict[str, Any]:
    return SMALL | {"model_type": "bert", "vocab_size": 400, "max_position_embeddings": 64}


def _small(tmp_path_factory: pytest.TempPathFactory, kind: str, head: str, config: dict[str, Any]) -> Path:
    if importlib.util.find_spec("transformers") is None:
        pytest.skip("no transformers on this machine")
    from model.backbones.untrained import write_transformer

    folder = tmp_path_factory.mktemp(kind)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        write_transformer(folder, kind, head, config)
    return folder


@pytest.fixture
def small_pictures(tmp_path: Path) -> tuple[BackboneSpec, Path]:
    """A convolutional network of pictures, as a graph that somebody else exported."""
    from model.backbones.export import torch_graph

    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, WIDTH, 3),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
        ).eval()
    folder = tmp_path / "foreign"
    folder.mkdir()
    onnx.save_model(torch_graph(network, SMALL_PICTURES, folder), folder / "model.onnx")
    return SMALL_PICTURES, folder


Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Definition:
    """What all Transformers share, in 64 bits, from the published names of their tensors."""

    tensors: Mapping[str, torch.Tensor]
    prefix: str
    heads: int = SMALL["num_attention_heads"]

    def __call__(self, name: str) -> Matrix:
        """A tensor."""
        return self.tensors[f"{self.prefix}{name}"].double().numpy()

    def linear(self, h: Matrix, name: str) -> Matrix:
        return h @ self(f"{name}.weight").T + self(f"{name}.bias")

    def norm(self, h: Matrix, name: str) -> Matrix:
        centred = h - h.mean(1, keepdims=True)
        return centred / np.sqrt(h.var(1, keepdims=True) + 1e-12) * self(f"{name}.weight") + self(
            f"{name}.bias"
        )

    def gelu(self, h: Matrix) -> Matrix:
        return h * (1 + erf(h / np.sqrt(2))) / 2

    def attend(self, h: Matrix, asked: str, out: str) -> Matrix:
        """Vaswani et al. 2017, equation 1, several heads side by side."""
        q, k, v = (
            np.split(self.linear(h, f"{asked}.{name}"), self.heads, axis=1)
            for name in ("query", "key", "value")
        )
        size = np.sqrt(q[0].shape[1])
        mixed = [softmax(a @ b.T / size, axis=1) @ c for a, b, c in zip(q, k, v, strict=True)]
        return self.linear(np.concatenate(mixed, axis=1), out)


@pytest.fixture(scope="session")
def definition() -> type[Definition]:
    return Definition


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """`copied(folder)`: the same files where a test may spoil them."""
    return lambda folder: Path(shutil.copytree(folder, tmp_path / "copied"))
