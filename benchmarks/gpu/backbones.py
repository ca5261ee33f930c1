"""How many frames and windows a second does a GPU compute, how far do fewer bits move them, is search exact?

Needs torch and numpy only, and `transformers` for AST; random weights, so that nothing has to be fetched:
times do not depend on weights. From the checkout's folder:

    PYTHONPATH=. python benchmarks/gpu/backbones.py
    PYTHONPATH=. python benchmarks/gpu/backbones.py --device cpu --quick

For each network and precision: items a second (median of the runs, after a warm-up), GPU memory at its most,
and the cosines of its features to those of the CPU in fp32. fp32 means no TF32 in it; TF32 has its own row.
Then the search: exact top 10 of a pool on the CPU against torch's on the device, and what the mistakes cost
in score. The sizes of --quick show that the script runs, and no more.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.backbones.ast import AST
from model.backbones.inception import InceptionV3
from model.backbones.pretrained import quietly
from model.errors import NotInstalled

PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
CUDA_ONLY = ("tf32", "fp16")
NEAREST = 10
HELD = 16  # items whose features are held against the CPU's
WIDTH = 256  # of the common space
QUERIES = 64
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HEADER = (
    "date", "device", "torch", "what", "precision", "batch", "a second", "memory, GB", "cosine, mean / least",
)  # fmt: skip
SEARCHES = (
    "date", "device", "torch", "pool", "dtype", "queries", "CPU exact, ms", "device, ms", "overlap at 10",
    "worst loss of score",
)  # fmt: skip


def main() -> None:
    """Measure and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    asked = parser.parse_args()
    device = torch.device(asked.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here: install a CUDA build of it, or give --device cpu")
    runs = 2 if asked.quick else asked.runs
    with torch.inference_mode():
        table(HEADER, network_rows(device, runs, quick=asked.quick))
        print()
        table(SEARCHES, search_rows(device, runs, quick=asked.quick))


def table(columns: tuple[str, ...], rows: Iterator[list[str]]) -> None:
    """Markdown; each row as soon as it is there."""
    for cells in (columns, ["---"] * len(columns)):
        print("| " + " | ".join(cells) + " |")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def head(device: torch.device) -> list[str]:
    """Date, machine and torch of a row."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return [f"{datetime.now(UTC):%Y-%m-%d}", name, torch.__version__]


def network_rows(device: torch.device, runs: int, *, quick: bool) -> Iterator[list[str]]:
    """Inception, then AST where the library is."""
    torch.manual_seed(0)
    batches = (2,) if quick else (1, 15, 64, 256)
    pictures = pictured(max(batches))
    yield from rows_of("Inception v3, frames", inception(), pictures, batches, device, runs)
    ast = spectrogram_transformer(layers=1 if quick else 12)
    if ast is None:
        print("AST is left out: transformers is not here", flush=True)
        return
    batches = (1,) if quick else (1, 8, 32)
    spectrograms = 0.5 * torch.randn(max(batches), 1024, 128)
    yield from rows_of("AST, windows of 10.24 s", ast, spectrograms, batches, device, runs)


def inception() -> nn.Module:
    """Its batch normalisation calibrated on random pictures: as torch starts it, features fade."""
    network = InceptionV3().train()
    for each in network.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.momentum = None
    network(pictured(4))
    return network.eval()


def pictured(count: int) -> Tensor:
    """(count, 3, 299, 299) coloured patches in [-1, 1]."""
    coarse = torch.rand(count, 3, 9, 9) * 2 - 1
    return F.interpolate(coarse, size=(299, 299), mode="bilinear")


def spectrogram_transformer(layers: int) -> nn.Module | None:
    """AST-base with weights that spread, or None without `transformers`."""
    try:
        with quietly() as transformers:
            network = transformers.ASTModel(transformers.ASTConfig(num_hidden_layers=layers)).eval()
    except NotInstalled:
        return None
    for each in network.parameters():
        if each.ndim > 1:
            nn.init.normal_(each, 0.0, float(np.prod(each.shape[1:])) ** -0.5)
    return AST(network)


def rows_of(
    what: str, network: nn.Module, x: Tensor, batches: tuple[int, ...], device: torch.device, runs: int
) -> Iterator[list[str]]:
    """Every precision and batch; the CPU's fp32 is what all are held against."""
    held = x[: min(len(x), HELD)]
    reference = torch.cat([network(each[None]) for each in held])
    for precision in PRECISIONS:
        if device.type != "cuda" and precision in CUDA_ONLY:
            continue
        with as_precision(precision):
            moved = copy.deepcopy(network).to(device, DTYPES[precision])
            given = x.to(device, DTYPES[precision])
            found = torch.cat([moved(each[None]) for each in given[: len(held)]]).float().cpu()
            cosines = F.cosine_similarity(found.double(), reference.double())
            likeness = f"{float(cosines.mean()):.6f} / {float(cosines.min()):.6f}"
            for batch in batches:
                spent_s, peak = timed(lambda moved=moved, part=given[:batch]: moved(part), device, runs)
                cells = [what, precision, str(batch), f"**{batch / spent_s:.1f}**", peak, likeness]
                yield [*head(device), *cells]


@contextmanager
def as_precision(precision: str) -> Iterator[None]:
    """TF32 where it is asked for and nowhere else; torch allows it in convolutions by itself."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def timed(run: Callable[[], Tensor], device: torch.device, runs: int) -> tuple[float, str]:
    """Median seconds of a run, the first not counted, and the most GB that torch held on a GPU meanwhile."""
    spent_s = []
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for i in range(runs + 1):
        wait(device)
        began_s = time.perf_counter()
        run()
        wait(device)
        if i:
            spent_s.append(time.perf_counter() - began_s)
    peak = f"{torch.cuda.max_memory_allocated(device) / 1e9:.2f}" if device.type == "cuda" else ""
    return statistics.median(spent_s), peak


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def search_rows(device: torch.device, runs: int, *, quick: bool) -> Iterator[list[str]]:
    """Top 10 by inner product, of pools of unit vectors that lie in clusters as music does."""
    rng = np.random.default_rng(0)
    for size in (2_000,) if quick else (10_000, 100_000, 1_000_000):
        pool = clustered(rng, size)
        queries = unit(
            pool[rng.integers(0, size, QUERIES)] + 0.5 * unit(rng.standard_normal((QUERIES, WIDTH)))
        )
        began_s = time.perf_counter()
        exact = best(queries, pool)
        cpu_ms = (time.perf_counter() - began_s) * 1000
        for name in ("float32", "float16") if device.type == "cuda" else ("float32",):
            kind = getattr(torch, name)
            there, asked = (torch.from_numpy(each).to(device, kind) for each in (pool, queries))
            with as_precision("fp32"):
                spent_s, _ = timed(lambda a=asked, b=there: (a @ b.T).topk(NEAREST).indices, device, runs)
                found = (asked @ there.T).topk(NEAREST).indices.cpu().numpy()
            alike = np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(found, exact, strict=True)])
            scores = [np.take_along_axis(queries @ pool.T, each, axis=1).min(1) for each in (exact, found)]
            cells = [f"{size:,}", name, str(QUERIES), f"{cpu_ms:.1f}", f"**{spent_s * 1000:.2f}**"]
            yield [*head(device), *cells, f"{alike:.4f}", f"{float((scores[0] - scores[1]).max()):.1e}"]


def clustered(rng: np.random.Generator, size: int) -> np.ndarray:
    """(size, WIDTH) unit vectors around 2 sqrt(size) centres."""
    centres = rng.standard_normal((2 * int(size**0.5), WIDTH)).astype(np.float32)
    near = centres[rng.integers(0, len(centres), size)]
    return unit(near + 0.7 * rng.standard_normal((size, WIDTH), np.float32))


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    scaled: np.ndarray = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def best(queries: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """(q, 10) the nearest in the pool, by numpy on the CPU."""
    scores = queries @ pool.T
    some = np.argpartition(-scores, NEAREST, axis=1)[:, :NEAREST]
    order = np.argsort(-np.take_along_axis(scores, some, axis=1), axis=1)
    found: np.ndarray = np.take_along_axis(some, order, axis=1)
    return found


if __name__ == "__main__":
    main()
