"""Sequences of rows with masks in, sequences whose rows have looked at others out; all can be exported.

Attention is written as two matrix products and a softmax: torch's own layers switch to fused kernels that
the exporter cannot follow. In shapes b is a batch, t and s rows of two sequences; rows behind a mask are
never attended to and their own results are never read.
"""

import math

import torch
from torch import Tensor, nn

from model.systems.batch import Prepared
from model.systems.views import CHUNKS, Tokens

FAR = -1e9  # a logit whose softmax is exactly 0 beside any real one, in bfloat16 too
LONGEST = 10_000.0  # of the wavelengths, over 2 pi, in rows (Vaswani et al. 2017, section 3.5)


def positions(rows: Tensor, width: int) -> Tensor:
    """(t, width) sines and cosines of the row numbers (t,); `width` is even."""
    rates = torch.exp(torch.arange(0, width, 2, device=rows.device) * (-math.log(LONGEST) / width))
    angles = rows.unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        """Rows of `width` in and out; the heads together may be narrower or wider."""
        super().__init__()
        self.heads, self.head_width = heads, head_width
        inner = heads * head_width
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)

    def forward(self, x: Tensor, y: Tensor, y_mask: Tensor) -> Tensor:
        """What the rows of x (b, t, width) find in the real rows of y (b, s, width): (b, t, width)."""
        query, key, value = self._apart(self.query(x)), self._apart(self.key(y)), self._apart(self.value(y))
        logits = query @ key.transpose(2, 3) / math.sqrt(self.head_width)  # (b, heads, t, s)
        weights = torch.softmax(logits.masked_fill(~y_mask[:, None, None, :], FAR), dim=3)
        found: Tensor = self.out((weights @ value).transpose(1, 2).flatten(2))
        return found

    def _apart(self, x: Tensor) -> Tensor:
        """(b, t, inner) to (b, heads, t, head_width)."""
        return x.reshape(x.shape[0], x.shape[1], self.heads, self.head_width).transpose(1, 2)


class Block(nn.Module):
    """One Transformer layer f(X, Y): attention and a feed-forward net, each on a residual path with a norm.

    `norm_first` has x + F(norm(x)) (Xiong et al. 2020), otherwise norm(x + F(x)) as first published.
    """

    def __init__(
        self,
        width: int,
        inner: int,
        heads: int,
        *,
        norm_first: bool,
        head_width: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        """Rows of `width`, a feed-forward net of `inner` units; heads share the width unless told theirs."""
        super().__init__()
        self.norm_first = norm_first
        self.attention = Attention(width, heads, width // heads if head_width is None else head_width)
        self.feed = nn.Sequential(
            nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width)
        )
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor, y_mask: Tensor) -> Tensor:
        """Rows x (b, t, width) after a look at the real rows of y (b, s, width); f(x, x) looks at itself."""
        if self.norm_first:
            found = self.attention(self.first_norm(x), self.first_norm(y), y_mask)
            x = x + self.dropout(found)
            done: Tensor = x + self.dropout(self.feed(self.second_norm(x)))
        else:
            x = self.first_norm(x + self.dropout(self.attention(x, y, y_mask)))
            done = self.second_norm(x + self.dropout(self.feed(x)))
        return done


class Slices(nn.Module):
    """A linear map of its own for each of a vector's slices: equal places of two mean unlike things."""

    def __init__(self, width: int, out: int) -> None:
        """(b, CHUNKS, width) to (b, CHUNKS, out), weights drawn as `nn.Linear` draws them."""
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(CHUNKS, width, out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(CHUNKS, 1, out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(b, CHUNKS, width) to (b, CHUNKS, out)."""
        return (x.transpose(0, 1) @ self.weight + self.bias).transpose(0, 1)


class Lift(nn.Module):
    """The tokens of a view in, each input mapped to one width and told its row numbers, out.

    Inputs of different kinds can then lie side by side in one sequence: the biases tell them apart.
    """

    def __init__(self, view: Tokens, names: tuple[str, ...], width: int) -> None:
        """Reads those inputs of `view`."""
        super().__init__()
        self.width = width
        self.maps = nn.ModuleDict(
            {
                name: Slices(view.out[name], width) if view.split[name] else nn.Linear(view.out[name], width)
                for name in sorted(names)
            }
        )

    def forward(self, prepared: Prepared) -> list[tuple[Tensor, Tensor]]:
        """For each input, in the order of their names, (b, t, width) and its mask (b, t)."""
        lifted = []
        for name, linear in self.maps.items():
            x = prepared[name]
            rows = torch.arange(x.shape[1], device=x.device, dtype=torch.float32)
            lifted.append((linear(x) + positions(rows, self.width), prepared[f"{name}_mask"]))
        return lifted


def side_by_side(sequences: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Several sequences of one width as one: (b, sum t, width) and its mask (b, sum t)."""
    return torch.cat([x for x, _ in sequences], dim=1), torch.cat([mask for _, mask in sequences], dim=1)
