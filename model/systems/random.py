"""Uniform scores: what a ranking is worth that has looked at nothing.

The comparison takes the mean of `DRAWS` seeds, beside the analytic K / N of a pool of N (docs/models.md
3.1). It is the one scorer whose table row is known in advance, so it checks the protocols: in YuYin's
Table 2 it scores K / 732 on 1,464 clips, which only pools of 1,024 and 440 explain (docs/models.md 2.8).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import pooled_views
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System

DRAWS = 100  # whose mean is reported


@dataclass(frozen=True, slots=True)
class RandomConfig:
    """There is nothing to choose."""


class Random(System):
    """Every call of `scores` is another draw; torch's seed at construction fixes them all."""

    indexable = False  # nothing to index: a score belongs to a pair
    seed: Tensor

    def __init__(self, dims: Dims, config: RandomConfig) -> None:
        """Its views only count rows."""
        super().__init__()
        self.video_view, self.music_view = pooled_views(dims, "all", "mean", 5.0, "Random")
        self.register_buffer("seed", torch.randint(2**31, ()))  # kept with a run, as weights are
        self.dice: torch.Generator | None = None

    def scores(self, video: Prepared, music: Prepared) -> Tensor:
        """(n, m) between 0 and 1."""
        if self.dice is None:
            self.dice = torch.Generator().manual_seed(int(self.seed))
        rows, columns = (len(next(iter(side.values()))) for side in (video, music))
        return torch.rand((rows, columns), generator=self.dice, dtype=torch.float64)

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """0: there is nothing to learn."""
        nothing = torch.zeros(())
        return Losses(nothing, nothing, nothing)


PRESETS = {"paper": Preset(RandomConfig(), TrainConfig(epochs=1, keep="last"))}
