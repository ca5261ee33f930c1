"""Stacks of layers that several systems are built of."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


def mlp(widths: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear layers between neighbouring `widths`, ReLU and dropout between them, nothing behind the last."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])
