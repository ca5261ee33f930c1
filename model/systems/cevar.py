"""CEVAR (Surís et al. 2018, arXiv:1801.02200): cross-modal embeddings for video and audio retrieval.

    z_k = norm(ReLU(W_5 ReLU(W_4 ... ReLU(W_1 x_k))))    k in {v, m}; never negative
    p_k = sigmoid(W_c z_k)                              one classifier for both
    L   = mean L_cos + lambda sqrt(BCE_v + BCE_m) + 1e-8 sum w^2 / 2
    L_cos = 1 - c for right pairs, max(0, c - .2) / .8 for wrong ones, c = <z_v, z_m>

The paper's, settled from its code: layers 2000, 2000, 700, 700 for the picture and 450, 450, 250, 250 for
the sound, 250 out; .6 of a batch made wrong with the sound of a random other video, which brings its own
labels; lambda from 0 raised to .003; Adam 1e-4, batches of 1,024, gradient norm clipped at 1. Its inputs
are video-level means, on the side of music audio alone (`paper`); `same` hears what YuYin hears.
Layers start with Xavier's weights and no bias [choice]: torch's own start shrinks what passes four ReLUs
until all cosines are equal, and stays there.
Ours: the labels are the tags, as in YuYin's comparison (its section 5.3), the category is a variant
[choice]; lambda is 0 for 5 epochs, 60 epochs in all, the best R@10 on held-out pairs is kept [choice].
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.losses.cevar import cosine_with_margin, shared_classes
from model.systems.batch import Batch, Dims, Prepared
from model.systems.inputs import Heard, known_labels, label_of, pooled_views
from model.systems.layers import mlp
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, unit
from model.systems.views import Pool, joined

VIDEO, MUSIC, COMMON = (2000, 2000, 700, 700), (450, 450, 250, 250), 250
SILENT = 1e-6  # where all ReLUs of a row are 0 it still has a direction, and the length 1


@dataclass(frozen=True, slots=True)
class CEVARConfig:
    """The defaults are the paper's; see the module."""

    heard: Heard = "audio"
    pool: Pool = "mean"
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    labels: Literal["tag", "category", "none"] = "tag"
    margin: float = 0.2
    wrong_share: float = 0.6  # of a batch, p_neg
    class_weight: float = 0.003  # lambda, at last
    silent_epochs: int = 5  # with lambda = 0
    penalty: float = 1e-8  # on squared weights, biases not counted
    dropout: float = 0.0  # behind hidden layers; the paper has none


class CEVAR(System):
    """Two towers and a shared classifier."""

    def __init__(self, dims: Dims, config: CEVARConfig) -> None:
        """Raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config = config
        self.video_view, self.music_view = pooled_views(dims, config.heard, config.pool, config.clip, "CEVAR")
        self.video_net = mlp((self.video_view.width, *VIDEO, COMMON), config.dropout)
        self.music_net = mlp((self.music_view.width, *MUSIC, COMMON), config.dropout)
        self.label, self.classifier = "", None
        if config.labels != "none":
            self.label, count = known_labels(dims, config.labels, "CEVAR")
            self.classifier = nn.Linear(COMMON, count)
        self.apply(_drawn)

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, 250) unit rows, never negative."""
        return unit(F.relu(self.video_net(joined(video))) + SILENT)

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, 250) unit rows, never negative."""
        return unit(F.relu(self.music_net(joined(music))) + SILENT)

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """L of the module; batches come shuffled, so the first rows are made wrong."""
        config, z_v, z_m = self.config, self.embed_video(batch.video), self.embed_music(batch.music)
        partner = self._partners(len(batch), z_v.device)
        matched = partner == torch.arange(len(batch), device=z_v.device)
        z_m = z_m[partner]
        matching = cosine_with_margin((z_v * z_m).sum(1), matched, margin=config.margin)
        predicted = torch.zeros_like(matching)
        if self.classifier is not None:
            label = label_of(batch, self.label)
            predicted = shared_classes(self.classifier(z_v), self.classifier(z_m), label, label[partner])
        weight = 0.0 if epoch <= config.silent_epochs else config.class_weight
        return Losses(matching + weight * predicted + self._penalty(), matching, predicted)

    def _partners(self, rows: int, device: torch.device) -> Tensor:
        """(b,) whose music each video is judged with; outside of training always the same."""
        own = torch.arange(rows, device=device)
        wrong = round(self.config.wrong_share * rows) if rows > 1 else 0
        if self.training and wrong:
            apart = torch.randint(1, rows, (wrong,), device=device)
        else:
            apart = torch.full((wrong,), rows // 2, device=device)
        return torch.cat([(own[:wrong] + apart) % rows, own[wrong:]])

    def _penalty(self) -> Tensor:
        weights: Sequence[Tensor] = [each for each in self.parameters() if each.ndim == 2]
        return self.config.penalty / 2 * torch.stack([each.square().sum() for each in weights]).sum()


def _drawn(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)


_PAPER = Preset(
    CEVARConfig(),
    TrainConfig(epochs=60, batch_size=1024, learning_rate=1e-4, clip_norm=1.0, keep="r10"),
)
PRESETS = {
    "paper": _PAPER,
    "same": replace(_PAPER, system=CEVARConfig(heard="audio_emotion")),
    "category": replace(_PAPER, system=CEVARConfig(labels="category")),
    "wo_labels": replace(_PAPER, system=CEVARConfig(labels="none")),  # for data without any
}
