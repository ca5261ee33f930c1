"""Several standardised vectors of one clip, side by side, in; one vector out: the ways to fuse them.

YuYin's weighted fusion module (section 4.4) and what its Table 4 compares it with, and two controls of ours.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

FusionKind = Literal["wfm", "concat", "add", "concat_wide", "scalar_gate"]


class Gated(nn.Module):
    """The weighted fusion module: every input dimension is weighed by a gate that sees all of them."""

    def __init__(self, width: int, out: int) -> None:
        """`width` in, `out` out."""
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.out = nn.Linear(width, out)

    def weights(self, x: Tensor) -> Tensor:
        """(b, width) between 0 and 1."""
        return torch.sigmoid(self.gate(x))

    def forward(self, x: Tensor) -> Tensor:
        """(b, width) to (b, out)."""
        fused: Tensor = self.out(self.weights(x) * x)
        return fused


class ScalarGated(nn.Module):
    """One weight per modality, the other reading of "learning to weight different modalities" (5.4.2)."""

    def __init__(self, widths: Sequence[int], out: int) -> None:
        """Modalities of `widths` side by side in, `out` out."""
        super().__init__()
        self.widths = tuple(widths)
        self.gate = nn.Linear(sum(widths), len(widths))
        self.out = nn.Linear(sum(widths), out)

    def forward(self, x: Tensor) -> Tensor:
        """(b, sum of widths) to (b, out)."""
        weight = torch.sigmoid(self.gate(x))
        parts = torch.split(x, list(self.widths), dim=1)
        weighed = [part * weight[:, i : i + 1] for i, part in enumerate(parts)]
        fused: Tensor = self.out(torch.cat(weighed, dim=1))
        return fused


class Added(nn.Module):
    """YuYin (Add): each modality projected to one width, then summed."""

    def __init__(self, widths: Sequence[int], out: int) -> None:
        """Modalities of `widths` side by side in, `out` out."""
        super().__init__()
        self.widths = tuple(widths)
        self.maps = nn.ModuleList(nn.Linear(width, out) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """(b, sum of widths) to (b, out)."""
        parts = torch.split(x, list(self.widths), dim=1)
        return torch.stack([linear(part) for linear, part in zip(self.maps, parts, strict=True)]).sum(0)


def fusion(kind: FusionKind, widths: Sequence[int], out: int) -> nn.Module:
    """Modalities of `widths` side by side (b, sum of widths) to (b, out)."""
    total = sum(widths)
    match kind:
        case "wfm":
            return Gated(total, out)
        case "concat":  # the WFM without its gate
            return nn.Linear(total, out)
        case "add":
            return Added(widths, out)
        case "concat_wide":  # as many parameters as the WFM, so that its win would not be mere capacity
            return nn.Sequential(nn.Linear(total, total), nn.ReLU(), nn.Linear(total, out))
        case "scalar_gate":
            return ScalarGated(widths, out)
