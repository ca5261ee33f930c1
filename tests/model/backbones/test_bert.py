"""BERT against its definition written out in numpy; which word pieces count; which vocabularies fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from model.backbones.bert import CLS, PAD, SEP, check_vocabulary, load_bert
from model.backbones.catalogue import BackboneSpec
from model.backbones.checkpoint import read_tensors
from model.backbones.noise import noise
from model.backbones.untrained import vocabulary
from model.errors import Corrupt, Mismatch


def slow_bert(w: Any, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Ids without padding to (n, d): Devlin et al. 2019, section 3, on post-norm layers."""
    h = (
        w("embeddings.word_embeddings.weight")[ids]
        + w("embeddings.position_embeddings.weight")[: len(ids)]
        + w("embeddings.token_type_embeddings.weight")[0]
    )
    h = w.norm(h, "embeddings.LayerNorm")
    for layer in ("encoder.layer.0.", "encoder.layer.1."):
        mixed = w.attend(h, f"{layer}attention.self", f"{layer}attention.output.dense")
        h = w.norm(h + mixed, f"{layer}attention.output.LayerNorm")
        out = w.linear(w.gelu(w.linear(h, f"{layer}intermediate.dense")), f"{layer}output.dense")
        h = w.norm(h + out, f"{layer}output.LayerNorm")
    return h


def test_gives_the_mean_of_the_word_pieces_of_the_definition(
    small_bert: tuple[BackboneSpec, Path], definition: Any
) -> None:
    spec, folder = small_bert
    published = definition(read_tensors(folder), "bert.")
    x = noise(spec, 4, seed=3)
    with torch.inference_mode():
        found = load_bert(folder, spec)(torch.from_numpy(x)).numpy()
    for row, vector in zip(x, found, strict=True):
        hidden = slow_bert(published, row[row != PAD])
        np.testing.assert_allclose(vector, hidden[1:-1].mean(axis=0), atol=1e-4)


def test_padding_changes_nothing(small_bert: tuple[BackboneSpec, Path]) -> None:
    """64 ids of which three are padding give what the first 61 give."""
    spec, folder = small_bert
    network = load_bert(folder, spec)
    ids = torch.from_numpy(noise(spec, 1, seed=8))
    filled = torch.where(ids == PAD, 150, ids)
    filled[:, -3:] = PAD
    with torch.inference_mode():
        torch.testing.assert_close(network(filled), network(filled[:, :-3]), atol=1e-5, rtol=0)


def test_a_text_without_word_pieces_gives_zeros(small_bert: tuple[BackboneSpec, Path]) -> None:
    spec, folder = small_bert
    x = torch.zeros(3, 64, dtype=torch.int64)
    x[1, :2] = torch.tensor([CLS, SEP])
    x[2, :3] = torch.tensor([CLS, 200, SEP])
    with torch.inference_mode():
        found = load_bert(folder, spec)(x)
    assert not found[:2].any()
    assert found[2].any()


def test_is_ready_to_run(small_bert: tuple[BackboneSpec, Path]) -> None:
    """Also its wrapper: an exporter sets every part back to what the whole said, and BERT has dropout."""
    assert not any(each.training for each in load_bert(small_bert[1], small_bert[0]).modules())


def test_takes_the_names_of_older_checkpoints(
    small_bert: tuple[BackboneSpec, Path], copied: Callable[[Path], Path]
) -> None:
    """Those that were converted from TensorFlow call scales gamma and beta, and keep position ids."""
    from safetensors.torch import save_file

    spec, folder = small_bert
    older = copied(folder)
    tensors = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): each
        for name, each in read_tensors(folder).items()
        if not name.startswith("bert.pooler.")
    }
    tensors["bert.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(tensors, older / "model.safetensors")
    x = torch.from_numpy(noise(spec, 2))
    with torch.inference_mode():
        assert torch.equal(load_bert(older, spec)(x), load_bert(folder, spec)(x))


@pytest.mark.parametrize(
    ("old", "new"), [('"num_attention_heads": 4', '"num_attention_heads": 5'), ('"gelu"', '"no such thing"')]
)
def test_refuses_a_configuration_that_makes_no_network(
    small_bert: tuple[BackboneSpec, Path], copied: Callable[[Path], Path], old: str, new: str
) -> None:
    spec, folder = small_bert
    spoilt = copied(folder)
    config = (spoilt / "config.json").read_text()
    assert old in config
    (spoilt / "config.json").write_text(config.replace(old, new))
    with pytest.raises(Mismatch, match=r"config.json is none of Bert"):
        load_bert(spoilt, spec)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, Corrupt),
        (b"\xff\xff", Corrupt),
        (vocabulary(399).encode(), Mismatch),
        (vocabulary(400).replace("[CLS]", "[SLC]").encode(), Mismatch),
        (b"\n" + vocabulary(399).encode(), Mismatch),
        (b"", Mismatch),
    ],
)
def test_refuses_another_vocabulary(tmp_path: Path, content: bytes | None, error: type[Exception]) -> None:
    path = tmp_path / "vocab.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match="pull"):
        check_vocabulary(path, 400)


def test_takes_a_vocabulary_whose_words_are_separators_of_other_kinds(tmp_path: Path) -> None:
    lines = vocabulary(400).split("\n")
    lines[300:302] = ["\u2028", "\x85"]
    (tmp_path / "vocab.txt").write_text("\n".join(lines), "utf-8")
    check_vocabulary(tmp_path / "vocab.txt", 400)
