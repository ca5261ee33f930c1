"""AST against its definition written out in numpy, from the published names of its tensors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.backbones.ast import load_ast
from model.backbones.catalogue import BackboneSpec
from model.backbones.checkpoint import read_tensors
from model.backbones.noise import noise
from model.errors import Corrupt, Mismatch

STRIDE, PATCH = 10, 16


def slow_ast(w: Any, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """One (frames, bands) spectrogram to (d,): Gong et al. 2021, section 2.1, on ViT's pre-norm layers."""
    kernel, bias = (
        w("embeddings.patch_embeddings.projection.weight"),
        w("embeddings.patch_embeddings.projection.bias"),
    )
    bands_first = x.T.astype(np.float64)
    patches = [
        np.einsum("dij,ij->d", kernel[:, 0], bands_first[f : f + PATCH, t : t + PATCH]) + bias
        for f in range(0, bands_first.shape[0] - PATCH + 1, STRIDE)
        for t in range(0, bands_first.shape[1] - PATCH + 1, STRIDE)
    ]
    tokens = [w("embeddings.cls_token")[0, 0], w("embeddings.distillation_token")[0, 0]]
    h = np.stack([*tokens, *patches]) + w("embeddings.position_embeddings")[0]
    for layer in ("encoder.layer.0.", "encoder.layer.1."):
        normed = w.norm(h, f"{layer}layernorm_before")
        h = h + w.attend(normed, f"{layer}attention.attention", f"{layer}attention.output.dense")
        inner = w.linear(w.norm(h, f"{layer}layernorm_after"), f"{layer}intermediate.dense")
        h = h + w.linear(w.gelu(inner), f"{layer}output.dense")
    h = w.norm(h, "layernorm")
    found: NDArray[np.float64] = (h[0] + h[1]) / 2
    return found


@pytest.mark.parametrize("count", [1, 3])
def test_gives_what_the_definition_gives(
    small_ast: tuple[BackboneSpec, Path], definition: Any, count: int
) -> None:
    spec, folder = small_ast
    x = noise(spec, count, seed=count)
    with torch.inference_mode():
        found = load_ast(folder, spec)(torch.from_numpy(x)).numpy()
    published = definition(read_tensors(folder), "audio_spectrogram_transformer.")
    wanted = np.stack([slow_ast(published, row) for row in x])
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.corrcoef(found[0], noise(spec, 1)[0, 0, :32])[0, 1] < 0.9


def test_takes_the_checkpoint_without_its_head_and_prefix(
    small_ast: tuple[BackboneSpec, Path], copied: Callable[[Path], Path]
) -> None:
    from safetensors.torch import save_file

    spec, folder = small_ast
    bare = copied(folder)
    kept = {
        name.removeprefix("audio_spectrogram_transformer."): each
        for name, each in read_tensors(folder).items()
        if not name.startswith("classifier.")
    }
    save_file(kept, bare / "model.safetensors")
    x = torch.from_numpy(noise(spec, 2))
    with torch.inference_mode():
        assert torch.equal(load_ast(bare, spec)(x), load_ast(folder, spec)(x))


def test_is_ready_to_run(small_ast: tuple[BackboneSpec, Path]) -> None:
    """Also its wrapper: an exporter sets every part back to what the whole said."""
    assert not any(each.training for each in load_ast(small_ast[1], small_ast[0]).modules())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"hidden_size": 32', '"hidden_size": 64', "hidden_size = 64, and AST wants 32"),
        ('"max_length": 64', '"max_length": 512', "max_length = 512, and AST wants 64"),
        ('"audio-spectrogram-transformer"', '"vit"', "model_type = 'vit'"),
        (
            '"intermediate_size": 48',
            '"intermediate_size": 52',
            r"of its shapes, .*\(48, 32\), not \(52, 32\)",
        ),
        ('"num_hidden_layers": 2', '"num_hidden_layers": 3', "it lacks "),
        ('"num_hidden_layers": 2', '"num_hidden_layers": 1', "it has the unknown "),
        ('"num_hidden_layers": 2', '"num_hidden_layers": "many"', "config.json is none of AST"),
    ],
)
def test_refuses_another_network(
    small_ast: tuple[BackboneSpec, Path], copied: Callable[[Path], Path], old: str, new: str, said: str
) -> None:
    spec, folder = small_ast
    spoilt = copied(folder)
    config = (spoilt / "config.json").read_text()
    assert old in config
    (spoilt / "config.json").write_text(config.replace(old, new))
    with pytest.raises(Mismatch, match=said):
        load_ast(spoilt, spec)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"[1]", b"\xff\xfe no"])
def test_refuses_files_that_cannot_be_read(
    small_ast: tuple[BackboneSpec, Path], copied: Callable[[Path], Path], name: str, content: bytes | None
) -> None:
    spec, folder = small_ast
    spoilt = copied(folder)
    if content is None:
        (spoilt / name).unlink()
    else:
        (spoilt / name).write_bytes(content)
    with pytest.raises(Corrupt, match=f"{name} .*pull the backbone again"):
        load_ast(spoilt, spec)
