"""A data set in, what every system is to look at out; views that are alike look only once.

Most systems pool and standardise the same inputs, and rows that differ in their loss or seed see the same:
what the last views saw is kept.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.datasets.table import Dataset
from model.systems.system import System
from model.training.run import check_splits
from model.training.sampler import Table, prepare, read_pairs

VIEWS = ("video_view", "music_view", "text_view")


class Bench:
    """A data set, read once by a process."""

    def __init__(self, folder: Path, profile: str, device: torch.device) -> None:
        """Features are mapped, not read; raises `BadDataset` for what cannot be trained on."""
        self.dataset = Dataset.open(folder)
        self.pairs = read_pairs(self.dataset, profile)
        self.device = device
        check_splits(self.dataset, self.pairs)
        self._seen: tuple[str, Table, dict[str, dict[str, Any]]] | None = (
            None  # a table may be gigabytes: one
        )

    def look(self, system: System) -> Table:
        """All pairs as the system's views see them; afterwards the views are fitted."""
        views = {name: getattr(system, name) for name in VIEWS if getattr(system, name) is not None}
        kind = "; ".join(f"{name}: {_kind(view)}" for name, view in views.items())
        if self._seen is None or self._seen[0] != kind:
            self._seen = None
            table = prepare(system, self.pairs, self.device, fit=True)
            fitted = {
                name: {key: value.clone() for key, value in view.state_dict().items()}
                for name, view in views.items()
            }
            self._seen = (kind, table, fitted)
        for name, view in views.items():
            view.load_state_dict(self._seen[2][name])
        return self._seen[1]


@lru_cache(maxsize=1)
def open_bench(folder: Path, profile: str, device: torch.device) -> Bench:
    """The data set that this process works on, until it works on another."""
    return Bench(folder, profile, device)


def _kind(view: nn.Module) -> str:
    """Everything that tells views apart before they are fitted: classes, settings, sizes of buffers."""
    return "; ".join(
        f"{name} {type(module).__qualname__} {_settings(module)}" for name, module in view.named_modules()
    )


def _settings(module: nn.Module) -> str:
    plain = {
        name: value for name, value in vars(module).items() if not name.startswith("_") and name != "training"
    }
    return f"{plain} {[tuple(buffer.shape) for buffer in module.buffers(recurse=False)]}"
