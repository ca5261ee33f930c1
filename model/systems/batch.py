"""What every system is fed with: padded sequences by input name, and what is known of each pair."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

Padded = tuple[Tensor, Tensor]  # x (b, t, d) float32 and x_mask (b, t) bool, true where a row is real


@dataclass(frozen=True, slots=True)
class Dims:
    """Widths of a system's inputs, from the dataset and its profile."""

    video: Mapping[str, int]  # by input name
    music: Mapping[str, int]
    text: int
    categories: int


@dataclass(frozen=True, slots=True)
class Batch:
    """b pairs of a video and one segment of its music; row i belongs together."""

    video: Mapping[str, Padded]
    music: Mapping[str, Padded]
    text: Tensor  # (b, d_t) float32, the tag's vector
    tag: Tensor  # (b,) int64
    category: Tensor  # (b,) int64
    track: Tensor  # (b,) int64, equal where two clips were cut from one track
