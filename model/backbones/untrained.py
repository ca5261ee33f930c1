"""A backbone's name and a seed in, a folder as if it had been pulled out: the right shapes, no training.

For tests, benchmarks and CI, which have no pretrained weights: latency, sizes and parity are those of the
real network; what its features mean is nothing.

How the weights are drawn: batch normalisation that starts with mean 0 and variance 1, as torch's does, lets
Inception's activations fade from layer to layer to 1e-7; so its statistics are those of one pass over random
pictures. Matrices of the Transformers have variance 1 / inputs instead of their 0.02 squared, so that
attention looks at some places more than at others.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.artifact import hash_files, write_json
from model.backbones.bert import SPECIAL
from model.backbones.catalogue import AST, INCEPTION, spec_of
from model.backbones.checkpoint import CONFIG, WEIGHTS
from model.backbones.folder import VOCABULARY
from model.backbones.inception import InceptionV3
from model.backbones.noise import noise
from model.backbones.pretrained import configuration, quietly

SOURCE = "source.json"
PICTURES = 8  # whose statistics are Inception's
AST_CONFIG = {"model_type": "audio-spectrogram-transformer", "num_labels": 527}  # the rest are its defaults
BERT_CONFIG = {"model_type": "bert", "vocab_size": 21_128}
INCEPTION_CONFIG = {"architecture": "inception_v3", "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
WORDS = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
ENDINGS = [f"##{word}" for word in WORDS if word.isalnum()]
CJK = 0x4E00  # where the Chinese characters of Unicode begin


def write_untrained(folder: Path, name: str, seed: int = 0) -> Path:
    """Write a random checkpoint of the full size into a new folder; raises `BadOptions` for another name."""
    spec = spec_of(name)
    folder.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == INCEPTION.name:
            write_inception(folder, seed)
        elif name == AST.name:
            write_transformer(folder, "AST", "ASTForAudioClassification", AST_CONFIG)
        else:
            write_transformer(folder, "Bert", "BertForPreTraining", BERT_CONFIG)
            (folder / VOCABULARY).write_text(vocabulary(spec.preprocessing["vocabulary"]), "utf-8")
    return described(folder, f"untrained/{name}", seed)


def described(folder: Path, repo: str, seed: int) -> Path:
    """Add the source.json that says whence these files are."""
    files = hash_files(folder, manifest=SOURCE)
    facts = {"repo": repo, "revision": f"seed-{seed}", "licence": "none", "files": files}
    write_json(folder / SOURCE, facts)
    return folder


@torch.no_grad()
def write_inception(folder: Path, seed: int) -> None:
    """As timm publishes it: with the classifier, without the auxiliary one."""
    from safetensors.torch import save_file

    network = InceptionV3().train()
    for each in network.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.uniform_(each.weight, 0.7, 1.3)
            nn.init.normal_(each.bias, 0.0, 0.2)
            each.momentum = None  # the running statistics become those of the one pass
    network(torch.from_numpy(noise(INCEPTION, PICTURES, seed)))
    tensors = {name: each.contiguous() for name, each in network.state_dict().items()}
    tensors["fc.weight"], tensors["fc.bias"] = torch.randn(1000, INCEPTION.width) * 0.02, torch.zeros(1000)
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps(INCEPTION_CONFIG), "utf-8")


@torch.no_grad()
def write_transformer(folder: Path, kind: str, head: str, config: Mapping[str, Any]) -> None:
    """As Hugging Face publishes it, saved with its heads by the library itself.

    Args:
        folder: to write config.json and model.safetensors into.
        kind: "AST" or "Bert".
        head: the class that the published checkpoint was saved as.
        config: what differs from the library's defaults, which are the published sizes.
    """
    with quietly() as transformers:
        network = getattr(transformers, head)(configuration(transformers, kind, config))
        for name, each in network.named_parameters():
            _draw(name, each)
        network.save_pretrained(folder)


def _draw(name: str, x: Tensor) -> None:
    if name.endswith(("cls_token", "distillation_token")):
        nn.init.normal_(x, 0.0, 1.0)
    elif name.endswith(("bias", "position_embeddings")):
        nn.init.normal_(x, 0.0, 0.1)
    elif x.ndim == 1:  # a scale
        nn.init.uniform_(x, 0.8, 1.2)
    elif "embeddings.weight" not in name:  # those of words stay as the library draws them
        nn.init.normal_(x, 0.0, float(np.prod(x.shape[1:])) ** -0.5)


def vocabulary(words: int) -> str:
    """A vocab.txt of so many lines: special and unused ones, ASCII, endings, then Chinese characters."""
    lines = [SPECIAL.get(at, f"[unused{at}]") for at in range(max(SPECIAL) + 1)] + WORDS + ENDINGS
    lines += [chr(CJK + at) for at in range(words - len(lines))]
    return "\n".join(lines[:words]) + "\n"
