"""YuYin (Ma et al. 2023): a video, music segments and a tag in, unit vectors of one common space out.

    g   = sigmoid(W_g [a; e] + b_g)           gate of the weighted fusion module, section 4.4
    m   = W_o (g * [a; e]) + b_o
    h_v = W_v x_v + b_v,  h_t = W_t x_t + b_t
    z_k = norm(MLP_k(h_k)),  k in {v, m, t}   two layers, ReLU between, section 5.1
    p_k = softmax(W_c z_k + b_c)              one classifier for all three, section 4.5

With the paper's inputs (video 2048, audio 768, emotion 988, text 768, 4 categories) and the paper's
preset it has 9,739,504 parameters. What the paper leaves open is decided in docs of the fields below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.losses.nce import nce
from model.losses.prediction import prediction
from model.systems.batch import Batch, Dims, Padded
from model.systems.cca import ridge_cca
from model.systems.pooling import Inputs, Pool, Standardise

CCA_RIDGE = 3.0  # of the mean variance: on 1,879 real pairs 1 and 3 are equal, .3 and 10 are worse


@dataclass(frozen=True, slots=True)
class YuYinConfig:
    """Architecture and objective; the defaults are the paper's, or our reading where it is silent."""

    pool: Pool = "mean"  # section 4.3; `mean_std` appends the deviation over time
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    embedding: int = 1024  # section 5.1, read as the width before the projection
    hidden: int = 512  # section 5.1, first of {512, 256}
    common: int = 256  # second of {512, 256}
    temperature: float = 0.07  # "tau is a hyper-parameter"; MMV's start value
    beta: float = 3.0  # Eq. (2), section 5.1
    alpha: float = 0.1  # Eq. (5), section 5.1
    symmetric: bool = False  # Eq. (1) as printed has anchors on one side only
    mask_same_track: bool = False  # leave other clips of the anchor's track out of its softmax
    linear_path: bool = False  # z_k = norm(MLP_k(h_k) + P_k x_k) for k in {v, m}; see `start_linear`
    class_scale: float = 1.0  # times the logits: a classifier of unit vectors is weak
    input_noise: float = 0.0  # standard deviation of what is added to standardised inputs in training
    input_dropout: float = 0.0
    dropout: float = 0.0  # behind the hidden layer
    mixup: float = 0.0  # a of Beta(a, a): pairs are blended with other pairs, both sides alike


@dataclass(frozen=True, slots=True)
class Losses:
    """Eq. (5) and its two parts, each () in nats."""

    total: Tensor
    matching: Tensor  # Eq. (2)
    prediction: Tensor  # Eq. (4)


@dataclass(frozen=True, slots=True)
class _Sides:
    """Standardised inputs (b, d_k) of the three towers, and the labels that go with each row."""

    video: Tensor
    music: Tensor
    text: Tensor
    same_text: Tensor  # (b, b) bool
    other: Tensor = field(repr=False)  # (b,) which row each row was blended with
    weight: float = 1.0  # of the row itself


class Fusion(nn.Module):
    """The weighted fusion module: every input dimension is weighed by a gate that sees all of them."""

    def __init__(self, width: int, out: int) -> None:
        """`width` in, `out` out."""
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.out = nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        """(b, width) to (b, out)."""
        fused: Tensor = self.out(torch.sigmoid(self.gate(x)) * x)
        return fused


class Projection(nn.Module):
    """Into the common space: Linear, ReLU, Linear, unit length."""

    def __init__(self, width: int, hidden: int, out: int, dropout: float) -> None:
        """The paper has {512, 256} for hidden and out, and no dropout."""
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, out)

    def forward(self, h: Tensor, beside: Tensor | None = None) -> Tensor:
        """(b, width) to (b, out), rows of L2 norm 1; `beside` (b, out) is added before the norm."""
        z = self.out(self.dropout(F.relu(self.hidden(h))))
        return F.normalize(z if beside is None else z + beside, dim=1)


class YuYin(nn.Module):
    """Three towers and a shared classifier."""

    def __init__(self, dims: Dims, config: YuYinConfig) -> None:
        """Weights start as torch starts them; the inputs' statistics have to be fitted before training."""
        super().__init__()
        self.config = config
        self.video_inputs = Inputs(dims.video, config.pool, config.clip)
        self.music_inputs = Inputs(dims.music, config.pool, config.clip)
        self.text_inputs = Standardise(dims.text, config.clip)
        self.video_embedding = nn.Linear(self.video_inputs.width, config.embedding)
        self.fusion = Fusion(self.music_inputs.width, config.embedding)
        self.text_embedding = nn.Linear(dims.text, config.embedding)
        sizes = (config.embedding, config.hidden, config.common, config.dropout)
        self.video_projection = Projection(*sizes)
        self.music_projection = Projection(*sizes)
        self.text_projection = Projection(*sizes)
        self.classifier = nn.Linear(config.common, dims.categories)
        self.video_linear: nn.Linear | None = None
        self.music_linear: nn.Linear | None = None
        if config.linear_path:
            self.video_linear = nn.Linear(self.video_inputs.width, config.common, bias=False)
            self.music_linear = nn.Linear(self.music_inputs.width, config.common, bias=False)

    @torch.no_grad()
    def start_linear(self, video: Tensor, music: Tensor) -> None:
        """Begin where the best linear map is: P from the ridge CCA of the training pairs, the MLPs at 0.

        With 2,000 real pairs a tuned linear map beats the plain recipe by half (docs/models.md 7.7); so the
        MLPs have to earn what they add to it.

        Args:
            video: (n, d_v) standardised inputs.
            music: (n, d_m) likewise, row i belongs with row i of `video`.
        """
        if self.video_linear is None or self.music_linear is None:
            return
        sides = (video.double().numpy(), music.double().numpy())
        maps = ridge_cca(*sides, ridge=CCA_RIDGE, components=self.config.common)
        for layer, x, matrix in zip((self.video_linear, self.music_linear), sides, maps, strict=True):
            length = np.linalg.norm(x @ matrix, axis=1).mean()
            layer.weight.zero_()
            layer.weight[: matrix.shape[1]] = torch.from_numpy(matrix.T / length)
        for projection in (self.video_projection, self.music_projection):
            projection.out.weight.zero_()
            projection.out.bias.zero_()

    def video(self, sequences: Mapping[str, Padded]) -> Tensor:
        """(b, common) unit rows."""
        return self._video(self.video_inputs(sequences))

    def music(self, sequences: Mapping[str, Padded]) -> Tensor:
        """(b, common) unit rows."""
        return self._music(self.music_inputs(sequences))

    def text(self, x: Tensor) -> Tensor:
        """(b, d_t) to (b, common) unit rows."""
        return self._text(self.text_inputs(x))

    def loss(self, batch: Batch) -> Losses:
        """Eq. (5): L = beta NCE(z_v, z_m) + NCE(z_v, z_t) + NCE(z_m, z_t) + alpha L_pred.

        Positives of video and music are the clips of the same ad; positives of a text are all rows
        with the same tag, since equal texts cannot be told apart (with diagonal positives the loss
        of 15 tags could not fall below 4.43 nats at 1,024 rows).
        """
        config, sides = self.config, self._sides(batch)
        z_v, z_m, z_t = self._video(sides.video), self._music(sides.music), self._text(sides.text)
        own = torch.eye(len(z_v), dtype=torch.bool, device=z_v.device)
        same_track = batch.track[:, None] == batch.track[None, :] if config.mask_same_track else None
        match = partial(nce, temperature=config.temperature, symmetric=config.symmetric)
        matching = (
            config.beta * match(z_v, z_m, own, ignored=same_track)
            + match(z_v, z_t, sides.same_text)
            + match(z_m, z_t, sides.same_text)
        )
        logits = [config.class_scale * self.classifier(z) for z in (z_v, z_m, z_t)]
        predicted = sides.weight * prediction(logits, batch.category)
        if sides.weight < 1:
            predicted = predicted + (1 - sides.weight) * prediction(logits, batch.category[sides.other])
        return Losses(matching + config.alpha * predicted, matching, predicted)

    def _sides(self, batch: Batch) -> _Sides:
        """Standardised inputs; in training with noise, dropout and mixup, the same for both sides."""
        same = batch.tag[:, None] == batch.tag[None, :]
        rows = torch.arange(len(batch.tag), device=batch.tag.device)
        video, music = self.video_inputs(batch.video), self.music_inputs(batch.music)
        text = self.text_inputs(batch.text)
        if not self.training:
            return _Sides(video, music, text, same, rows)
        video, music = self._shaken(video), self._shaken(music)
        if self.config.mixup == 0:
            return _Sides(video, music, text, same, rows)
        weight = float(torch.distributions.Beta(self.config.mixup, self.config.mixup).sample())
        weight = max(weight, 1 - weight)  # so that row i stays mostly itself
        other = torch.randperm(len(rows), device=rows.device)
        video, music, text = (torch.lerp(x[other], x, weight) for x in (video, music, text))
        return _Sides(video, music, text, same & same[other][:, other], other, weight)

    def _shaken(self, x: Tensor) -> Tensor:
        noisy = x + self.config.input_noise * torch.randn_like(x)
        return F.dropout(noisy, self.config.input_dropout)

    def _video(self, x: Tensor) -> Tensor:
        beside = None if self.video_linear is None else self.video_linear(x)
        z: Tensor = self.video_projection(self.video_embedding(x), beside)
        return z

    def _music(self, x: Tensor) -> Tensor:
        beside = None if self.music_linear is None else self.music_linear(x)
        z: Tensor = self.music_projection(self.fusion(x), beside)
        return z

    def _text(self, x: Tensor) -> Tensor:
        z: Tensor = self.text_projection(self.text_embedding(x))
        return z
