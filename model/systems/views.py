"""Padded sequences in, the tensors that a system learns from out: the part of a tower that needs no gradient.

A view runs once over a data set before training and once over every query when serving; it is inside the
exported graph.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from model.systems.batch import Padded, Prepared, Sequences

Pool = Literal["mean", "mean_std"]
TINY = torch.finfo(torch.float32).tiny  # below it float32 rounds coarsely, and 1 / x overflows
ROUNDING = 1e-5  # of a float32 mean over some hundreds of rows, with room
CHUNKS = 8  # pseudo-tokens that one pooled vector is split into (docs/models.md 3.7)


def pooled_width(width: int, pool: Pool, rows: int) -> int:
    """Columns that pooling makes of `width` columns of at most `rows` rows; one row has no deviation."""
    return 2 * width if pool == "mean_std" and rows > 1 else width


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
    std = (deviation.square().sum(1) / rows).sqrt()
    # Of rows that are all alike, what float32 rounds off their mean: noise, which a z-score would blow up.
    return torch.cat([mean, torch.where(std > ROUNDING * mean.abs(), std, 0.0)], dim=1)


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
        """(..., d) raw to (..., d) within +-clip."""
        z = (x - self.mean) * self.scale
        return torch.where(torch.isfinite(z), z, 0.0).clamp(-self.clip, self.clip)

    @property
    def spread(self) -> Tensor:
        """(d,) standard deviations of the training part, 0 where a column never changes."""
        return torch.where(self.scale > 0, 1 / self.scale, 0.0)

    def fit(self, chunks: Iterable[Tensor]) -> None:
        """Set mean and scale from the rows (n_i, d) of the training part.

        Rows with a value that is not finite do not count. A column that never changes in training, but for
        rounding, can teach nothing and gets scale 0: it stays silent on whatever comes later. However small
        its numbers are, it counts if they change.
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
        # Of the mean, float32 rounds off 6e-8, and squares minus square cancel to about 1e-7 of it.
        changes = std > (1e-6 * mean.abs()).clamp(min=TINY)
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(changes, 1 / std.clamp(min=TINY), 0.0))


class View(nn.Module):
    """Named sequences in, prepared tensors of the same names out."""

    sequential: bool  # does the second axis of what it makes count rows
    widths: Mapping[str, int]  # of the raw inputs it reads, in the order of their names

    def forward(self, sequences: Sequences) -> dict[str, Tensor]:
        """Prepared tensors, first axis b."""
        raise NotImplementedError

    def fit(self, chunks: Iterable[Sequences]) -> None:
        """Learn the statistics of the training part, handed over a few hundred rows at a time."""
        raise NotImplementedError

    def statistics(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (d,) each of a raw input's rows in the training part."""
        raise NotImplementedError


class Pooled(View):
    """Each sequence pooled over time and standardised: name -> (b, pooled width)."""

    sequential = False

    def __init__(self, widths: Mapping[str, int], rows: Mapping[str, int], pool: Pool, clip: float) -> None:
        """`rows` as `Dims.rows`."""
        super().__init__()
        self.widths = dict(sorted(widths.items()))
        self.pools: dict[str, Pool] = {name: pool if rows[name] > 1 else "mean" for name in self.widths}
        self.out = {name: pooled_width(width, pool, rows[name]) for name, width in self.widths.items()}
        self.standardise = Standardise(self.width, clip)

    @property
    def width(self) -> int:
        """Of all of them side by side, in the order of their names: what `joined` gives."""
        return sum(self.out.values())

    def pooled(self, sequences: Sequences) -> Tensor:
        """(b, width) before the z-score."""
        parts = [pool_over_time(*sequences[name], pool) for name, pool in self.pools.items()]
        return torch.cat(parts, dim=1)

    def forward(self, sequences: Sequences) -> dict[str, Tensor]:
        """Standardised, apart again."""
        parts = torch.split(self.standardise(self.pooled(sequences)), list(self.out.values()), dim=1)
        return dict(zip(self.out, parts, strict=True))

    def fit(self, chunks: Iterable[Sequences]) -> None:
        """Set the z-score."""
        self.standardise.fit(self.pooled(chunk) for chunk in chunks)

    def statistics(self, name: str) -> tuple[Tensor, Tensor]:
        """Of the means over time."""
        first = sum(width for other, width in self.out.items() if other < name)
        part = slice(first, first + self.widths[name])
        return self.standardise.mean[part], self.standardise.spread[part]


def joined(prepared: Prepared) -> Tensor:
    """(b, width): the pooled inputs of one side side by side, in the order of their names."""
    return torch.cat([prepared[name] for name in sorted(prepared)], dim=1)


class Tokens(View):
    """Each sequence kept, its rows standardised: name -> (b, t, width), name_mask -> (b, t) bool.

    An input that was pooled beforehand (one row) is split into `CHUNKS` pseudo-tokens of equal width,
    the last one filled up with zeros: attention over a single token would be a linear map.
    """

    sequential = True

    def __init__(self, widths: Mapping[str, int], rows: Mapping[str, int], clip: float) -> None:
        """`rows` as `Dims.rows`."""
        super().__init__()
        self.widths = dict(sorted(widths.items()))
        self.split = {name: rows[name] == 1 for name in self.widths}
        self.out = {
            name: -(-width // CHUNKS) if self.split[name] else width for name, width in self.widths.items()
        }
        self.standardise = nn.ModuleDict(
            {name: Standardise(width, clip) for name, width in self.widths.items()}
        )

    def forward(self, sequences: Sequences) -> dict[str, Tensor]:
        """Rows behind the mask are 0."""
        prepared: dict[str, Tensor] = {}
        for name in self.widths:
            x, mask = sequences[name]
            z = torch.where(mask.unsqueeze(2), self.standardise[name](x), 0.0)
            if self.split[name]:
                z = nn.functional.pad(z[:, 0], (0, CHUNKS * self.out[name] - z.shape[2]))
                z = z.reshape(-1, CHUNKS, self.out[name])
                mask = mask[:, :1].expand(-1, CHUNKS)
            prepared[name], prepared[f"{name}_mask"] = z, mask
        return prepared

    def fit(self, chunks: Iterable[Sequences]) -> None:
        """Set the z-score of every input from its real rows."""
        kept = [{name: x[mask] for name, (x, mask) in chunk.items()} for chunk in chunks]
        for name, standardise in self.standardise.items():
            if isinstance(standardise, Standardise):
                standardise.fit(chunk[name] for chunk in kept)

    def statistics(self, name: str) -> tuple[Tensor, Tensor]:
        """Of the rows."""
        layer = self.standardise[name]
        assert isinstance(layer, Standardise)  # ModuleDict knows only Module
        return layer.mean, layer.spread


def only(sequences: Mapping[str, Padded], names: Iterable[str]) -> dict[str, Padded]:
    """The sequences that a view reads."""
    return {name: sequences[name] for name in names}
