"""Clips of a video or of music in, what they are before and after the two meet, out: UT-CMVMR's networks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.systems.attention import Block, Lift, side_by_side
from model.systems.batch import Prepared
from model.systems.pace import PacedTokens, PaceEmbedding, spread
from model.systems.views import pool_over_time

HEADS = 3
TAUGHT_WIDTH, TAUGHT_LAYERS, TAUGHT_HEADS = 256, 2, 4
MATCH_DROPOUT = 0.4


class Stream(nn.Module):
    """One modality's clips in, phi out."""

    def __init__(
        self, view: PacedTokens, width: int, hidden: int, phi: int, *, sequence: bool, dropout: float
    ) -> None:
        """Clips of `width`; with `sequence` they see each other (3 heads of 1) before they are averaged."""
        super().__init__()
        self.lift = Lift(view.tokens, tuple(view.tokens.widths), width)
        self.paces = nn.ModuleDict({name: PaceEmbedding(name, width) for name in view.moves})
        self.layer: Block | None = None
        if sequence:
            self.layer = Block(width, hidden, HEADS, head_width=1, norm_first=True, dropout=dropout)
        self.encoder = deep(width, hidden, phi)

    def clips(self, prepared: Prepared) -> tuple[Tensor, Tensor]:
        """(b, t, width) and its mask (b, t)."""
        sequences = self.lift(prepared)
        for name, embedding in self.paces.items():
            moves, moves_mask = prepared[name], prepared[f"{name}_mask"]
            sequences = [(x + embedding(spread(moves, moves_mask, mask)), mask) for x, mask in sequences]
        return side_by_side(sequences)

    def forward(self, prepared: Prepared) -> Tensor:
        """(b, phi)."""
        x, mask = self.clips(prepared)
        if self.layer is not None:
            x = self.layer(x, x, mask)
        phi: Tensor = self.encoder(pool_over_time(x, mask, "mean"))
        return phi


class Taught(nn.Module):
    """The unified targets: clips of one modality in, logits of what their pair is called out."""

    def __init__(self, width: int, targets: Sequence[int]) -> None:
        """`targets`: how many tags and how many categories there are."""
        super().__init__()
        self.narrow = nn.Linear(width, TAUGHT_WIDTH)
        self.layers = nn.ModuleList(
            Block(TAUGHT_WIDTH, 2 * TAUGHT_WIDTH, TAUGHT_HEADS, norm_first=True, dropout=0.1)
            for _ in range(TAUGHT_LAYERS)
        )
        self.heads = nn.ModuleList(nn.Linear(TAUGHT_WIDTH, count) for count in targets)

    def forward(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """(b, t, width) with its mask (b, t) to (b, count) for each target."""
        x = self.narrow(x)
        for layer in self.layers:
            x = layer(x, x, mask)
        mean = pool_over_time(x, mask, "mean")
        return [head(mean) for head in self.heads]


class Together(nn.Module):
    """What a video and a clip of music become when they see each other."""

    def __init__(self, phi: int, hidden: int, head_width: int, dropout: float) -> None:
        """`places` are p_0 of the music and p_1 of the video."""
        super().__init__()
        self.places = nn.Parameter(0.02 * torch.randn(2, phi))
        self.layer = Block(phi, hidden, HEADS, head_width=head_width, norm_first=True, dropout=dropout)

    def forward(self, phi_v: Tensor, phi_m: Tensor) -> tuple[Tensor, Tensor]:
        """(n, phi) each, row i of one with row i of the other, to the same."""
        tokens = torch.stack([phi_m, phi_v], dim=1) + self.places
        seen = self.layer(tokens, tokens, torch.ones_like(tokens[:, :, 0], dtype=torch.bool))
        return phi_v + seen[:, 1], phi_m + seen[:, 0]


def deep(width: int, hidden: int, out: int) -> nn.Sequential:
    """The code's encoder and projection."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.Sigmoid(), *shallow(hidden, out)
    )


def shallow(width: int, out: int) -> nn.Sequential:
    """The code's projection of tags, decoder and reconstruction."""
    return nn.Sequential(nn.Linear(width, out), nn.BatchNorm1d(out), nn.ReLU(), nn.Linear(out, out))


def matcher(rho: int) -> nn.Sequential:
    """(n, 2 rho) to the logits (n, 2) of no match and match."""
    layers: list[nn.Module] = []
    for width, out in ((2 * rho, rho), (rho, rho // 2)):
        layers += [nn.Linear(width, out), nn.BatchNorm1d(out), nn.ReLU(), nn.Dropout(MATCH_DROPOUT)]
    return nn.Sequential(*layers, nn.Linear(rho // 2, 2))
