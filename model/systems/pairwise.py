"""Two baselines that DPVM names: two streams into one space, taught by triplets.

`baseline_connect` (Prétet et al. 2021): two MLPs and the triplet loss. The paper has ImageNet video and
OpenL3 music features; ours takes the features that all systems share [choice].
`cmmr` (Li and Kumar 2019; CMMR in MRCMV, Baseline-Emotion in DPVM): the same two streams are first taught
emotion tags, each with a classifier of its own, then matched by triplets. Without such tags ours learns the
polarity (terciles of valence) where the data set has it, else the tag [choice]; for the first 5 epochs
[choice], after which the classifiers rest.

Neither seed gives sizes: Linear 512, ReLU, Linear 256, unit length; cosine; margin .2 over every triplet
of a batch of 256 in both directions; Adam 3e-4, 60 epochs, the best R@10 on held-out pairs [all choice].
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.losses.hinge import hinge, products
from model.losses.prediction import prediction
from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import Heard, Labels, known_labels, label_of, pooled_views
from model.systems.layers import mlp
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, unit
from model.systems.views import Pool, joined


@dataclass(frozen=True, slots=True)
class ConnectConfig:
    """All [choice]; see the module."""

    heard: Heard = "all"
    pool: Pool = "mean"
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    hidden: int = 512
    common: int = 256
    margin: float = 0.2
    dropout: float = 0.0


@dataclass(frozen=True, slots=True)
class CMMRConfig(ConnectConfig):
    """All [choice]; see the module."""

    labels: Labels = "emotion"
    taught_epochs: int = 5  # of labels, before triplets


class Connect(System):
    """Two streams and the triplet loss."""

    name = "baseline_connect"

    def __init__(self, dims: Dims, config: ConnectConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config = config
        self.video_view, self.music_view = pooled_views(
            dims, config.heard, config.pool, config.clip, self.name
        )
        inner = (config.hidden, config.common)
        self.video_net = mlp((self.video_view.width, *inner), config.dropout)
        self.music_net = mlp((self.music_view.width, *inner), config.dropout)

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, common) unit rows."""
        return unit(self.video_net(joined(video)))

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, common) unit rows."""
        return unit(self.music_net(joined(music)))

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """Every triplet of the batch, both ways."""
        matching = self._triplets(self.embed_video(batch.video), self.embed_music(batch.music))
        return Losses(matching, matching, torch.zeros_like(matching))

    def _triplets(self, z_v: Tensor, z_m: Tensor) -> Tensor:
        scores = products(z_v, z_m)
        return hinge(scores, margin=self.config.margin) + hinge(scores.T, margin=self.config.margin)


class CMMR(Connect):
    """The same streams, taught labels first."""

    name = "cmmr"

    def __init__(self, dims: Dims, config: CMMRConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__(dims, config)
        self.taught_epochs = config.taught_epochs
        self.label, count = known_labels(dims, config.labels, self.name)
        self.video_classes = nn.Linear(config.common, count)
        self.music_classes = nn.Linear(config.common, count)

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """Cross-entropy of both streams while they are taught, then triplets."""
        z_v, z_m = self.embed_video(batch.video), self.embed_music(batch.music)
        logits = (self.video_classes(z_v), self.music_classes(z_m))
        predicted = prediction(logits, label_of(batch, self.label))
        matching = self._triplets(z_v, z_m)
        return Losses(predicted if epoch <= self.taught_epochs else matching, matching, predicted)


_TRAINING = TrainConfig(epochs=60, batch_size=256, learning_rate=3e-4, keep="r10")
CONNECT_PRESETS = {"paper": Preset(ConnectConfig(), _TRAINING)}
CMMR_PRESETS = {"paper": Preset(CMMRConfig(), _TRAINING)}
