"""CBVMR (Hong et al. 2018, arXiv:1804.08436), content-based video-music retrieval; its code is VM-NET.

    music  Linear 2048, ReLU, Linear 1024, ReLU, Linear 512; batch norm; L2 norm
    video  Linear 2048, ReLU, Linear 512; batch norm; L2 norm
    L = 3 T(m -> v) + T(v -> m) + .2 S(m) + .2 S(v)
    T the hinge at margin .1 over the 100 hardest wrong partners of a batch, S the soft structure loss

The paper's, settled from its code: all of that, dropout .1 behind each ReLU, weights drawn from a
truncated normal of deviation sqrt(2 / inputs), Adam 3e-4, batches of 1,000, no schedule. (Its committed
script leaves the ReLUs out, an ablation, and its adversarial classifier has weight 0.) The paper hears
1,140 hand-crafted descriptors; ours hears the input `audio`, whatever it holds (`paper`), or also
emotion (`same`). The best R@10 on held-out pairs within 60 epochs is kept [choice].
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from model.losses.hinge import hinge, products
from model.losses.structure import structure
from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import Heard, pooled_views
from model.systems.layers import mlp
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, unit
from model.systems.views import Pool, joined

VIDEO, MUSIC, COMMON = (2048,), (2048, 1024), 512


@dataclass(frozen=True, slots=True)
class CBVMRConfig:
    """The defaults are the paper's; see the module."""

    heard: Heard = "audio"
    pool: Pool = "mean"
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    margin: float = 0.1
    hardest: int = 100  # wrong partners of an anchor, and clips that the structure loss looks at
    music_weight: float = 3.0  # of the hinge anchored on music
    video_weight: float = 1.0
    structure_weight: float = 0.2
    dropout: float = 0.1
    norm_memory: float = 0.99  # how much of the running statistics a batch leaves


class CBVMR(System):
    """Two towers."""

    def __init__(self, dims: Dims, config: CBVMRConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config = config
        self.video_view, self.music_view = pooled_views(dims, config.heard, config.pool, config.clip, "CBVMR")
        self.video_net = _tower(self.video_view.width, VIDEO, config)
        self.music_net = _tower(self.music_view.width, MUSIC, config)

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, 512) unit rows."""
        return unit(self.video_net(joined(video)))

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, 512) unit rows."""
        return unit(self.music_net(joined(music)))

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """L of the module; batches come shuffled, so the structure of the first rows stands for all."""
        config, z_v, z_m = self.config, self.embed_video(batch.video), self.embed_music(batch.music)
        match, scores = partial(hinge, margin=config.margin, hardest=config.hardest), products(z_m, z_v)
        matching = config.music_weight * match(scores) + config.video_weight * match(scores.T)
        kept = structure(joined(batch.music), z_m, rows=config.hardest)
        kept = kept + structure(joined(batch.video), z_v, rows=config.hardest)
        return Losses(matching + config.structure_weight * kept, matching, torch.zeros_like(matching))


def _tower(width: int, hidden: tuple[int, ...], config: CBVMRConfig) -> nn.Sequential:
    """Linear layers and the batch norm behind them."""
    layers = mlp((width, *hidden, COMMON), config.dropout)
    for layer in layers:
        if isinstance(layer, nn.Linear):
            deviation = (2 / layer.in_features) ** 0.5
            nn.init.trunc_normal_(layer.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            nn.init.zeros_(layer.bias)
    return layers.append(nn.BatchNorm1d(COMMON, eps=1e-3, momentum=1 - config.norm_memory))


_PAPER = Preset(CBVMRConfig(), TrainConfig(epochs=60, batch_size=1000, learning_rate=3e-4, keep="r10"))
PRESETS = {"paper": _PAPER, "same": replace(_PAPER, system=CBVMRConfig(heard="audio_emotion"))}
