"""A padded sequence in, one standardised vector out: the part of a tower that needs no gradient."""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from model.systems.batch import Padded

Pool = Literal["mean", "mean_std"]


def pooled_width(width: int, pool: Pool) -> int:
    """Columns that pooling makes of `width` columns."""
    return width if pool == "mean" else 2 * width


def pool_over_time(x: Tensor, mask: Tensor, pool: Pool) -> Tensor:
    """Mean over the real rows, with their standard deviation appended for `mean_std`.

    Args:
        x: (b, t, d) float32; what lies behind the mask is never read, not even NaN.
        mask: (b, t) bool; a sequence with no real row gives zeros.
        pool: `mean` is the paper's temporal global average pooling (section 4.3).

    Returns:
        (b, d) or (b, 2 d).
    """
    real = mask.unsqueeze(2)
    rows = mask.sum(1, keepdim=True).clamp(min=1)
    mean = torch.where(real, x, 0.0).sum(1) / rows
    if pool == "mean":
        return mean
    deviation = torch.where(real, x - mean.unsqueeze(1), 0.0)
    return torch.cat([mean, (deviation.square().sum(1) / rows).sqrt()], dim=1)


class Standardise(nn.Module):
    """Train-set z-score, then 0 for what is not finite, then a clip: a strange clip cannot shout."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int, clip: float) -> None:
        """Knows nothing yet; `fit` sets the buffers."""
        super().__init__()
        self.clip = clip
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(b, d) raw to (b, d) within +-clip."""
        z = (x - self.mean) * self.scale
        return torch.where(torch.isfinite(z), z, 0.0).clamp(-self.clip, self.clip)

    def fit(self, chunks: Iterable[Tensor]) -> None:
        """Set mean and scale from the rows (n_i, d) of the training part.

        Rows with a value that is not finite do not count. A column that never changes in training
        can teach nothing and gets scale 0: it stays silent on whatever comes later.
        """
        count = torch.zeros(self.mean.shape, dtype=torch.float64)
        total, squares = torch.zeros_like(count), torch.zeros_like(count)
        for chunk in chunks:
            rows = chunk[torch.isfinite(chunk).all(1)].double()
            count += len(rows)
            total += rows.sum(0)
            squares += rows.square().sum(0)
        mean = total / count.clamp(min=1)
        std = (squares / count.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
        changes = std > 1e-6 * mean.abs() + 1e-9
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(changes, 1 / std.clamp(min=1e-9), 0.0))


class Inputs(nn.Module):
    """Named sequences in, their pooled, concatenated and standardised vector out."""

    def __init__(self, widths: Mapping[str, int], pool: Pool, clip: float) -> None:
        """Inputs are concatenated in the order of their names, whatever the order of `widths`."""
        super().__init__()
        self.widths, self.pool = dict(sorted(widths.items())), pool
        self.width = sum(pooled_width(width, pool) for width in widths.values())
        self.standardise = Standardise(self.width, clip)

    def pooled(self, sequences: Mapping[str, Padded]) -> Tensor:
        """(b, width) before the z-score."""
        return torch.cat([pool_over_time(*sequences[name], self.pool) for name in self.widths], dim=1)

    def forward(self, sequences: Mapping[str, Padded]) -> Tensor:
        """(b, width), what the learned part of a tower sees."""
        z: Tensor = self.standardise(self.pooled(sequences))
        return z
