"""An fp32 backbone in, one with fewer bits out, with how far its features moved in the manifest; no torch.

int8 on a CPU: a convolutional network is quantised statically (activations of 8 bits without a sign, their
ranges read off real frames; weights of 8 bits with one, a scale for each channel: "U8S8, QDQ"), since the
dynamic way costs it five times the time of fp32. A Transformer is quantised dynamically, its matrix products
with constants only; the ranges of its activations are then those of everything in a run, so that an item's
features depend on its neighbours, by as much as 8 bits do, unless each is run alone. Both need a CPU with
VNNI (or ARM's dot products) to gain much, and without it sums of U8S8 products may saturate on x86: the
figures of the manifest are of the machine that wrote it.

fp16 is for CUDA: the CPU provider has few kernels of it, puts casts around what it lacks and is slower.
"""

import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.artifact import new_folder
from model.backbones.catalogue import Precision
from model.backbones.folder import GRAPH, VOCABULARY, Backbone, new_backbone
from model.backbones.graph import INPUT, label, on_cpu
from model.backbones.noise import noise
from model.errors import BadOptions, NotInstalled
from model.runtime.network import Network

HELD_OUT = 4  # every fourth input is compared on and not calibrated with
DRAWN = 8  # random inputs to compare on, where real ones are not needed
STATIC_OPERATORS = ["Conv", "MatMul", "AveragePool", "MaxPool", "Concat", "Relu"]
DYNAMIC_OPERATORS = ["MatMul"]


@dataclass(frozen=True, slots=True)
class Likeness:
    """Cosines between two networks' features of the same inputs."""

    mean: float
    least: float


def compare(full: Network, small: Network, inputs: Iterable[NDArray[Any]]) -> Likeness:
    """Both networks on batches of inputs; raises `BadOptions` if there is none."""
    found = [cosines(full(x), small(x)) for x in inputs if len(x)]
    if not found:
        raise BadOptions("there is nothing to compare the networks on: give at least one input")
    each = np.concatenate(found)
    return Likeness(float(each.mean()), float(each.min()))


def cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n,) of the rows of (n, d) and (n, d); two rows of zeros are alike, one is like no other."""
    u, v = a.astype(np.float64), b.astype(np.float64)
    sizes = np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1)
    both_zero = ~u.any(axis=1) & ~v.any(axis=1)
    return np.where(both_zero, 1.0, (u * v).sum(axis=1) / np.where(sizes == 0, 1.0, sizes))


def to_int8(models: Path, full: Backbone, inputs: Iterable[NDArray[Any]] | None = None) -> Backbone:
    """Install MODELS/<name>/int8.

    Args:
        models: the MODELS folder.
        full: the fp32 backbone.
        inputs: batches as the backbone takes them; a network of pictures needs those of
            `model.features.calibration`, a Transformer is compared on random ones without any.

    Raises:
        BadOptions: if there are too few inputs.
        NotInstalled: without the package onnx.
    """
    pictures = full.spec.sees_pictures
    if inputs is None:
        if pictures:
            raise BadOptions(
                f"int8 of {full.spec.name} reads its ranges off real frames: name videos to calibrate with"
            )
        inputs = [noise(full.spec, DRAWN)]
    rows = [row for batch in inputs for row in batch]
    if not pictures:
        return _fewer_bits(models, full, "int8", _dynamic, rows, {})
    if len(rows) < HELD_OUT:
        raise BadOptions(f"{len(rows)} frames are too few to calibrate with: name more or longer videos")
    held_out = rows[HELD_OUT - 1 :: HELD_OUT]
    calibration = [row for i, row in enumerate(rows) if i % HELD_OUT != HELD_OUT - 1]
    facts = {"calibration": _digest(calibration)}
    return _fewer_bits(models, full, "int8", _static(calibration), held_out, facts)


def to_fp16(models: Path, full: Backbone, inputs: Iterable[NDArray[Any]] | None = None) -> Backbone:
    """Install MODELS/<name>/fp16, whose input and output stay what they are.

    Args:
        models: the MODELS folder.
        full: the fp32 backbone.
        inputs: batches to compare on; without any, random ones.

    Raises:
        NotInstalled: without the package onnx.
    """
    rows = [row for batch in (inputs or [noise(full.spec, DRAWN)]) for row in batch]
    return _fewer_bits(models, full, "fp16", _half, rows, {})


def _fewer_bits(
    models: Path,
    full: Backbone,
    precision: Precision,
    quantise: Callable[[Path, Path], None],
    rows: Sequence[NDArray[Any]],
    facts: dict[str, Any],
) -> Backbone:
    """Quantise, label, compare and install; `quantise` writes a graph from a graph."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise NotInstalled(
            "fewer bits need the package onnx, which is not here: pip install 'yuyin[train]'"
        ) from error
    figures: dict[str, Any] = dict(facts)  # the rest is known once the graph is there
    manifest = {
        "source": {"backbone": full.id, **_provenance(full)},
        "made_by": {"onnxruntime": version("onnxruntime")},
        "figures": figures,
    }
    with new_backbone(models, full.spec, precision, manifest) as folder:
        with new_folder(folder.parent) as work, _quietly(work):
            quantise(full.graph, work / GRAPH)
            graph = onnx.load_model(work / GRAPH)
        label(graph, full.spec, precision)
        onnx.save_model(graph, folder / GRAPH)
        if full.vocabulary.exists():
            copyfile(full.vocabulary, folder / VOCABULARY)
        found = compare(on_cpu(full.graph), on_cpu(folder / GRAPH), [np.stack(rows)])
        figures |= {
            "cosine_to_fp32": {"mean": round(found.mean, 5), "least": round(found.least, 5)},
            "compared_on": len(rows),
        }
    return Backbone.open(models, full.spec.name, precision)


def _provenance(full: Backbone) -> dict[str, Any]:
    """What the fp32 backbone says about the checkpoint, so that a licence is found here too."""
    source = full.manifest.get("source", {})
    return {key: source[key] for key in ("repo", "revision", "licence", "folder") if source.get(key)}


def _static(rows: Sequence[NDArray[Any]]) -> Callable[[Path, Path], None]:
    def quantise(source: Path, target: Path) -> None:
        from onnxruntime.quantization import (
            CalibrationDataReader,
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )
        from onnxruntime.quantization.shape_inference import quant_pre_process

        class Rows(CalibrationDataReader):  # type: ignore[misc]  # it carries no types
            """One input at a time: ranges are of each, not of a batch."""

            def __init__(self) -> None:
                self._left = iter(rows)

            def get_next(self) -> dict[str, NDArray[Any]] | None:
                row = next(self._left, None)
                return None if row is None else {INPUT: row[None]}

        prepared = target.with_name("prepared.onnx")
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            Rows(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=STATIC_OPERATORS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )

    return quantise


def _dynamic(source: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_name("prepared.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_dynamic(
        str(prepared),
        str(target),
        op_types_to_quantize=DYNAMIC_OPERATORS,
        per_channel=True,
        weight_type=QuantType.QInt8,
    )


def _half(source: Path, target: Path) -> None:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = convert_float_to_float16(onnx.load_model(source), keep_io_types=True)
    onnx.save_model(graph, target)


def _digest(rows: Sequence[NDArray[Any]]) -> dict[str, Any]:
    """How many inputs the ranges were read off, and which."""
    content = hashlib.sha256()
    for row in rows:
        content.update(np.ascontiguousarray(row).tobytes())
    return {"frames": len(rows), "sha256": content.hexdigest()}


@contextmanager
def _quietly(work: Path) -> Iterator[None]:
    """Keep onnxruntime's temporary files in `work`, and its advice and its logging set-up to itself."""
    root, before = logging.getLogger(), tempfile.tempdir
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    logging.disable(logging.WARNING)
    tempfile.tempdir = str(work)
    try:
        yield
    finally:
        tempfile.tempdir = before
        logging.disable(disabled)
        root.handlers[:] = handlers
        root.setLevel(level)
