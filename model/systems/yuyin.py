"""YuYin (Ma et al. 2023): a video, music segments and a tag in, unit vectors of one common space out.

    g   = sigmoid(W_g [a; e] + b_g)           gate of the weighted fusion module, section 4.4
    m   = W_o (g * [a; e]) + b_o
    h_v = W_v x_v + b_v,  h_t = W_t x_t + b_t
    z_k = norm(MLP_k(h_k)),  k in {v, m, t}   two layers, ReLU between, section 5.1
    p_k = softmax(W_c z_k + b_c)              one classifier for all three, section 4.5

With the paper's inputs (video 2048, audio 768, emotion 988, text 768, 4 categories) and the paper's
preset it has 9,739,504 parameters. What the paper leaves open is decided in docs of the fields below; the
rows of its Tables 3 and 4 are `PRESETS`.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.errors import BadOptions
from model.losses.nce import nce
from model.losses.prediction import prediction
from model.systems.batch import Batch, Dims, Prepared
from model.systems.cca import ridge_cca
from model.systems.fusion import FusionKind, fusion
from model.systems.recipe import Preset, TrainConfig
from model.systems.system import Losses, System, picture_inputs, unit, wanted, wanted_categories, wanted_text
from model.systems.views import Pool, Pooled, Standardise, joined

CCA_RIDGE = 3.0  # of the mean variance: on 1,879 real pairs 1 and 3 are equal, .3 and 10 are worse


@dataclass(frozen=True, slots=True)
class YuYinConfig:
    """Architecture and objective; the defaults are the paper's, or our reading where it is silent."""

    pool: Pool = "mean"  # section 4.3; `mean_std` appends the deviation over time
    clip: float = 5.0  # standard deviations an input may lie from the training mean
    emotion: bool = True  # read e; without it there is nothing to fuse (section 5.4.1)
    text: bool = True  # read tags in training
    category: bool = True  # the classifier and L_pred
    fusion: FusionKind = "wfm"  # section 4.4; the others are Table 4's and our controls
    embedding: int = 1024  # section 5.1, read as the width before the projection
    hidden: int = 512  # section 5.1, first of {512, 256}
    common: int = 256  # second of {512, 256}
    temperature: float = 0.07  # "tau is a hyper-parameter"; MMV's start value
    beta: float = 3.0  # Eq. (2), section 5.1
    alpha: float = 0.1  # Eq. (5), section 5.1
    text_source: Literal["tag", "category"] = "tag"  # "text features of the category tag" names both
    text_positives: Literal["tag", "diagonal"] = "tag"  # equal texts cannot be told apart: see `loss`
    symmetric: bool = False  # Eq. (1) as printed has anchors on one side only
    mask_same_track: bool = False  # leave other clips of the anchor's track out of its softmax
    linear_path: bool = False  # z_k = norm(MLP_k(h_k) + P_k x_k) for k in {v, m}; see `start`
    class_scale: float = 1.0  # times the logits: a classifier of unit vectors is weak
    input_noise: float = 0.0  # standard deviation of what is added to standardised inputs in training
    input_dropout: float = 0.0
    dropout: float = 0.0  # behind the hidden layer
    mixup: float = 0.0  # a of Beta(a, a): pairs are blended with other pairs, both sides alike


@dataclass(frozen=True, slots=True)
class _Sides:
    """Standardised inputs (b, d_k) of the towers, and the labels that go with each row."""

    video: Tensor
    music: Tensor
    text: Tensor | None
    same_text: Tensor  # (b, b) bool
    other: Tensor = field(repr=False)  # (b,) which row each row was blended with
    weight: float = 1.0  # of the row itself


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
        return unit(z if beside is None else z + beside)


class YuYin(System):
    """Three towers and a shared classifier."""

    video_view: Pooled
    music_view: Pooled

    def __init__(self, dims: Dims, config: YuYinConfig) -> None:
        """Weights start as torch starts them; raises `MissingInput` for what the data set lacks."""
        super().__init__()
        self.config = config
        heard = ("audio", "emotion") if config.emotion else ("audio",)
        self.video_view = Pooled(picture_inputs(dims), dims.rows, config.pool, config.clip)
        self.music_view = Pooled(wanted(dims.music, heard, "YuYin"), dims.rows, config.pool, config.clip)
        sizes = (config.embedding, config.hidden, config.common, config.dropout)
        self.video_embedding = nn.Linear(self.video_view.width, config.embedding)
        self.fusion = fusion(config.fusion, tuple(self.music_view.out.values()), config.embedding)
        self.text_view = self.text_embedding = self.text_projection = self.classifier = None
        if config.text:
            self.text_view = Standardise(wanted_text(dims, "YuYin"), config.clip)
            self.text_embedding = nn.Linear(dims.text, config.embedding)
        self.video_projection = Projection(*sizes)
        self.music_projection = Projection(*sizes)
        if config.text:
            self.text_projection = Projection(*sizes)
        if config.category:
            self.classifier = nn.Linear(config.common, wanted_categories(dims, "YuYin"))
        self.video_linear: nn.Module | None = None
        self.music_linear: nn.Module | None = None
        if config.linear_path:
            self.video_linear = nn.Linear(self.video_view.width, config.common, bias=False)
            self.music_linear = nn.Linear(self.music_view.width, config.common, bias=False)

    @torch.no_grad()
    def start(self, pairs: Batch) -> None:
        """Begin where the best linear map is: P from the ridge CCA of the training pairs, the MLPs at 0.

        With 2,000 real pairs a tuned linear map beats the plain recipe by half (docs/models.md 7.7); so the
        MLPs have to earn what they add to it.
        """
        if not isinstance(self.video_linear, nn.Linear) or not isinstance(self.music_linear, nn.Linear):
            return
        sides = (joined(pairs.video).double().cpu().numpy(), joined(pairs.music).double().cpu().numpy())
        maps = ridge_cca(*sides, ridge=CCA_RIDGE, components=self.config.common, power=0.5)
        for layer, x, matrix in zip((self.video_linear, self.music_linear), sides, maps, strict=True):
            length = np.linalg.norm(x @ matrix, axis=1).mean()
            layer.weight.zero_()
            layer.weight[: matrix.shape[1]] = torch.from_numpy(matrix.T / length)
        self._silence()

    def _silence(self) -> None:
        for projection in (self.video_projection, self.music_projection):
            projection.out.weight.zero_()
            projection.out.bias.zero_()

    def embed_video(self, video: Prepared) -> Tensor:
        """(b, common) unit rows."""
        return self._video(joined(video))

    def embed_music(self, music: Prepared) -> Tensor:
        """(b, common) unit rows."""
        return self._music(joined(music))

    def embed_text(self, text: Tensor) -> Tensor:
        """(b, common) unit rows."""
        return self._text(text)

    def before_projection(self, side: Literal["video", "music"], prepared: Prepared) -> Tensor:
        """(b, embedding): h_v or m, what Figs. 5 and 6 of the paper look at."""
        h: Tensor = (self.video_embedding if side == "video" else self.fusion)(joined(prepared))
        return h

    def loss(self, batch: Batch, epoch: int) -> Losses:
        """Eq. (5): L = beta NCE(z_v, z_m) + NCE(z_v, z_t) + NCE(z_m, z_t) + alpha L_pred.

        Positives of video and music are the clips of the same ad; positives of a text are all rows
        with the same tag, since equal texts cannot be told apart (with diagonal positives the loss
        of 15 tags could not fall below 4.43 nats at 1,024 rows).
        """
        config, sides = self.config, self._sides(batch)
        z_v, z_m = self._video(sides.video), self._music(sides.music)
        own = torch.eye(len(z_v), dtype=torch.bool, device=z_v.device)
        same_track = batch.track[:, None] == batch.track[None, :] if config.mask_same_track else None
        match = partial(nce, temperature=config.temperature, symmetric=config.symmetric)
        matching = config.beta * match(z_v, z_m, own, ignored=same_track)
        embedded = [z_v, z_m]
        if sides.text is not None:
            z_t = self._text(sides.text)
            right = sides.same_text if config.text_positives == "tag" else own
            matching = matching + match(z_v, z_t, right) + match(z_m, z_t, right)
            embedded.append(z_t)
        predicted = self._prediction(embedded, sides, batch.category)
        return Losses(matching + config.alpha * predicted, matching, predicted)

    def _prediction(self, embedded: list[Tensor], sides: _Sides, category: Tensor) -> Tensor:
        """Eq. (4), of both rows where a row was blended of two."""
        if self.classifier is None:
            return torch.zeros((), device=category.device)
        logits = [self.config.class_scale * self.classifier(z) for z in embedded]
        predicted = sides.weight * prediction(logits, category)
        if sides.weight < 1:
            predicted = predicted + (1 - sides.weight) * prediction(logits, category[sides.other])
        return predicted

    def _sides(self, batch: Batch) -> _Sides:
        """Standardised inputs; in training with noise, dropout and mixup, the same for both sides."""
        label, text = batch.tag, batch.text if self.config.text else None
        if self.config.text_source == "category":
            label, text = batch.category, batch.category_text if self.config.text else None
        same = label[:, None] == label[None, :]
        rows = torch.arange(len(label), device=label.device)
        video, music = joined(batch.video), joined(batch.music)
        if not self.training:
            return _Sides(video, music, text, same, rows)
        video, music = self._shaken(video), self._shaken(music)
        if self.config.mixup == 0:
            return _Sides(video, music, text, same, rows)
        weight = float(torch.distributions.Beta(self.config.mixup, self.config.mixup).sample())
        weight = max(weight, 1 - weight)  # so that row i stays mostly itself
        other = torch.randperm(len(rows), device=rows.device)
        video, music = (torch.lerp(x[other], x, weight) for x in (video, music))
        text = None if text is None else torch.lerp(text[other], text, weight)
        return _Sides(video, music, text, same & same[other][:, other], other, weight)

    def _shaken(self, x: Tensor) -> Tensor:
        if self.config.input_noise > 0:
            x = x + self.config.input_noise * torch.randn_like(x)
        return F.dropout(x, self.config.input_dropout)

    def _video(self, x: Tensor) -> Tensor:
        beside = None if self.video_linear is None else self.video_linear(x)
        z: Tensor = self.video_projection(self.video_embedding(x), beside)
        return z

    def _music(self, x: Tensor) -> Tensor:
        beside = None if self.music_linear is None else self.music_linear(x)
        z: Tensor = self.music_projection(self.fusion(x), beside)
        return z

    def _text(self, x: Tensor) -> Tensor:
        if self.text_embedding is None or self.text_projection is None:
            raise BadOptions("this YuYin was trained without text: train it with --set text=true")
        z: Tensor = self.text_projection(self.text_embedding(x))
        return z


_PAPER = Preset(YuYinConfig(), TrainConfig())
_LITE = Preset(  # for a thousand pairs instead of a hundred thousand
    YuYinConfig(
        pool="mean_std",
        symmetric=True,
        mask_same_track=True,
        linear_path=True,
        temperature=0.2,
        class_scale=10.0,
        input_noise=0.2,
        input_dropout=0.2,
        dropout=0.4,
        mixup=0.4,
    ),
    TrainConfig(
        epochs=40, batch_size=256, learning_rate=3e-4, weight_decay=0.1, schedule="one_cycle", keep="mrr"
    ),
)


def _paper(**changes: object) -> Preset:
    return replace(_PAPER, system=replace(_PAPER.system, **changes))


PRESETS = {
    "lite": _LITE,
    "paper": _PAPER,
    "wo_E": _paper(emotion=False, fusion="concat"),  # without emotion no WFM (section 5.4.1)
    "wo_T": _paper(text=False),  # keeps L_pred of video and music
    "pure": _paper(emotion=False, fusion="concat", text=False),
    "concat": _paper(fusion="concat"),  # Table 4
    "add": _paper(fusion="add"),  # Table 4
    "wo_pred": _paper(alpha=0.0),  # Fig. 7
    "concat_wide": _paper(fusion="concat_wide"),  # as many parameters as the WFM
    "scalar_gate": _paper(fusion="scalar_gate"),  # the other reading of section 5.4.2
    "sym": _paper(symmetric=True),
    "text_diag": _paper(text_positives="diagonal"),
    "text_category": _paper(text_source="category"),
}
