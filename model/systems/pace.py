"""How music moves and how a picture moves in, as numbers; as classes and their learned embeddings out.

UT-CMVMR's `R` (its code; docs/models.md 4.3). Per window of music: beats, mean onset strength at them, both
rounded, and the mean interval between beats in 64 bins of 1/16 s with a class of its own for less than two
beats. Per window of picture: the mean magnitude of optical flow in 64 bins of 5 px (of its 65 classes the
last is never used). What lies beyond the last class counts as the last.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from model.systems.batch import Sequences
from model.systems.views import Tokens, View, only

RHYTHM, FLOW = "rhythm", "flow"
BEATS, STRENGTHS, BINS = 18, 49, 64  # classes
INTERVALS = FLOWS = BINS + 1
LONGEST_INTERVAL_S, LARGEST_FLOW_PX = 4.0, 320.0
TYPICAL = {RHYTHM: (8.0, 20.0, 0.5), FLOW: (80.0,)}


def rhythm_classes(x: Tensor) -> Tensor:
    """Beats, mean onset strength, mean interval in s (..., 3) to their classes (..., 3) int64."""
    x = torch.where(torch.isfinite(x), x, 0.0)
    beats = x[..., 0].round().clamp(0, BEATS - 1).long()
    strength = x[..., 1].round().clamp(0, STRENGTHS - 1).long() * (beats > 0)
    interval = _binned(x[..., 2], LONGEST_INTERVAL_S)
    return torch.stack([beats, strength, torch.where(beats > 1, interval, BINS)], dim=-1)


def flow_classes(x: Tensor) -> Tensor:
    """Mean flow in px (..., 1) to its class (..., 1) int64."""
    return _binned(torch.where(torch.isfinite(x), x, 0.0), LARGEST_FLOW_PX)


def _binned(x: Tensor, largest: float) -> Tensor:
    return (x * (BINS / largest)).floor().clamp(0, BINS - 1).long()


class PacedTokens(View):
    """`Tokens` of what is seen or heard, and the classes of how it moves: (b, t, 3) or (b, t, 1) int64."""

    sequential = True

    def __init__(self, widths: Mapping[str, int], rows: Mapping[str, int], clip: float) -> None:
        """`rows` as `Dims.rows`; rhythm and flow may be among the inputs, pooled or not."""
        super().__init__()
        self.widths = dict(sorted(widths.items()))
        self.moves = tuple(name for name in self.widths if name in (RHYTHM, FLOW))
        others = {name: width for name, width in self.widths.items() if name not in self.moves}
        self.tokens = Tokens(others, rows, clip)

    def forward(self, sequences: Sequences) -> dict[str, Tensor]:
        """As `Tokens` has it; classes behind the mask are 0."""
        prepared = self.tokens(sequences)
        for name in self.moves:
            x, mask = sequences[name]
            classes = rhythm_classes(x) if name == RHYTHM else flow_classes(x)
            prepared[name], prepared[f"{name}_mask"] = classes * mask.unsqueeze(2), mask
        return dict(prepared)

    def fit(self, chunks: Iterable[Sequences]) -> None:
        """Set the z-scores; classes are fixed."""
        self.tokens.fit(only(chunk, self.tokens.widths) for chunk in chunks)

    def statistics(self, name: str) -> tuple[Tensor, Tensor]:
        """Of the rows; of rhythm and flow what spreads over the classes."""
        if name not in self.moves:
            return self.tokens.statistics(name)
        middle = torch.tensor(TYPICAL[name])
        return middle, middle / 2


class PaceEmbedding(nn.Module):
    """Classes in, the sum's other summand of a clip embedding out."""

    def __init__(self, name: str, width: int) -> None:
        """`width` is 512 in the paper: 256 + 128 + 128 for rhythm, 512 for flow."""
        super().__init__()
        rhythm = ((BEATS, width // 2), (STRENGTHS, width // 4), (INTERVALS, width // 4))
        kinds = rhythm if name == RHYTHM else ((FLOWS, width),)
        self.tables = nn.ModuleList(nn.Embedding(classes, part) for classes, part in kinds)

    def forward(self, classes: Tensor) -> Tensor:
        """(b, t, 3) or (b, t, 1) int64 to (b, t, width)."""
        return torch.cat([table(classes[..., i]) for i, table in enumerate(self.tables)], dim=2)


def spread(x: Tensor, x_mask: Tensor, mask: Tensor) -> Tensor:
    """The rows of one sequence laid beside those of another that covers the same time.

    Args:
        x: (b, s, k), n_x real rows each.
        x_mask: (b, s).
        mask: (b, t) of the other, n real rows each.

    Returns:
        (b, t, k), row i is row floor(i n_x / n) of x; equal lengths leave it as it is.
    """
    own, count = x_mask.sum(1, keepdim=True), mask.sum(1, keepdim=True).clamp(min=1)
    row = (mask.long().cumsum(1) - 1).clamp(min=0)
    index = (row * own).div(count, rounding_mode="floor").clamp(max=x.shape[1] - 1)
    return x.gather(1, index.unsqueeze(2).expand(-1, -1, x.shape[2]))
