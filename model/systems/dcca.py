"""Deep CCA (Andrew et al. 2013, ICML): two networks whose outputs are as correlated as they can be made.

    maximise || S_11^-1/2 S_12 S_22^-1/2 ||_trace   over batches, S of the outputs f(x_v) and g(x_m)

then a linear CCA of the outputs of all training pairs, and the cosine of its projections. The paper's: the
objective, its gradient over large batches, the final CCA. Ours [choice], since YuYin names no setting for
its DCCA row: Linear(1024), ReLU, Linear(1024), ReLU, Linear(64), ridge 1e-4, batches of 1,024 (the
covariance of 64 columns needs many more rows than 64), Adam 1e-3 with decay 1e-4, 50 epochs.

Its regularisers are the ridges (preset `ridge`, ours): on 1,679 pairs of AVE .1 in the loss and 1 at last
bring R@10 from .25 to .30 (3 splits, batches of 512). There is no dropout: noise of either network is what
cannot be correlated, and trials with it found .08 to .13.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.losses.dcca import dcca
from model.systems.batch import Batch, Dims, Prepared
from model.systems.cca import LinearMap, canonical, moments
from model.systems.inputs import Heard, pooled_views
from model.systems.layers import mlp
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System
from model.systems.views import Pool, joined

ROWS = 8192  # at a time through the networks in `settle`: bounds memory only


@dataclass(frozen=True, slots=True)
class DCCAConfig:
    """All [choice]; see the module."""

    heard: Heard = "all"
    pool: Pool = "mean"
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    hidden: int = 1024
    components: int = 64  # of the outputs, and of the final CCA
    ridge: float = 1e-4  # of the loss
    final_ridge: float = 0.01  # in units of the mean variance; with 1e-4 float noise would grow 100-fold


class DCCA(System):
    """Two networks, and between them and the common space a closed form."""

    def __init__(self, dims: Dims, config: DCCAConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config = config
        self.video_view, self.music_view = pooled_views(dims, config.heard, config.pool, config.clip, "DCCA")
        inner = (config.hidden, config.hidden, config.components)
        self.video_net = mlp((self.video_view.width, *inner), 0.0)
        self.music_net = mlp((self.music_view.width, *inner), 0.0)
        self.video_map = LinearMap(config.components, config.components)
        self.music_map = LinearMap(config.components, config.components)

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, components) unit rows."""
        z: Tensor = self.video_map(self.video_net(joined(video)))
        return z

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, components) unit rows."""
        z: Tensor = self.music_map(self.music_net(joined(music)))
        return z

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """Minus the sum of the correlations of this batch."""
        outputs = self.video_net(joined(batch.video)), self.music_net(joined(batch.music))
        matching = dcca(*outputs, ridge=self.config.ridge)
        return Losses(matching, matching, torch.zeros_like(matching))

    @torch.no_grad()
    def settle(self, pairs: Batch) -> None:
        """The final linear CCA, of the outputs of all training pairs."""
        sides = (self.video_net, joined(pairs.video)), (self.music_net, joined(pairs.music))
        x, y = (
            torch.cat([net(rows) for rows in torch.split(inputs, ROWS)]).cpu().numpy()
            for net, inputs in sides
        )
        found = moments(x, y)
        a, b = canonical(found, self.config.final_ridge).weighed(self.config.components, power=0.0)
        self.video_map.put(found.x.mean, a)
        self.music_map.put(found.y.mean, b)


_PAPER = Preset(
    DCCAConfig(),
    TrainConfig(
        epochs=50, batch_size=1024, least_batch=512, learning_rate=1e-3, weight_decay=1e-4, keep="r10"
    ),
)
PRESETS = {
    "paper": _PAPER,
    "ridge": replace(_PAPER, system=DCCAConfig(ridge=0.1, final_ridge=1.0)),  # ours
}
