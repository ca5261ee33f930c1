"""How long a training epoch takes, beside what the processor could do at best.

    python benchmarks/epoch.py DATASET [--system yuyin] [--preset paper] [--epochs 3] [--threads 2]

The bound is the towers' multiplications (forward and backward: 6 a weight and row) at the rate of a plain
matrix product of the batch's size in the same precision, measured in this run. One warm-up epoch is not
counted. Prints a row for RESULTS.md.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from rows import table

from model.datasets.layout import chosen_profile
from model.datasets.table import Dataset
from model.systems.catalogue import chosen_preset, load_system
from model.systems.system import System
from model.training.loop import fit
from model.training.run import torch_state, training_device
from model.training.sampler import prepare, read_pairs

HEADER = (
    "system", "preset", "pairs", "parameters", "precision", "threads", "product, GFLOP/s", "bound, s",
    "epoch, s", "epoch / bound", "30 epochs, min", "data to device, s",
)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--system", default="yuyin")
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--precision", choices=["float32", "bfloat16"], nargs="+", default=["float32", "bfloat16"]
    )
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    dataset = Dataset.open(asked.dataset)
    pairs = read_pairs(dataset, chosen_profile(dataset, None))
    kind = load_system(asked.system)
    rows = []
    for precision in asked.precision:
        settings = {"epochs": str(asked.epochs + 1), "precision": precision, "keep": "last"}
        chosen = chosen_preset(kind, asked.preset, settings)
        with torch_state(0, asked.threads):
            system = kind.build(pairs.dims, chosen.system)
            clock = time.perf_counter()
            device = training_device(asked.device)
            data = prepare(system, pairs, device, fit=True)
            ready_s = time.perf_counter() - clock
            rate = product_rate(chosen.training.batch_size, precision, device)
            done = fit(system.to(device), data, chosen.training, lambda _: None)
        weights = sum(each.numel() for each in system.parameters())
        steps = max(1, len(pairs.rows("train")) // chosen.training.batch_size)
        bound_s = 6 * multiplied(system) * steps * chosen.training.batch_size / rate
        epoch_s = float(np.median(np.diff([epoch.train_s for epoch in done.history])))
        rows.append((
            asked.system, asked.preset, f"{len(pairs.rows('train')):,}", f"{weights:,}", precision,
            str(asked.threads), f"{rate / 1e9:.0f}", f"{bound_s:.1f}", f"{epoch_s:.1f}",
            f"**{epoch_s / bound_s:.2f}**", f"{30 * epoch_s / 60:.1f}", f"{ready_s:.0f}",
        ))  # fmt: skip
    table(HEADER, rows, ("torch", "numpy"))


def multiplied(system: System) -> int:
    """How many weights a row is multiplied with: matrices, not biases."""
    return sum(each.numel() for each in system.parameters() if each.ndim == 2)


def product_rate(size: int, precision: str, device: torch.device) -> float:
    """Floating-point operations a second of a (size, 1024) by (1024, 1024) product."""
    kind = torch.float32 if precision == "float32" else torch.bfloat16
    x, y = torch.randn(size, 1024, device=device).to(kind), torch.randn(1024, 1024, device=device).to(kind)
    best = np.inf
    for _ in range(20):
        clock = time.perf_counter()
        for _ in range(5):
            product = x @ y
        float(product[0, 0])  # waits for an accelerator
        best = min(best, (time.perf_counter() - clock) / 5)
    return 2 * size * 1024 * 1024 / best


if __name__ == "__main__":
    main()
