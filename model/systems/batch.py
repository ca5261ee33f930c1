"""What every system is fed with: padded sequences, what views make of them, what is known of each pair."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

Padded = tuple[Tensor, Tensor]  # x (b, t, d) float32 and x_mask (b, t) bool, true where a row is real
Sequences = Mapping[str, Padded]  # by input name
Prepared = Mapping[str, Tensor]  # what a view makes of them, first axis b: all that a system learns from


@dataclass(frozen=True, slots=True)
class Dims:
    """Widths of a dataset's inputs, and how many of what there is to tell apart."""

    video: Mapping[str, int]  # by input name
    music: Mapping[str, int]
    text: int  # 0 if nothing is written about a pair
    categories: int  # 0 if pairs have none
    tracks: int
    rows: Mapping[str, int]  # the most rows that any pair has of an input; 1 if it was pooled beforehand
    tags: int = 0  # 0 if pairs have none
    valence: bool = False  # is it known, so that pairs have a polarity


@dataclass(frozen=True, slots=True)
class Batch:
    """b pairs of a video and one segment of its music; row i belongs together."""

    video: Prepared
    music: Prepared
    text: Tensor | None  # (b, d_t) float32, standardised, the tag's vector
    category_text: Tensor | None  # (b, d_t) the mean of the vectors of the category's tags
    tag: Tensor  # (b,) int64
    category: Tensor  # (b,) int64; all 0 if pairs have none
    track: Tensor  # (b,) int64, equal where two clips were cut from one track
    polarity: Tensor | None  # (b,) int64, tercile of valence: 0 negative, 1 neutral, 2 positive

    def __len__(self) -> int:
        return len(self.tag)
