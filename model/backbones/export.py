"""A pulled checkpoint in, an installed backbone out: one ONNX file, proven equal to torch.

torch's TorchScript-based exporter is used, as for the towers (`model.systems.graph`): the graph holds plain
operators only, and neither a package of its own nor a path of this machine gets into it.
"""

import shutil
import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from torch import nn

from model.artifact import hash_files, read_manifest
from model.backbones.ast import load_ast
from model.backbones.bert import check_vocabulary, load_bert
from model.backbones.catalogue import AST, BERT, BackboneSpec, spec_of
from model.backbones.checkpoint import CONFIG, WEIGHTS, expect, read_config, read_tensors
from model.backbones.folder import GRAPH, VOCABULARY, Backbone, new_backbone
from model.backbones.graph import (
    INPUT,
    OUTPUT,
    batches_on_cpu,
    check_signature,
    label,
    read_graph,
    rename,
)
from model.backbones.inception import load_inception
from model.backbones.noise import noise
from model.backbones.untrained import SOURCE, write_untrained
from model.errors import BadOptions, Corrupt, Mismatch

OPSET = 17  # ONNX Runtime >= 1.13; has LayerNormalization
PARITY = 1e-4  # largest difference of a feature that is float noise: they are about 1
BATCHES = (1, 3)


def export_backbone(models: Path, name: str, source: Path) -> Backbone:
    """Install MODELS/<name>/fp32 from a checkpoint or an ONNX graph.

    Args:
        models: the MODELS folder.
        name: a backbone of the catalogue.
        source: a folder that `yuyin models pull` wrote, or one with the same files brought by hand:
            model.safetensors and config.json, or model.onnx; with vocab.txt for a text backbone.

    Raises:
        BadOptions: for an unknown name, or a folder without weights.
        Corrupt: if a file of it cannot be read or differs from its source.json.
        Mismatch: if it holds another network, or the graph differs from torch by more than `PARITY`.
        NotInstalled: without a package that reads it.
    """
    return export_as(models, spec_of(name), source)


def export_untrained(models: Path, name: str, seed: int = 0) -> Backbone:
    """Install MODELS/<name>/fp32 with random weights; its manifest's source says so."""
    models.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=models, prefix=".part-") as folder:
        return export_backbone(models, name, write_untrained(Path(folder) / name, name, seed))


def export_as(models: Path, spec: BackboneSpec, source: Path) -> Backbone:
    """`export_backbone` of a network that may be no size of the catalogue's."""
    facts = {"source": source_facts(source), "made_by": made_by(source), "figures": {"parity": PARITY}}
    with new_backbone(models, spec, "fp32", facts) as folder:
        if (source / WEIGHTS).is_file():
            network = load(source, spec)
            graph = torch_graph(network, spec, folder)
            _write(graph, spec, folder)
            check_parity(network, folder / GRAPH, spec)
        else:
            graph = read_graph(source / GRAPH)
            check_signature(graph, spec, str(source / GRAPH))
            rename(graph, spec)
            _write(graph, spec, folder)
            check_rows(folder / GRAPH, spec)
        if spec.reads_text:
            check_vocabulary(source / VOCABULARY, spec.preprocessing["vocabulary"])
            shutil.copyfile(source / VOCABULARY, folder / VOCABULARY)
    return Backbone.open(models, spec.name, "fp32")


def source_facts(source: Path) -> dict[str, Any]:
    """Whence the files are and their hashes, checked against source.json where the folder has one."""
    if not (source / WEIGHTS).is_file() and not (source / GRAPH).is_file():
        raise BadOptions(f"{source} holds neither {WEIGHTS} nor {GRAPH}: name a folder that does")
    if not (source / SOURCE).is_file():
        return {"folder": source.name, "files": hash_files(source, manifest=SOURCE)}
    facts = read_manifest(source, SOURCE)
    return {key: facts.get(key) for key in ("repo", "revision", "licence", "files")}


def made_by(source: Path) -> dict[str, str]:
    """Releases of what shapes the graph; without a build's suffix, which does not."""
    if not (source / WEIGHTS).is_file():
        return {"onnx": version("onnx")}
    return {name: version(name).partition("+")[0] for name in ("torch", "onnx")}


def load(source: Path, spec: BackboneSpec) -> nn.Module:
    """The checkpoint's network in eval mode."""
    if spec.name == AST.name:
        return load_ast(source, spec)
    if spec.name == BERT.name:
        return load_bert(source, spec)
    if (source / CONFIG).is_file():  # there are weights of the same names for other pixels (gluon's)
        scale = {key: spec.preprocessing[key] for key in ("mean", "std")}
        expect(spec.name, read_config(source).get("pretrained_cfg", scale), scale)
    return load_inception(read_tensors(source))


def torch_graph(network: nn.Module, spec: BackboneSpec, folder: Path) -> onnx.ModelProto:
    """A network as a graph from `x` (b, ...) to `features` (b, d) of any b; `folder` holds it meanwhile."""
    x, traced = torch.from_numpy(noise(spec, 2)), folder / "traced.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's, about itself and about shapes it watches
        torch.onnx.export(
            network,
            (x,),
            traced,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        )
    graph = onnx.load_model(traced)
    traced.unlink()
    return graph


def _write(graph: Any, spec: BackboneSpec, folder: Path) -> None:
    label(graph, spec, "fp32")
    onnx.checker.check_model(graph, full_check=True)
    check_signature(graph, spec, "the exported graph")
    onnx.save_model(graph, str(folder / GRAPH))


@torch.no_grad()
def check_parity(network: nn.Module, graph: Path, spec: BackboneSpec) -> None:
    """Compare torch and ONNX Runtime on random inputs, alone and in a batch.

    Raises:
        Mismatch: if a feature differs by more than `PARITY`.
    """
    running = batches_on_cpu(graph)
    for count in BATCHES:
        x = noise(spec, count, seed=count)
        found, expected = running(x), network(torch.from_numpy(x)).numpy()
        worst = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        if not worst <= PARITY:
            raise Mismatch(
                f"the exported {spec.name} differs from torch by {worst:.1e}, more than {PARITY:g}: "
                "report this as a bug of the export"
            )


def check_rows(graph: Path, spec: BackboneSpec) -> None:
    """Run a foreign graph: its vectors have the right length, are finite, and no row looks at another.

    Raises:
        Mismatch: if not.
        Corrupt: if it cannot be run.
    """
    running, x = batches_on_cpu(graph), noise(spec, max(BATCHES))
    together = running(x)
    alone = np.concatenate([running(row[None]) for row in x])
    right = together.shape == (len(x), spec.width) and np.isfinite(together).all()
    if not right or float(np.abs(together - alone).max()) > PARITY:
        raise Mismatch(
            f"the graph gives {together.shape} for {len(x)} random inputs where {spec.name} gives "
            f"({len(x)}, {spec.width}), or what is not finite, or rows that depend on their batch: "
            "let YuYin export the checkpoint"
        )
    if not together.std() > 0:
        raise Corrupt(f"{graph.name} gives one and the same number for everything: pull the backbone again")
